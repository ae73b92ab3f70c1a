#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include <cli/cluster_signers.hpp>
#include <cli/exit_code.hpp>
#include <cli/input.hpp>

namespace ctlsign::cli {

void add_token_argument(Command command, ClusterSignerOptions& options) {
    command
        .add_option("--token", options.tokens,
                    "A security token: PKCS#11 URI, label or serial number; one that does not sign may be "
                    "the file of "
                    "its certificate. The last that may sign does")
        .type_name("SIGNER")
        .one_value();
}

void add_publisher_argument(Command command, ClusterSignerOptions& options) {
    command
        .add_option("--signer", options.signer,
                    "The publisher's key: PKCS#11 URI, PEM or PKCS#12 file (default: as the stores say)")
        .type_name("SIGNER");
}

GivenToken find_given_token(const std::string& text, const TokenOptions& options) {
    if (!pkcs11::Uri::looks_like(text) && std::filesystem::is_regular_file(text))
        return {text, load_certificate(text), std::nullopt};
    const auto name = sast::TokenName::parse(text);
    auto identity = sast::choose_identity(find_token(options, text), name.uri(), std::nullopt);
    return {text, identity.certificate, std::move(identity)};
}

std::vector<sast::Certificate> certificates_of(const std::vector<GivenToken>& tokens) {
    std::vector<sast::Certificate> certificates;
    certificates.reserve(tokens.size());
    for (const GivenToken& token : tokens) certificates.push_back(token.certificate);
    return certificates;
}

std::vector<sast::Certificate> certificates_at_hand(const std::vector<GivenToken>& tokens) {
    std::vector<sast::Certificate> certificates;
    for (const GivenToken& token : tokens)
        if (token.plugged) certificates.push_back(token.certificate);
    return certificates;
}

bool names_certificate(const std::string& name, const sast::Certificate& certificate) {
    const std::string common_name = certificate.common_name();
    return common_name == name || common_name == fmt::format("{:24}", name) ||
           to_hex(certificate.serial()) == name;
}

const cluster::KnownToken* find_known_token(const cluster::State& state, const std::string& name) {
    const cluster::KnownToken* found = nullptr;
    std::vector<std::string> all;
    for (const cluster::KnownToken& token : state.tokens) {
        if (token.label != name && token.serial != name && !names_certificate(name, token.certificate))
            continue;
        found = &token;
        all.push_back(fmt::format("{}{}{} (certificate {})", token.label,
                                  token.serial.empty() ? "" : ", serial ", token.serial,
                                  to_hex(token.certificate.serial())));
    }
    if (all.size() > 1)
        throw UsageError(
            fmt::format("{} means {} tokens: name one by its serial number, or its "
                        "certificate's: {}",
                        name, all.size(), fmt::join(all, "; ")));
    return found;
}

OpenedSigner open_planned_signer(const cluster::Plan& plan, const std::vector<GivenToken>& tokens,
                                 const ClusterSignerOptions& options) {
    const sast::Certificate& certificate = plan.signer.value();
    if (plan.way == cluster::Way::Tokens) {
        const auto token = std::ranges::find(tokens, certificate, &GivenToken::certificate);
        if (token == tokens.end())
            throw UsageError(
                fmt::format("{} is to sign, and is not at hand: plug it in, and name it with "
                            "--token",
                            certificate.common_name()));
        if (!token->plugged) return open_key(token->text, certificate, options.token);
        auto pins = make_pins(options.token, sast::TokenName::parse(token->text).uri());
        return open_token(*token->plugged, std::move(pins), options.token);
    }
    if (!options.signer.empty()) return open_key(options.signer, certificate, options.token);
    if (plan.signer_key) return open_key(*plan.signer_key, certificate, options.token);
    throw UsageError(fmt::format("the stores do not say where the key of {} is: give --signer",
                                 certificate.common_name()));
}

void require_pin_source(const cluster::Plan& plan, const std::vector<GivenToken>& tokens,
                        const OpenedSigner& opened) {
    const auto token = std::ranges::find(tokens, *plan.signer, &GivenToken::certificate);
    if (token == tokens.end() || !token->plugged) return;
    const auto& info = token->plugged->token.info();
    if (!info.login_required || info.protected_authentication_path) return;
    opened.pins->require_source({sast::PinRequest::Kind::UserPin, token->plugged->token.text()});
}

void name_tokens(cluster::Plan& plan, const std::vector<GivenToken>& tokens) {
    for (cluster::KnownToken& known : plan.tokens) {
        const auto given = std::ranges::find(tokens, known.certificate, &GivenToken::certificate);
        if (given == tokens.end() || !given->plugged) continue;
        known.label = given->plugged->token.info().label;
        known.serial = given->plugged->token.info().serial;
    }
}

}  // namespace ctlsign::cli
