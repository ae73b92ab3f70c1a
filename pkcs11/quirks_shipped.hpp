#pragma once

#include <string_view>

namespace ctlsign::pkcs11 {

/// Private: quirks.toml, built into the library so that no path has to be found.
std::string_view shipped_quirks() noexcept;

}  // namespace ctlsign::pkcs11
