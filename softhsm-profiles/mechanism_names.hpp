#pragma once

#include <optional>
#include <string_view>

namespace ctlsign::softhsm {

/// CK_MECHANISM_TYPE of a name, CKM_...; nothing for a name that the PKCS#11 header does not have.
std::optional<unsigned long> find_mechanism_type(std::string_view name) noexcept;
/// Its name; empty for a number without one.
std::string_view find_mechanism_name(unsigned long type) noexcept;

}  // namespace ctlsign::softhsm
