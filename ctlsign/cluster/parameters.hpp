#pragma once

#include <string_view>

#include <ctlsign/cluster/database.hpp>
#include <ctlsign/cluster/release.hpp>

namespace ctlsign::cluster {

/// The release that all nodes have now.
void set_release(Writer& writer, const Release& release);
/// The parameter "Prepare cluster for rollback to pre-8.0", "True" or "False".
void set_rollback(Writer& writer, std::string_view value);

}  // namespace ctlsign::cluster
