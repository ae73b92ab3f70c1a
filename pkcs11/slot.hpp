#pragma once

#include <string>

namespace ctlsign::pkcs11 {

/// A module's number for a slot. It may change when a token is put in again: tokens are known by serial and
/// label.
enum class SlotId : unsigned long {};

/// CK_SLOT_INFO (PKCS#11 2.40, 3.2).
struct SlotInfo {
    SlotId id{};
    std::string description;
    std::string manufacturer;
    bool token_present = false;
    bool removable = false;
    bool hardware = false;
};

}  // namespace ctlsign::pkcs11
