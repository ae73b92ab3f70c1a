#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <cli/command.hpp>
#include <cli/token_access.hpp>
#include <sast/identity.hpp>
#include <sast/pin_source.hpp>
#include <sast/signer.hpp>

namespace ctlsign::cli {

struct SignerOptions {
    std::string signer;       ///< a PKCS#11 URI, or the path of a key file
    std::string certificate;  ///< for a token or file that holds none
    TokenOptions token;
};
/// --signer SIGNER, --certificate, and what every command that uses a token takes.
void add_signer_options(Command command, SignerOptions& options);

/// A signer, chosen and checked, with no PIN spent. unlock spends it ahead of the first signature.
struct OpenedSigner {
    std::unique_ptr<sast::PinSource> pins;
    std::unique_ptr<sast::Signer> signer;
    std::function<void()> unlock;
};
/// Throws what choosing a token or opening a key file throws.
OpenedSigner open_signer(const SignerOptions& options);
/// The key at PLACE, PKCS#11 URI or file, that belongs to CERTIFICATE when there is one. Throws the same.
OpenedSigner open_key(const std::string& place, const std::optional<sast::Certificate>& certificate,
                      const TokenOptions& options);
/// A key that was found already.
OpenedSigner open_token(const sast::Identity& identity, std::unique_ptr<sast::PinSource> pins,
                        const TokenOptions& options);

}  // namespace ctlsign::cli
