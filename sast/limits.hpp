#pragma once

#include <cstddef>

/// See pkcs11/limits.hpp.
namespace ctlsign::limits {

inline constexpr std::size_t kKeyFile = 1U << 20U;  ///< a file with a private key, or with its certificates
inline constexpr std::size_t kPinLedger = 64U << 10U;  ///< what is remembered of a token's rejected PINs

}  // namespace ctlsign::limits
