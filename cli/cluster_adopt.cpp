#include <fmt/format.h>

#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/operation.hpp>

namespace ctlsign::cli {

namespace {

struct ClusterAdoptOptions {
    ClusterOptions cluster;
    Answer answer = Answer::Ask;
    Format format = Format::AsText;
};

ExitCode run(const ClusterAdoptOptions& options) {
    Administration administration(options.cluster, "cluster adopt");
    const cluster::State before = administration.database.load();
    const auto nodes = cluster::reach_nodes(before.nodes);
    if (nodes.empty()) throw UsageError("the cluster has no nodes: add them with ctlsign cluster node add");
    for (const cluster::ReachedNode& node : nodes) {
        if (!node.octets)
            throw NotValid(fmt::format("{} serves no CTL: there is nothing to adopt", node.node.name));
        if (!equal(*node.octets, *nodes.front().octets))
            throw NotValid(
                fmt::format("{} and {} serve different CTLs: bring the right one to every node first",
                            nodes.front().node.name, node.node.name));
    }
    confirm("Take the CTL that the nodes serve for the cluster's own? (y/n):", options.answer);
    cluster::backup_before_change(administration.database);
    adopt(administration.writer, *nodes.front().octets);
    const cluster::State state = administration.database.load();
    if (options.format == Format::AsJson)
        print_json({{"mode", to_text(state.mode)}, {"secured-by", to_text(state.last->way)}});
    else
        print(fmt::format("{} mode, signed by {}\n", to_text(state.mode),
                          state.last->way == cluster::Way::Tokens ? "a token" : "the publisher's key"));
    return ExitCode::Done;
}

}  // namespace

void add_cluster_adopt(Command parent, Action& action) {
    const auto options = std::make_shared<ClusterAdoptOptions>();
    Command command = add_command(
        parent, "adopt",
        "Begin with the CTL that the nodes serve already: mode, signer and tokens are read from it",
        "ctlsign cluster adopt");
    add_cluster_option(command, options->cluster);
    add_yes_flag(command, options->answer);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
