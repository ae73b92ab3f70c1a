#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <ctlsign/phone/decision.hpp>

namespace ctlsign::phone {

/// How one TVS server was met, as far as a phone's log tells.
struct TvsTrace {
    std::string address;
    enum class Met { NotConnected, NoHandshake, NotTrusted, Trusted };  ///< how far it came
    Met met = Met::NotConnected;
    std::size_t written = 0, received = 0;  ///< octets
};

/// What a phone logs of a list that it has judged, line by line.
std::vector<std::string> log_lines(const Verdict& verdict, const TrustList& list, const Model& model,
                                   const std::vector<TvsTrace>& servers);

/// The line among a phone's status messages after it has judged a list of this kind; BEFORE is what it had
/// then, AFTER what it has now.
std::string status_message(const Verdict& verdict, ListKind kind, const Installed& before,
                           const Installed& after);
/// The same of a list that cannot be read, or is refused.
std::string failed_update(ListKind kind, const Installed& before);
/// What it says at the end of its start.
std::string summary_message(const Installed& installed);
/// The line for FILE that its TFTP server does not have.
std::string file_not_found(std::string_view file);

}  // namespace ctlsign::phone
