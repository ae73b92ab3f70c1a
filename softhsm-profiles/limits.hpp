#pragma once

#include <chrono>
#include <cstddef>

/// See pkcs11/limits.hpp.
namespace ctlsign::limits {

inline constexpr std::size_t kProfile = 64U << 10U;       ///< a profile; what describes a virtual token
inline constexpr std::size_t kTokenName = 32;             ///< the name or label of a virtual token
inline constexpr std::size_t kUserPinFile = 4096;         ///< the file user-pin of a virtual token
inline constexpr std::size_t kReaderDigits = 4;           ///< digits of a reader's number
inline constexpr std::size_t kSharedFile = 1U << 20U;     ///< a script of faults, a PIN counter
inline constexpr std::chrono::seconds kMakingToken{120};  ///< the process that makes a virtual token

}  // namespace ctlsign::limits
