#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/cluster/services.hpp>
#include <ctlsign/cluster/state.hpp>

namespace ctlsign::cluster {

/// How soon somebody has to do something about a certificate.
enum class Urgency {
    Fine,
    Warning,  ///< expires in thirty days
    Alarm,    ///< in seven days, or has expired
};
std::string_view to_text(Urgency urgency) noexcept;  ///< "fine", "warning", "alarm"

/// One certificate and the end of its validity.
struct Expiry {
    std::string where;  ///< "CallManager of cucm-pub", "Phone-SAST-trust", "token SAST-ADN008580ef"
    sast::Certificate certificate;
    std::int64_t days = 0;  ///< whole days that are left; negative when it has expired
    Urgency urgency = Urgency::Fine;
    std::string_view breaks;  ///< what no longer works then
    /// What an administrator does about a server's own: the command that makes a new one, then what to
    /// restart.
    std::string renewal;
    std::vector<Service> restarts;
};
/// Every certificate of the stores and every token in use, the one that expires first before the others. NOW
/// is in Unix seconds.
std::vector<Expiry> list_expiries(const State& state, std::int64_t now);

}  // namespace ctlsign::cluster
