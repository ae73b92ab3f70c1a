#pragma once

#include <pkcs11/error.hpp>
#include <pkcs11/token.hpp>

namespace ctlsign::python {

/// An error, and the token that it is about.
class TokenError : public Error {
  public:
    TokenError(const Error& error, const pkcs11::TokenInfo& token)
        : Error(error), label_(token.label), serial_(token.serial) {}
    const std::string& label() const noexcept { return label_; }
    const std::string& serial() const noexcept { return serial_; }

  private:
    std::string label_, serial_;
};

/// Runs WORK; an error of it that is about TOKEN says so.
template <typename Work>
auto about(const pkcs11::Token& token, Work work) {
    try {
        return work();
    } catch (const Error& error) {
        if (error.subject() != token.text()) throw;
        throw TokenError(error, token.info());
    }
}

}  // namespace ctlsign::python
