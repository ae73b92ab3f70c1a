#pragma once

#include <functional>
#include <memory>
#include <string>

#include <CLI/App.hpp>
#include <cli/token_access.hpp>
#include <sast/pin_source.hpp>
#include <sast/signer.hpp>

namespace ctlsign::cli {

struct SignerOptions {
    std::string signer;       ///< a PKCS#11 URI, or the path of a key file
    std::string certificate;  ///< for a token or file that holds none
    TokenOptions token;
};
/// --signer SIGNER, --certificate, and what every command that uses a token takes.
void add_signer_options(CLI::App& command, SignerOptions& options);

/// A signer, chosen and checked, with no PIN spent. unlock spends it ahead of the first signature.
struct OpenedSigner {
    std::unique_ptr<sast::PinSource> pins;
    std::unique_ptr<sast::Signer> signer;
    std::function<void()> unlock;
};
/// Throws what choosing a token or opening a key file throws.
OpenedSigner open_signer(const SignerOptions& options);

}  // namespace ctlsign::cli
