#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_change.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/operation.hpp>

namespace ctlsign::cli {

namespace {

constexpr std::string_view kQuestion =
    "Delete the File CTLFile.tlv?\nEnter \"y\" followed by return to continue:";

// WANTED, whose file alone goes. With the others where it is the last to serve one: then the cluster has
// none.
std::vector<cluster::ReachedNode> reach_alone(const cluster::State& state, const cluster::Node& wanted) {
    auto nodes = cluster::reach_nodes({wanted});
    if (state.ctl() == nullptr) return nodes;
    std::vector<cluster::ReachedNode> others;
    for (const cluster::Node& node : state.nodes) {
        if (node.id == wanted.id) continue;
        try {
            others.push_back(std::move(cluster::reach_nodes({node}).front()));
        } catch (const Error&) {
            return nodes;  // who is not there may serve one
        }
        if (others.back().octets) return nodes;
    }
    std::ranges::move(others, std::back_inserter(nodes));
    return nodes;
}

// What one node serves goes whatever it is; of all of them, only the CTL that was published.
cluster::Planned work_out_deletion(cluster::Request& request, Outlook& outlook, const std::string& node,
                                   Force force) {
    if (node.empty()) return work_out(request, outlook, force);
    request.extent = cluster::Extent::OneNode;
    const cluster::Node& wanted = get_node(outlook.state, node);
    cluster::Planned planned = plan(outlook.state, request);
    require_possible(planned.refusals, force);
    outlook.nodes = reach_alone(outlook.state, wanted);
    if (outlook.state.ctl() == nullptr && !outlook.nodes.front().octets)
        cluster::refuse({cluster::ClusterRule::CtlExists, "No CTL File exists on the server", std::nullopt});
    return planned;
}

// The lines of W8, where phones stay secured without a file.
std::vector<std::string> messages_in(cluster::Mode mode) {
    if (mode == cluster::Mode::NonSecure) return {};
    return {
        "No CTL File exists on the server but the Call Manager Cluster Security Mode is in Secure Mode.",
        "For the system to function, you must create the CTL File and set Call Manager Cluster the Secure "
        "Mode."};
}

Json report_dry_run(const std::vector<cluster::ReachedNode>& nodes, Format format) {
    const auto found = std::ranges::count_if(nodes, [](const auto& node) { return node.octets.has_value(); });
    if (format == Format::AsText)
        print(fmt::format("CTLFile.tlv: would be deleted, on {} nodes; nothing is changed\n", found));
    return {{"operation", to_text(cluster::Operation::DeleteCtl)}, {"found", found}, {"dry-run", true}};
}

}  // namespace

Json perform_deletion(Administration& administration, const ChangeOptions& options,
                      const std::string& node_name, const Amendment& amend) {
    cluster::Request request;
    request.operation = cluster::Operation::DeleteCtl;
    Outlook outlook = look_ahead(administration.database, Outset::Now);
    const cluster::State& state = outlook.state;
    auto& nodes = outlook.nodes;
    cluster::Planned planned = work_out_deletion(request, outlook, node_name, options.force);
    require_allowed(planned.refusals, options.force);
    if (amend) amend(*planned.plan);
    if (options.dry_run) return report_dry_run(nodes, options.format);
    confirm(kQuestion, options.answer);
    cluster::backup_before_change(administration.database);
    carry_out(administration.writer, *planned.plan, nullptr, nodes, planned.refusals);

    const auto steps = next_steps(*planned.plan);
    Json json{{"files", Json::array()}, {"messages", messages_in(state.mode)}, {"next", steps}};
    std::string text;
    for (const cluster::ReachedNode& node : nodes) {
        if (!node_name.empty() && node.node.name != node_name) continue;
        const int found = node.octets ? 1 : 0;
        json["files"].push_back({{"node", node.node.name}, {"found", found}, {"deleted", found}});
        text += fmt::format("files: found = {}, deleted = {}\n", found, found);
    }
    for (const std::string& line : messages_in(state.mode)) text += line + '\n';
    for (const std::string& line : steps) text += line + '\n';
    if (options.format == Format::AsText) print(text);
    return json;
}

namespace {

ExitCode run(const ChangeOptions& options, const std::string& node) {
    Administration administration(options.cluster, "cluster delete-ctl", purpose_of(options));
    const Json report = perform_deletion(administration, options, node);
    if (options.format == Format::AsJson) print_json(report);
    return ExitCode::Done;
}

}  // namespace

void add_cluster_delete(Command parent, Action& action) {
    const auto options = std::make_shared<ChangeOptions>();
    const auto node = std::make_shared<std::string>();
    Command command =
        add_command(parent, "delete-ctl", "Take the CTL from every node, before tokens sign again",
                    "ctlsign cluster delete-ctl");
    add_cluster_option(command, options->cluster);
    command.add_option("--node", *node, "From this one alone; in non-secure mode").type_name("NAME");
    add_yes_flag(command, options->answer);
    add_force_flag(command, options->force);
    add_json_flag(command, options->format);
    command.callback([&action, options, node] { action = [options, node] { return run(*options, *node); }; });
}

}  // namespace ctlsign::cli
