#pragma once

#include <string_view>

namespace ctlsign::phone {

/// Private: models.toml, built into the library so that no path has to be found.
std::string_view shipped_models() noexcept;

}  // namespace ctlsign::phone
