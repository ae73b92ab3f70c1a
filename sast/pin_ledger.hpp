#pragma once

#include <filesystem>

#include <pkcs11/pin.hpp>
#include <pkcs11/session.hpp>
#include <pkcs11/token.hpp>

namespace ctlsign::sast {

/// The PINs that a token has rejected with certainty, so that none is sent to it again, by any process of
/// this user. Kept as scrypt hashes under one salt a token, in a file of the user's alone (0600). Whoever
/// calls it holds the token's lock. Throws Error with the system's code, or Errc::MalformedLedger.
class PinLedger {
  public:
    /// The user's own: user_state_folder()/pin-failures.
    PinLedger();
    /// FOLDER is made when it is needed.
    explicit PinLedger(std::filesystem::path folder);

    /// Forgets everything about TOKEN when more tries are left than after the last rejection: somebody has
    /// reset its PIN.
    void notice(const pkcs11::TokenInfo& token, const pkcs11::PinStatus& now) const;
    /// Whether TOKEN has rejected PIN. Takes about a tenth of a second once there is any (scrypt).
    bool contains(const pkcs11::TokenInfo& token, const pkcs11::Pin& pin) const;
    /// TOKEN has rejected PIN. STATUS is the one after the rejection.
    void add(const pkcs11::TokenInfo& token, const pkcs11::Pin& pin, const pkcs11::PinStatus& status) const;
    /// Forgets everything about TOKEN; nothing to forget is no error.
    void forget(const pkcs11::TokenInfo& token) const;

  private:
    struct Entry;
    std::filesystem::path file_of(const pkcs11::TokenInfo& token) const;
    Entry read(const pkcs11::TokenInfo& token) const;

    std::filesystem::path folder_;
};

}  // namespace ctlsign::sast
