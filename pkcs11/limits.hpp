#pragma once

#include <chrono>
#include <cstddef>

/// What is read of what others give, at most: octets where nothing else is said. More is an error before it
/// is worked on. One header of this name a floor; all of them are in docs/limits.md.
namespace ctlsign::limits {

inline constexpr std::size_t kPin = 255;                   ///< a PIN or passphrase
inline constexpr std::size_t kQuirks = 64U << 10U;         ///< a table of quirks
inline constexpr std::chrono::seconds kIsolatedCall{120};  ///< each call of a module with --isolate

}  // namespace ctlsign::limits
