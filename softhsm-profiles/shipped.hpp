#pragma once

#include <span>
#include <string_view>

namespace ctlsign::softhsm {

struct Shipped {
    std::string_view name, toml;
};
/// profiles/*.toml, built into the library so that no path has to be found; sorted by name.
std::span<const Shipped> shipped() noexcept;

}  // namespace ctlsign::softhsm
