#pragma once

#include <optional>
#include <string>

#include <ctlsign/cluster/state.hpp>
#include <ctlsign/trustlist/show.hpp>

namespace ctlsign::cli {

/// What one node serves, as far as it can be told.
struct ServedFile {
    std::string name;  ///< of the node
    std::optional<Checksums> sums;
    std::string problem;  ///< empty: what it is to serve
};
ServedFile look_at(const cluster::Node& node, const cluster::State& state);

/// REASON why NODE cannot be reached, and what to do when it never will be again.
std::string unreached(const cluster::Node& node, std::string_view reason);

}  // namespace ctlsign::cli
