#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace ctlsign {

/// The one exception type of every floor: what failed, on what, why (the code), and what to do next.
/// what() is a single line made of the four; it never holds a secret.
class Error : public std::system_error {
  public:
    /// FAILED names the function or step ("C_Sign"), SUBJECT the token, file or record; either may be empty.
    Error(std::error_code code, std::string_view failed, std::string_view subject, std::string_view advice);

    /// "FAILED on SUBJECT: why; advice". Borrowed, as what the others give.
    const char* what() const noexcept override { return line_.c_str(); }
    const std::string& failed() const noexcept { return failed_; }
    const std::string& subject() const noexcept { return subject_; }
    const std::string& advice() const noexcept { return advice_; }

  private:
    std::string failed_, subject_, advice_, line_;
};

namespace pkcs11 {

/// CK_RV itself as a std::error_code; message() is the name in PKCS#11 ("CKR_DEVICE_REMOVED").
const std::error_category& rv_category() noexcept;
/// RV, a CK_RV of any value, as such a code.
std::error_code make_rv(unsigned long rv) noexcept;

/// CKR_USER_PIN_NOT_INITIALIZED, for those who do not see the PKCS#11 header (PKCS#11 2.40, 5.1.6).
inline constexpr unsigned long kUserPinNotInitialized = 0x102;

/// What this floor finds wrong without a CK_RV.
enum class Errc {
    ModuleNotLoaded = 1,
    NotAnUri,
    PinInUri,
    MalformedQuirks,
    Forked,
    WrongLength,
    NoMechanism,
    FinalTryRefused,
    PinRefused,
    TokenInUse,
    ModuleEnded,
    TokenGone,
};
/// The category of Errc, named "pkcs11".
const std::error_category& category() noexcept;
std::error_code make_error_code(Errc code) noexcept;

/// What to do about a code. Compare with ==: `if (e.code() == Recovery::token_gone)`; the only way to
/// classify. Table over every CK_RV of PKCS#11 2.40: pkcs11/error.cpp.
enum class Recovery {
    token_gone = 1,  ///< pulled, or never there: wait for the same serial
    session_lost,    ///< the session is dead, the token may be there: open anew
    login_needed,    ///< log in, for this key perhaps once more
    pin_wrong,       ///< this PIN must not be sent again
    pin_locked,      ///< no PIN will do
    busy,            ///< again, a little later
    unsupported,     ///< another mechanism or another way may do
    device_failed,   ///< nothing that a program can mend
};
std::error_condition make_error_condition(Recovery condition) noexcept;
/// The one condition that CODE equals; nothing for a code that has none.
std::optional<Recovery> find_recovery(const std::error_code& code) noexcept;

}  // namespace pkcs11
}  // namespace ctlsign

template <>
struct std::is_error_code_enum<ctlsign::pkcs11::Errc> : std::true_type {};
template <>
struct std::is_error_condition_enum<ctlsign::pkcs11::Recovery> : std::true_type {};
