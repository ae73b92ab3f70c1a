#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>

#include <pkcs11/backoff.hpp>
#include <pkcs11/session.hpp>
#include <sast/error.hpp>
#include <sast/identity.hpp>
#include <sast/public_key.hpp>

namespace ctlsign::sast {

namespace attribute = pkcs11::attribute;
using pkcs11::ObjectClass;
using pkcs11::Session;
using pkcs11::Token;
using pkcs11::Uri;

namespace {

struct PublicKeyObject {
    Bytes id, modulus;
};

std::vector<PublicKeyObject> list_public_keys(const Session& session) {
    std::vector<PublicKeyObject> keys;
    for (const auto object :
         session.find_objects(pkcs11::Template().with<attribute::Class>(ObjectClass::PublicKey))) {
        keys.push_back({session.find_attribute<attribute::Id>(object).value_or(Bytes{}),
                        session.find_attribute<attribute::Modulus>(object).value_or(Bytes{})});
    }
    return keys;
}

std::vector<pkcs11::ObjectHandle> list_certificates(const Session& session) {
    return session.find_objects(pkcs11::Template()
                                    .with<attribute::Class>(ObjectClass::Certificate)
                                    .with<attribute::CertificateType>(pkcs11::CertificateType::X509));
}

/// What can be seen of a token's keys without login.
struct PublicObjects {
    std::vector<PublicKeyObject> keys;
    std::vector<pkcs11::ObjectHandle> certificates;
};

// A token may show nothing for a while after a plug; one whose quirk that is gets the time it takes.
PublicObjects list_public_objects(const Session& session) {
    PublicObjects objects{list_public_keys(session), list_certificates(session)};
    if (!objects.keys.empty() || !objects.certificates.empty()) return objects;
    pkcs11::Backoff backoff(session.token().quirks().settle);
    while (objects.keys.empty() && objects.certificates.empty() && backoff.pause())
        objects = {list_public_keys(session), list_certificates(session)};
    return objects;
}

std::string hint_for(const Token& token) {
    return fmt::format("{} in slot {}", Uri::of(token).to_text(), static_cast<unsigned long>(token.slot()));
}

template <typename Range, typename Text>
std::string join(const Range& items, Text text) {
    std::string joined;
    for (const auto& item : items) {
        if (!joined.empty()) joined += ", ";
        joined += text(item);
    }
    return joined;
}

std::string describe(const Identity& identity) {
    return fmt::format("id=%{} object={} ({})", to_hex(identity.key_id, "%"), identity.label,
                       identity.certificate.subject_text());
}

}  // namespace

bool Identity::is_sast() const {
    return certificate.common_name().starts_with("SAST-");
}

std::vector<std::shared_ptr<pkcs11::Module>> open_modules(
    const std::optional<std::string>& module_path, const std::optional<Uri>& uri,
    const std::optional<pkcs11::Module::Isolation>& isolation,
    std::vector<pkcs11::Module::Failure>& failures) {
    const auto open = [&](const std::string& path) {
        return isolation ? pkcs11::Module::open_isolated(path, *isolation) : pkcs11::Module::open(path);
    };
    if (module_path) {
        // A command comes from the caller alone, never from a URI.
        if (module_path->starts_with('|'))
            return {pkcs11::Module::open_command(module_path->substr(1),
                                                 isolation.value_or(pkcs11::Module::Isolation{}))};
        return {open(*module_path)};
    }
    if (uri) {
        if (const auto path = uri->module_path()) return {open(*path)};
        // RFC 7512, 2.3: the name without "lib" and without an ending; p11-kit's folder is searched for it.
        if (const auto name = uri->module_name()) return {open(*name + ".so")};
    }
    return pkcs11::Module::open_configured(failures, isolation);
}

std::vector<Token> list_tokens(std::span<const std::shared_ptr<pkcs11::Module>> modules) {
    std::vector<Token> tokens;
    std::set<std::tuple<std::string, std::string, std::string>> seen;
    for (const auto& module : modules) {
        std::set<std::tuple<std::string, std::string, std::string>> here;
        for (auto& token : module->tokens()) {
            auto who = std::make_tuple(token.info().manufacturer, token.info().serial, token.info().label);
            // Within one module two tokens that look alike are two; the choice between them is not ours to
            // hide.
            if (seen.contains(who)) continue;
            here.insert(std::move(who));
            tokens.push_back(std::move(token));
        }
        seen.merge(here);
    }
    return tokens;
}

std::vector<Identity> list_identities(const Token& token) {
    const Session session = Session::open(token);
    const auto objects = list_public_objects(session);
    std::vector<Identity> identities;
    for (const auto object : objects.certificates) {
        const auto der = session.find_attribute<attribute::Value>(object);
        if (!der) continue;
        std::optional<Certificate> certificate;
        try {
            certificate = Certificate::decode(*der);
        } catch (const Error&) {
            continue;  // a token may hold what is no certificate; it is nobody who could sign
        }
        Bytes id = session.find_attribute<attribute::Id>(object).value_or(Bytes{});
        const bool seen =
            std::ranges::any_of(objects.keys, [&](const auto& key) { return !id.empty() && key.id == id; }) ||
            (!id.empty() && !session
                                 .find_objects(pkcs11::Template()
                                                   .with<attribute::Class>(ObjectClass::PrivateKey)
                                                   .with<attribute::Id>(id),
                                               1)
                                 .empty());
        identities.push_back({token, std::move(*certificate), std::move(id),
                              session.find_attribute<attribute::Label>(object).value_or(""),
                              seen ? KeyEvidence::Seen : KeyEvidence::NotSeen});
    }
    return identities;
}

TokenName TokenName::parse(std::string_view text) {
    return Uri::looks_like(text) ? TokenName(Uri::parse(text)) : TokenName(text);
}

bool TokenName::matches(const Token& token) const {
    return uri_ ? uri_->matches(token) : token.info().serial == text_ || token.info().label == text_;
}

std::string TokenName::to_text() const {
    return uri_ ? uri_->to_text() : text_;
}

Token choose_token(std::span<const Token> tokens, const std::optional<TokenName>& name) {
    std::vector<Token> matching;
    std::ranges::copy_if(tokens, std::back_inserter(matching),
                         [&](const Token& t) { return !name || name->matches(t); });
    if (matching.size() == 1) return std::move(matching.front());
    const std::string wanted = name ? name->to_text() : "";
    if (matching.empty()) {
        throw Error(Errc::NoToken, "choosing a token", wanted,
                    tokens.empty() ? "no token is plugged in" : "plugged in: " + join(tokens, hint_for));
    }
    throw Error(Errc::SeveralTokens, "choosing a token", wanted, "name one of: " + join(matching, hint_for));
}

static Identity stand_in_identity(const Token& token, const Uri* uri, const Certificate& certificate) {
    const Session session = Session::open(token);
    const auto public_keys = list_public_objects(session).keys;
    Identity identity{token, certificate, {}, {}, KeyEvidence::NotSeen};
    if (uri != nullptr) identity.key_id = uri->id().value_or(Bytes{});
    if (public_keys.empty()) return identity;  // the private key will be compared after login
    const Bytes modulus = PublicKey::from_spki(certificate.spki_der()).modulus();
    const auto same = std::ranges::find_if(public_keys, [&](const PublicKeyObject& key) {
        return equal(strip_leading_zeros(key.modulus), modulus) &&
               (identity.key_id.empty() || key.id == identity.key_id);
    });
    if (same == public_keys.end()) {
        throw Error(
            Errc::KeyMismatch, "choosing a key", token.text(),
            "no key of this token belongs to the certificate given (" + certificate.subject_text() + ")");
    }
    identity.key_id = same->id;
    identity.evidence = KeyEvidence::Seen;
    return identity;
}

Identity choose_identity(const Token& token, const std::optional<Uri>& uri,
                         const std::optional<Certificate>& stand_in) {
    if (stand_in) return stand_in_identity(token, uri ? &*uri : nullptr, *stand_in);
    auto identities = list_identities(token);
    if (uri) {
        const auto id = uri->id();
        const auto object = uri->object();
        std::erase_if(identities, [&](const Identity& identity) {
            return (id && identity.key_id != *id) || (object && identity.label != *object);
        });
    }
    // A token often holds its issuer's certificate too; the one whose key is there is meant.
    const auto has_key = [](const Identity& identity) { return identity.evidence == KeyEvidence::Seen; };
    if (std::ranges::any_of(identities, has_key)) {
        std::erase_if(identities, [&](const Identity& identity) { return !has_key(identity); });
    }
    if (identities.size() == 1) return std::move(identities.front());
    if (identities.empty()) {
        throw Error(Errc::NoCertificate, "choosing a key", token.text(),
                    "no certificate can be read without login; give it with --certificate FILE");
    }
    throw Error(Errc::SeveralKeys, "choosing a key", token.text(),
                "name one in the URI: " + join(identities, describe));
}

}  // namespace ctlsign::sast
