#include <optional>

#include <cli/input.hpp>
#include <cli/signer.hpp>
#include <sast/publisher_signer.hpp>
#include <sast/token_signer.hpp>

namespace ctlsign::cli {

namespace {

template <typename Signer>
OpenedSigner opened(std::unique_ptr<sast::PinSource> pins, std::unique_ptr<Signer> signer) {
    Signer& key = *signer;
    return {std::move(pins), std::move(signer), [&key] { key.unlock(); }};
}

}  // namespace

void add_signer_options(Command command, SignerOptions& options) {
    command.add_option("--signer", options.signer, "Who signs: a PKCS#11 URI, or a PEM or PKCS#12 file")
        .type_name("SIGNER")
        .required();
    command
        .add_option("--certificate", options.certificate,
                    "The signer's certificate, when token or file hold none")
        .type_name("PEM");
    add_token_options(command, options.token);
}

OpenedSigner open_token(const sast::Identity& identity, std::unique_ptr<sast::PinSource> pins,
                        const TokenOptions& options) {
    auto signer = std::make_unique<sast::TokenSigner>(identity, *pins, make_policy(options));
    return opened(std::move(pins), std::move(signer));
}

OpenedSigner open_key(const std::string& place, const std::optional<sast::Certificate>& certificate,
                      const TokenOptions& options) {
    if (!pkcs11::Uri::looks_like(place)) {
        auto pins = make_pins(options, std::nullopt);
        auto signer = sast::PublisherSigner::open(place, certificate, *pins);
        return opened(std::move(pins), std::move(signer));
    }
    const pkcs11::Uri uri = pkcs11::Uri::parse(place);
    auto pins = make_pins(options, uri);
    const pkcs11::Token token = sast::choose_token(find_tokens(options, uri).tokens, uri);
    return open_token(sast::choose_identity(token, uri, certificate), std::move(pins), options);
}

OpenedSigner open_signer(const SignerOptions& options) {
    std::optional<sast::Certificate> certificate;
    if (!options.certificate.empty()) certificate = load_certificate(options.certificate);
    return open_key(options.signer, certificate, options.token);
}

}  // namespace ctlsign::cli
