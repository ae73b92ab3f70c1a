#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <sast/error.hpp>
#include <sast/public_key.hpp>
#include <sast/token_signer.hpp>

namespace ctlsign::sast {

namespace attribute = pkcs11::attribute;
using pkcs11::Recovery;

static std::vector<pkcs11::MechanismInfo> read_offers(const pkcs11::Token& token) {
    std::vector<pkcs11::MechanismInfo> offers;
    const auto offered = token.mechanisms();
    for (const Digest digest : {Digest::Sha1, Digest::Sha256, Digest::Sha512}) {
        for (const auto mechanism : pkcs11::candidate_mechanisms(digest)) {
            if (std::ranges::find(offered, mechanism) == offered.end()) continue;
            if (std::ranges::find(offers, mechanism, &pkcs11::MechanismInfo::mechanism) != offers.end())
                continue;
            if (const auto info = token.find_mechanism(mechanism)) offers.push_back(*info);
        }
    }
    return offers;
}

TokenSigner::TokenSigner(Identity identity, PinSource& pins, pkcs11::FinalTry final_try)
    : identity_(std::move(identity)),
      facts_(make_facts(identity_.certificate, identity_.token.text())),
      pins_(pins),
      final_try_(final_try),
      session_(pkcs11::Session::open(identity_.token)),
      public_key_(PublicKey::from_spki(identity_.certificate.spki_der())),
      offers_(read_offers(identity_.token)) {}

pkcs11::MechanismPlan TokenSigner::plan(Digest digest) const {
    return pkcs11::plan_signature(digest, facts_.key_bits, offers_, key_ ? key_->allowed : std::nullopt);
}

void TokenSigner::log_in() {
    const auto now = identity_.token.read_info();
    if (!now.login_required || session_.logged_in()) return;
    const PinRequest request{PinRequest::Kind::UserPin, identity_.token.text(), now.pin};
    if (now.protected_authentication_path) {
        pins_.look_at_reader(request);
        session_.login_at_reader(final_try_);
        return;
    }
    // Refused before a person is asked for what would not be sent.
    pkcs11::require_try(identity_.token, now, final_try_);
    pkcs11::Pin pin = pins_.ask(request);
    session_.login(pin, final_try_);
    pin_ = std::move(pin);
}

TokenSigner::Key TokenSigner::find_key() const {
    auto wanted = pkcs11::Template().with<attribute::Class>(pkcs11::ObjectClass::PrivateKey);
    if (!identity_.key_id.empty()) wanted.with<attribute::Id>(identity_.key_id);
    const Bytes modulus = public_key_.modulus();
    const auto handles = session_.find_objects(wanted);
    const auto handle = std::ranges::find_if(handles, [&](pkcs11::ObjectHandle object) {
        const auto its = session_.find_attribute<attribute::Modulus>(object);
        // Some tokens keep the modulus of a private key to themselves; then its id must do, and the signature
        // is verified.
        return its && !its->empty() ? equal(strip_leading_zeros(*its), modulus)
                                    : !identity_.key_id.empty() && handles.size() == 1;
    });
    if (handle == handles.end()) {
        throw Error(handles.empty() ? Errc::NoKey : Errc::KeyMismatch, "finding the private key",
                    identity_.token.text(), "certificate: " + identity_.certificate.subject_text());
    }
    if (session_.find_attribute<attribute::Sign>(*handle) == false) {
        throw Error(Errc::UnsupportedKey, "finding the private key", identity_.token.text(),
                    "this key may not sign (CKA_SIGN is false)");
    }
    // Tokens answer with an empty list where the attribute was never set; it forbids nothing.
    auto allowed = session_.find_attribute<attribute::AllowedMechanisms>(*handle);
    if (allowed && allowed->empty()) allowed.reset();
    return {*handle, std::move(allowed),
            session_.find_attribute<attribute::AlwaysAuthenticate>(*handle).value_or(false)};
}

void TokenSigner::unlock() {
    if (key_) return;
    log_in();
    key_ = find_key();
}

// The new session stands before the old one goes: the login of a token ends with its last session.
void TokenSigner::replace_session() {
    session_ = pkcs11::Session::open(identity_.token);
    key_->handle = find_key().handle;
}

std::optional<pkcs11::ContextLogin> TokenSigner::context_login() {
    const PinRequest request{PinRequest::Kind::UserPin, identity_.token.text(), pkcs11::PinState::Good};
    if (identity_.token.info().protected_authentication_path) {
        pins_.look_at_reader(request);
        return pkcs11::ContextLogin{nullptr, final_try_};
    }
    if (pin_.empty()) pin_ = pins_.ask(request);
    return pkcs11::ContextLogin{&pin_, final_try_};
}

Bytes TokenSigner::sign_with(pkcs11::SignatureStep step, Digest digest, ByteView message) {
    const Bytes encoded = step.input == pkcs11::InputForm::Message
                              ? Bytes{}
                              : pkcs11::encode_input(step, digest, message, facts_.signature_length);
    const ByteView input = step.input == pkcs11::InputForm::Message ? message : ByteView(encoded);
    const auto attempt = [&](const std::optional<pkcs11::ContextLogin>& context) {
        return session_.sign(step.mechanism, key_->handle, input, facts_.signature_length, context);
    };
    try {
        return attempt(key_->always_authenticate ? context_login() : std::nullopt);
    } catch (const Error& e) {
        if (e.code() == Recovery::pin_wrong || e.code() == Recovery::pin_locked) pin_ = pkcs11::Pin();
        if (e.code() != Recovery::login_needed || key_->always_authenticate) throw;
    }
    // Some keys ask each time without saying so (5110 CC): once more, with a login for this signature.
    if (session_.spent()) replace_session();
    key_->always_authenticate = true;
    return attempt(context_login());
}

void TokenSigner::plan_steps(Digest digest) {
    if (planned_digest_ == digest) return;
    auto whole = plan(digest);
    if (whole.steps.empty()) {
        throw Error(pkcs11::Errc::NoMechanism, "signing with " + std::string(to_text(digest)),
                    identity_.token.text(), fmt::format("{}", fmt::join(whole.explanation, "; ")));
    }
    steps_ = std::move(whole.steps);
    planned_digest_ = digest;
}

Bytes TokenSigner::sign_by_plan(Digest digest, ByteView message) {
    for (;;) {
        try {
            return sign_with(steps_.front(), digest, message);
        } catch (const Error& e) {
            if (session_.spent()) replace_session();
            if (e.code() != Recovery::unsupported || steps_.size() == 1) throw;
            steps_.erase(steps_.begin());
        }
    }
}

Bytes TokenSigner::sign(Digest digest, ByteView message) {
    plan_steps(digest);  // refuses before a PIN is spent
    if (!key_) {
        unlock();
        planned_digest_.reset();  // what the key itself allows is known only now
        plan_steps(digest);
    }
    Bytes signature = sign_by_plan(digest, message);
    if (!public_key_.verify(digest, {{message}}, signature)) {
        throw Error(Errc::WrongSignature, "signing", identity_.token.text(),
                    "nothing was written; check the token before it is used again: ctlsign token doctor");
    }
    return signature;
}

}  // namespace ctlsign::sast
