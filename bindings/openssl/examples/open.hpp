#pragma once

#include <string>
#include <vector>

#include <sast/identity.hpp>
#include <sast/pin_source.hpp>
#include <sast/token_signer.hpp>

namespace ctlsign::examples {

/// The one identity that URI means, in the module that it names, or else in those of p11-kit.
inline sast::Identity find_identity(const std::string& uri) {
    const auto name = pkcs11::Uri::parse(uri);
    std::vector<pkcs11::Module::Failure> failures;
    const auto modules = sast::open_modules(std::nullopt, name, std::nullopt, failures);
    return sast::choose_identity(sast::choose_token(sast::list_tokens(modules), name), name, std::nullopt);
}

/// A session with its token, logged in with the PIN of PIN_SOURCE ("env:NAME", "file:PATH" or "fd:N").
inline pkcs11::Session log_in(const sast::Identity& identity, const std::string& pin_source) {
    const auto pins = sast::make_pin_source(pin_source);
    auto session = pkcs11::Session::open(identity.token);
    sast::TokenLogin(identity.token, *pins, {}).log_in(session);
    return session;
}

}  // namespace ctlsign::examples
