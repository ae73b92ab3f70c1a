#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ctlsign/cluster/rules.hpp>
#include <ctlsign/cluster/target.hpp>

namespace ctlsign::cluster {

/// A node that was reached, and what it serves.
struct ReachedNode {
    Node node;
    std::unique_ptr<Target> target;
    std::optional<Bytes> octets;
};
/// Every node. Throws Errc::NodeFailed, naming the first that cannot be reached or read.
std::vector<ReachedNode> reach_nodes(const std::vector<Node>& nodes);
/// The nodes-agree rule: each serves what was published last.
std::vector<Refusal> check_nodes(const State& state, const std::vector<ReachedNode>& nodes);

/// Each node's part of a publication of OCTETS (nothing: the file goes), prepared and flushed; none is
/// switched. Throws Errc::NodeFailed.
void prepare_nodes(std::vector<ReachedNode>& nodes, const std::optional<Bytes>& octets);
/// Every node from what it serves to what was prepared, read again afterwards; or none of them. Throws
/// Errc::NodeFailed when all have gone back, Errc::Unfinished when one could not.
void switch_nodes(std::vector<ReachedNode>& nodes, const std::optional<Bytes>& octets);
/// NODE serves OCTETS afterwards, whatever it served when a process was killed.
void bring_to(const ReachedNode& node, const std::optional<Bytes>& octets);

}  // namespace ctlsign::cluster
