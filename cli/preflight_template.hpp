#pragma once

#include <string_view>

namespace ctlsign::cli {

/// preflight.html, built into the program.
std::string_view preflight_template() noexcept;

}  // namespace ctlsign::cli
