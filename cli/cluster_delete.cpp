#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_change.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/operation.hpp>

namespace ctlsign::cli {

namespace {

constexpr std::string_view kQuestion =
    "Delete the File CTLFile.tlv?\nEnter \"y\" followed by return to continue:";

// One node's file alone may go where no phone is secured by it.
void select_node(std::vector<cluster::ReachedNode>& nodes, const cluster::State& state,
                 const std::string& name) {
    const cluster::Node& wanted = get_node(state, name);
    if (state.mode == cluster::Mode::Mixed)
        refuse(cluster::Refusal{
            cluster::ClusterRule::ModeFits,
            "in mixed mode every node serves the same CTL: leave out --node to delete it from all of them",
            std::nullopt});
    const bool others_serve = std::ranges::any_of(
        nodes, [&](const auto& node) { return node.node.id != wanted.id && node.octets.has_value(); });
    if (others_serve) std::erase_if(nodes, [&](const auto& node) { return node.node.id != wanted.id; });
}

void report_dry_run(const std::vector<cluster::ReachedNode>& nodes, Format format) {
    const auto files = std::ranges::count_if(nodes, [](const auto& node) { return node.octets.has_value(); });
    if (format == Format::AsJson)
        print_json(
            {{"operation", to_text(cluster::Operation::DeleteCtl)}, {"found", files}, {"dry-run", true}});
    else
        print(fmt::format("CTLFile.tlv: would be deleted, on {} nodes; nothing is changed\n", files));
}

}  // namespace

ExitCode delete_ctl(const ChangeOptions& options, const std::string& node_name) {
    cluster::Request request;
    request.operation = cluster::Operation::DeleteCtl;
    Administration administration(options.cluster, "cluster delete-ctl");
    Outlook outlook = look_ahead(administration.database, Outset::Now);
    const cluster::State& state = outlook.state;
    auto& nodes = outlook.nodes;
    const cluster::Planned planned = work_out(request, outlook, options.force);
    require_allowed(planned.refusals, options.force);
    if (!node_name.empty()) select_node(nodes, state, node_name);
    if (options.dry_run) {
        report_dry_run(nodes, options.format);
        return ExitCode::Done;
    }
    confirm(kQuestion, options.answer);
    cluster::backup_before_change(administration.database);
    carry_out(administration.writer, *planned.plan, nullptr, nodes, planned.refusals);

    Json json{{"files", Json::array()}, {"messages", Json::array()}};
    std::string text;
    for (const cluster::ReachedNode& node : nodes) {
        const int found = node.octets ? 1 : 0;
        json["files"].push_back({{"node", node.node.name}, {"found", found}, {"deleted", found}});
        text += fmt::format("files: found = {}, deleted = {}\n", found, found);
    }
    if (state.mode == cluster::Mode::Mixed) {
        for (const char* line : {"No CTL File exists on the server but the Call Manager Cluster Security "
                                 "Mode is in Secure Mode.",
                                 "For the system to function, you must create the CTL File and set Call "
                                 "Manager Cluster the Secure Mode."}) {
            json["messages"].push_back(line);
            text += fmt::format("{}\n", line);
        }
    }
    options.format == Format::AsJson ? print_json(json) : print(text);
    return ExitCode::Done;
}

void add_cluster_delete(CLI::App& parent, Action& action) {
    const auto options = std::make_shared<ChangeOptions>();
    const auto node = std::make_shared<std::string>();
    CLI::App& command =
        add_command(parent, "delete-ctl", "Take the CTL from every node, before tokens sign again",
                    "ctlsign cluster delete-ctl");
    add_cluster_option(command, options->cluster);
    command.add_option("--node", *node, "From this one alone; in non-secure mode")->type_name("NAME");
    add_yes_flag(command, options->answer);
    add_force_flag(command, options->force);
    add_json_flag(command, options->format);
    command.callback(
        [&action, options, node] { action = [options, node] { return delete_ctl(*options, *node); }; });
}

}  // namespace ctlsign::cli
