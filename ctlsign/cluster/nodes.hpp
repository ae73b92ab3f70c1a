#pragma once

#include <ctlsign/cluster/database.hpp>

namespace ctlsign::cluster {

/// Adds NODE; its id is not looked at. Name and target must be new, and there is one publisher: the caller
/// has asked the state.
void add_node(Writer& writer, const Node& node);
/// With its own certificates.
void remove_node(Writer& writer, const Node& node);

}  // namespace ctlsign::cluster
