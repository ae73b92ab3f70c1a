#pragma once

#include <memory>
#include <string>
#include <vector>

#include <bindings/c/argument.hpp>
#include <pkcs11/session.hpp>
#include <pkcs11/token.hpp>
#include <sast/identity.hpp>

struct ctlsign_modules : ctlsign::c::Object {
    std::vector<std::shared_ptr<ctlsign::pkcs11::Module>> modules;
    std::vector<ctlsign::pkcs11::Module::Failure> failures;
};

struct ctlsign_tokens : ctlsign::c::Object {
    struct Entry {
        ctlsign::pkcs11::Token token;
        std::string uri;
    };
    explicit ctlsign_tokens(const std::vector<ctlsign::pkcs11::Token>& tokens);
    const Entry& at(std::size_t index) const { return ctlsign::c::element(std::span(entries), index); }
    std::vector<Entry> entries;
};

namespace ctlsign::c {

ctlsign_pin_state to_c(pkcs11::PinState state) noexcept;
/// Fills state, tries_left and tries_max, which several structs have.
template <typename T>
void set_pin_status(T& out, pkcs11::PinState state, const std::optional<pkcs11::PinTries>& tries) noexcept {
    out.state = to_c(state);
    out.tries_left = tries ? static_cast<long>(tries->left) : -1;
    out.tries_max = tries ? static_cast<long>(tries->maximum) : -1;
}

}  // namespace ctlsign::c
