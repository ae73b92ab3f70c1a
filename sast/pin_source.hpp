#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <pkcs11/pin.hpp>
#include <pkcs11/session.hpp>
#include <pkcs11/token.hpp>

namespace ctlsign::sast {

/// What is asked for, so that a person can be told.
struct PinRequest {
    enum class Kind { UserPin, Passphrase };
    Kind kind = Kind::UserPin;
    std::string subject;  ///< "token SAST-ADN008580ef (serial 1234)", or a file
    pkcs11::PinState state = pkcs11::PinState::Good;
    std::optional<pkcs11::TokenInfo> token{};  ///< nothing for a file
    std::optional<pkcs11::PinTries> tries{};   ///< where the token counts them
};

/// Where a PIN comes from. Each call of ask() is one human action: it is not called again for a PIN that was
/// rejected.
class PinSource {
  public:
    virtual ~PinSource() = default;
    PinSource(const PinSource&) = delete;
    PinSource& operator=(const PinSource&) = delete;

    /// The PIN. Throws Errc::PinNeeded when there is no way to ask, or nothing was entered.
    virtual pkcs11::Pin ask(const PinRequest& request) = 0;
    /// The PIN is entered at the reader: tells the person to look there. Returns at once.
    virtual void look_at_reader(const PinRequest& request) = 0;
    /// Throws what ask() would, where it is known already that there is nothing to ask. Asks nobody.
    virtual void require_source(const PinRequest&) {}

  protected:
    PinSource() = default;
};

/// "env:NAME" (the variable is wiped and removed once read), "file:PATH" or "fd:N" (first line). The text of
/// RFC 7512's pin-source, a file: URI or a plain path, is taken too; a command ("|...") is refused. Throws
/// std::invalid_argument on another form.
std::unique_ptr<PinSource> make_pin_source(std::string_view specification);

}  // namespace ctlsign::sast
