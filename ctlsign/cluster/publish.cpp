#include <fmt/format.h>

#include <ctlsign/cluster/publish.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/show.hpp>

namespace ctlsign::cluster {

namespace {

bool same(const std::optional<Bytes>& a, const std::optional<Bytes>& b) {
    return a.has_value() == b.has_value() && (!a || equal(*a, *b));
}

[[noreturn]] void node_failed(const Node& node, const std::exception& cause, std::string_view outcome) {
    throw Error(Errc::NodeFailed, "publishing", node.name, fmt::format("{}; {}", cause.what(), outcome));
}

void expect_served(Target& target, const Node& node, const std::optional<Bytes>& octets) {
    if (!same(target.load(), octets))
        throw Error(Errc::NodeFailed, "reading again", node.name, "it serves something else");
}

// Takes back those that were switched, the last first. What fails is told, and the journal stays.
void take_back(std::vector<ReachedNode*>& switched, std::string_view reason) {
    std::string failures;
    for (auto node = switched.rbegin(); node != switched.rend(); ++node) {
        try {
            (*node)->target->go_back();
            expect_served(*(*node)->target, (*node)->node, (*node)->octets);
        } catch (const std::exception& error) {
            failures +=
                fmt::format("{}{}: {}", failures.empty() ? "" : "; ", (*node)->node.name, error.what());
        }
    }
    if (!failures.empty())
        throw Error(Errc::Unfinished, "taking the nodes back", failures,
                    fmt::format("{}; the next ctlsign cluster command tries again", reason));
}

}  // namespace

std::vector<ReachedNode> reach_nodes(const std::vector<Node>& nodes) {
    std::vector<ReachedNode> reached;
    for (const Node& node : nodes) {
        try {
            auto target = open_target(node);
            auto octets = target->load();
            reached.push_back({node, std::move(target), std::move(octets)});
        } catch (const std::exception& error) {
            node_failed(node, error, "nothing was changed");
        }
    }
    return reached;
}

std::vector<Refusal> check_nodes(const State& state, const std::vector<ReachedNode>& nodes) {
    std::optional<Bytes> published;
    if (state.ctl() != nullptr) published = state.ctl()->octets;
    std::vector<Refusal> refusals;
    for (const ReachedNode& node : nodes) {
        // A node that came after the last publication has no file yet.
        if (!node.octets || same(node.octets, published)) continue;
        refusals.push_back(
            {ClusterRule::NodesAgree,
             fmt::format(
                 "{} serves a CTL (SHA1 {}) that is not the one published last: see ctlsign cluster status",
                 node.node.name, checksums(*node.octets).sha1),
             "it is replaced, and phones that hold it may refuse the new one"});
    }
    return refusals;
}

void prepare_nodes(std::vector<ReachedNode>& nodes, const std::optional<Bytes>& octets) {
    for (ReachedNode& node : nodes) {
        try {
            node.target->prepare(octets);
        } catch (const std::exception& error) {
            node_failed(node.node, error, "no node was switched");
        }
    }
}

void switch_nodes(std::vector<ReachedNode>& nodes, const std::optional<Bytes>& octets) {
    std::vector<ReachedNode*> switched;
    for (ReachedNode& node : nodes) {
        try {
            switched.push_back(&node);
            node.target->switch_over();
        } catch (const std::exception& error) {
            take_back(switched, error.what());
            node_failed(node.node, error, "every node has gone back to what it served");
        }
    }
    for (ReachedNode& node : nodes) {
        try {
            expect_served(*node.target, node.node, octets);
        } catch (const std::exception& error) {
            take_back(switched, error.what());
            node_failed(node.node, error, "every node has gone back to what it served");
        }
    }
}

void bring_to(const ReachedNode& node, const std::optional<Bytes>& octets) {
    if (same(node.target->load(), octets)) return;
    node.target->prepare(octets);
    node.target->switch_over();
    expect_served(*node.target, node.node, octets);
}

}  // namespace ctlsign::cluster
