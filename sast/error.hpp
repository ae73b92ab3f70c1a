#pragma once

#include <system_error>

#include <pkcs11/error.hpp>

namespace ctlsign::sast {

/// What this floor finds wrong without a CK_RV.
enum class Errc {
    MalformedCertificate = 1,  ///< not X.509 DER or PEM
    MalformedKey,              ///< neither a key that OpenSSL reads nor PKCS#12
    NoToken,                   ///< nothing plugged matches
    SeveralTokens,             ///< more than one matches: the message lists them
    SeveralKeys,               ///< more than one on the token matches: the message lists them
    NoCertificate,             ///< the signer has none and no file stands in
    NoKey,                     ///< no private key where one is needed
    KeyMismatch,               ///< certificate and key do not belong together
    UnsupportedKey,            ///< not RSA, or a size for which trust lists have no code
    PinNeeded,                 ///< no way to ask for the PIN
    WrongPassphrase,           ///< of a key file
    MalformedLedger,           ///< the file of rejected PINs is damaged
    WrongSignature,            ///< the token answered with a signature that does not verify
};
/// The category of Errc, named "sast".
const std::error_category& category() noexcept;
std::error_code make_error_code(Errc code) noexcept;

}  // namespace ctlsign::sast

template <>
struct std::is_error_code_enum<ctlsign::sast::Errc> : std::true_type {};
