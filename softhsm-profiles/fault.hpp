#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

namespace ctlsign::softhsm {

/// One line of a fault script: what happens to a call, after a time, or after signatures.
struct Fault {
    enum class Trigger { Call, Time, Signatures };
    enum class Effect { Return, Delay, Crash, Corrupt, Hang, Unplug, Plug };

    Trigger trigger = Trigger::Call;
    std::string function;               ///< Call: C_...
    unsigned count = 1;                 ///< Call: which one, from 1; Signatures: how many
    std::chrono::milliseconds time{0};  ///< Time
    Effect effect = Effect::Return;
    unsigned long rv = 0;                ///< Return: CK_RV
    std::chrono::milliseconds delay{0};  ///< Delay
    std::string token;                   ///< Unplug, Plug: its name

    bool operator==(const Fault&) const = default;
};

/// Reads a line such as "on C_Sign #3 return CKR_DEVICE_ERROR" or "at 500ms unplug A". Throws
/// Errc::MalformedFault.
Fault decode_fault(std::string_view line);
/// The line again.
std::string encode_fault(const Fault& fault);

/// Adds a line to the script of FOLDER, which programs may be playing. Throws Errc::MalformedFault.
void add_fault(const std::filesystem::path& folder, const Fault& fault);

}  // namespace ctlsign::softhsm
