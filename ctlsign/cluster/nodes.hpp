#pragma once

#include <ctlsign/cluster/database.hpp>

namespace ctlsign::cluster {

/// Adds NODE; its id is not looked at. Name and target must be new, and there is one publisher: the caller
/// has asked the state.
void add_node(Writer& writer, const Node& node);
/// With its own certificates.
void remove_node(Writer& writer, const Node& node);
/// The release that all nodes have now.
void set_release(Writer& writer, const Release& release);
/// The parameter "Prepare cluster for rollback to pre-8.0", "True" or "False".
void set_rollback(Writer& writer, std::string_view value);

}  // namespace ctlsign::cluster
