#pragma once

#include <string_view>

namespace ctlsign::softhsm {

/// The name of a CK_MECHANISM_TYPE, CKM_...; empty for a number without one in the PKCS#11 header.
std::string_view find_mechanism_name(unsigned long type) noexcept;

}  // namespace ctlsign::softhsm
