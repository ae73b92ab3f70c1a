#pragma once

#include <cstddef>
#include <cstdint>

/// See pkcs11/limits.hpp.
namespace ctlsign::limits {

inline constexpr std::size_t kKeyFile = 1U << 20U;  ///< a file with a private key, or with its certificates
inline constexpr std::int64_t kStretching = 1'000'000;  ///< iterations behind the passphrase of a key
inline constexpr std::size_t kEncryptedParts = 16;      ///< encrypted parts of a PKCS#12 file
inline constexpr std::size_t kPinLedger = 64U << 10U;   ///< what is remembered of a token's rejected PINs

}  // namespace ctlsign::limits
