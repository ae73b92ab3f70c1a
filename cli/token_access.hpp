#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <cli/command.hpp>
#include <pkcs11/module.hpp>
#include <pkcs11/session.hpp>
#include <pkcs11/uri.hpp>
#include <sast/identity.hpp>
#include <sast/pin_source.hpp>
#include <sast/token_login.hpp>

namespace ctlsign::cli {

/// What every command that uses a token takes.
struct TokenOptions {
    std::optional<std::string> module;                      ///< --module
    std::optional<std::string> pin_source;                  ///< --pin-source
    pkcs11::FinalTry final_try = pkcs11::FinalTry::Refuse;  ///< --use-final-try
    unsigned wait = 0;                                      ///< --wait, seconds
    std::optional<pkcs11::Module::Isolation> isolation;     ///< --isolate
};
/// --module and --isolate.
void add_module_option(Command command, TokenOptions& options);
/// --module, --pin-source, --wait and --use-final-try.
void add_token_options(Command command, TokenOptions& options);

/// --module, else what CTLSIGN_MODULE names. Throws UsageError when that is a command: one comes from the
/// command line alone.
std::optional<std::string> find_module(const TokenOptions& options);

/// What is plugged in, found without login.
struct Plugged {
    std::vector<std::shared_ptr<pkcs11::Module>> modules;
    std::vector<pkcs11::Token> tokens;
};
/// Modules that p11-kit has configured and that do not start are told on standard error. Throws when the
/// module named does not load.
Plugged find_tokens(const TokenOptions& options, const std::optional<pkcs11::Uri>& uri);

/// Random octets for a signature that tries a key and proves nothing else.
Bytes make_test_message();

/// What the options allow; a person at the terminal is told to put a token back.
sast::TokenPolicy make_policy(const TokenOptions& options);

/// The token that TEXT (a URI, a label or a serial number) names. Throws as sast::choose_token does.
pkcs11::Token find_token(const TokenOptions& options, const std::string& text);

/// Whether a person is asked for the PIN.
bool asks_a_person(const TokenOptions& options, const std::optional<pkcs11::Uri>& uri);

/// --pin-source, else the URI's pin-source, else a prompt on the terminal. Nothing is asked yet. Throws
/// UsageError on a source that is none.
std::unique_ptr<sast::PinSource> make_pins(const TokenOptions& options,
                                           const std::optional<pkcs11::Uri>& uri);

}  // namespace ctlsign::cli
