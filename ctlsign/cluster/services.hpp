#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/cluster/database.hpp>

namespace ctlsign::cluster {

/// Services that take up a change when they are restarted, in the order in which that is done.
enum class Service { Capf, Tvs, Tftp, CallManager, CtiManager, DrfLocal, DrfMaster, Tomcat };
std::string_view to_text(Service service) noexcept;  ///< "CallManager", "DRF Local"

/// A service that is to be restarted on a node.
struct Restart {
    Service service{};
    std::string node;
    std::string reason;
};

/// Those that take up a new certificate of STORE.
std::span<const Service> services_of(Store store) noexcept;

/// After a new CTL: TFTP and CallManager, where they run. In the transaction under way.
void add_restarts_of_ctl(Writer& writer, std::string_view reason);
/// After a certificate of STORE changed on NODE. In the transaction under way.
void add_restarts_of(Writer& writer, Store store, const Node& node);
/// Of SERVICE on every node. In the transaction under way.
void add_restarts_everywhere(Writer& writer, Service service, std::string_view reason);
/// In the order in which to do them: by service, the publisher first; one server after the other.
std::vector<Restart> list_restarts(const Database& database);
/// They are done, and the phones are reset: what these fetch then tells them of every certificate, but for
/// those that in mixed mode wait for a CTL.
void clear_restarts(Writer& writer);

}  // namespace ctlsign::cluster
