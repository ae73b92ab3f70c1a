#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/nodes.hpp>
#include <ctlsign/cluster/ssh_session.hpp>
#include <ctlsign/cluster/target.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

struct ClusterNodeOptions {
    ClusterOptions cluster;
    std::string name, address, target, host_key, role = "CCM+TFTP";
    std::optional<std::string> identity;
    cluster::Place place = cluster::Place::Subscriber;
    Answer answer = Answer::Ask;
    Format format = Format::AsText;
};

Json to_json(const cluster::Node& node) {
    return {{"name", node.name},
            {"address", address_text(node.address).value_or("")},
            {"publisher", node.place == cluster::Place::Publisher},
            {"role", role_name(node.role)},
            {"target", node.target}};
}

std::string to_line(const cluster::Node& node) {
    return fmt::format("{} {} {}{}: {}\n", node.name, address_text(node.address).value_or(""),
                       role_name(node.role), node.place == cluster::Place::Publisher ? ", publisher" : "",
                       node.target);
}

cluster::Node make_node(const ClusterNodeOptions& options) {
    cluster::Node node;
    node.name = options.name;
    const auto address = find_address(options.address);
    if (!address) throw UsageError(fmt::format("--address {}: give an IP address", options.address));
    node.address = *address;
    node.place = options.place;
    const auto role = find_role(options.role);
    if (role != Role::Ccm && role != Role::CcmTftp && role != Role::Tftp)
        throw UsageError(fmt::format("--role {}: a node is CCM, CCM+TFTP or TFTP", options.role));
    node.role = *role;
    node.host_key = options.host_key;
    // Whoever runs the next command may stand in another folder.
    if (options.identity) node.identity = std::filesystem::absolute(*options.identity).string();
    node.target = options.target;
    if (options.target.starts_with("sftp://")) {
        if (!cluster::SftpAddress::parse(options.target))
            throw UsageError(fmt::format("--target {}: give sftp://USER@HOST[:PORT]/FOLDER", options.target));
    } else {
        node.target = std::filesystem::absolute(options.target).lexically_normal().string();
    }
    return node;
}

void require_new(const cluster::State& state, const cluster::Node& node) {
    if (state.find_node(node.name) != nullptr)
        throw UsageError(fmt::format("there is a node {} already", node.name));
    if (node.place == cluster::Place::Publisher && state.publisher() != nullptr)
        throw UsageError(fmt::format("{} is the publisher already", state.publisher()->name));
    const auto same = [&](const cluster::Node& other) { return other.target == node.target; };
    const auto other = std::ranges::find_if(state.nodes, same);
    if (other != state.nodes.end())
        throw UsageError(fmt::format("{} has the files of {} already", node.target, other->name));
}

ExitCode add(const ClusterNodeOptions& options) {
    const cluster::Node node = make_node(options);
    Administration administration(options.cluster, "cluster node add");
    require_new(administration.database.load(), node);
    cluster::open_target(node)->load();
    cluster::backup_before_change(administration.database);
    cluster::add_node(administration.writer, node);
    options.format == Format::AsJson ? print_json(to_json(node)) : print(to_line(node));
    return ExitCode::Done;
}

ExitCode remove(const ClusterNodeOptions& options) {
    cluster::Database database = cluster::Database::open(options.cluster.path);
    // What was under way is left as it is: a node that is gone for good may be what it waits for.
    cluster::Writer writer(database, "cluster node remove", std::chrono::seconds(10));
    const cluster::State state = database.load();
    const cluster::Node& node = get_node(state, options.name);
    confirm(fmt::format("Forget {} and its certificates? (y/n):", node.name), options.answer);
    cluster::backup_before_change(database);
    cluster::remove_node(writer, node);
    if (options.format == Format::AsJson) print_json(to_json(node));
    return ExitCode::Done;
}

ExitCode list(const ClusterNodeOptions& options) {
    const cluster::State state = cluster::Database::open_to_read(options.cluster.path).load();
    Json json = Json::array();
    std::string text;
    for (const cluster::Node& node : state.nodes) {
        json.push_back(to_json(node));
        text += to_line(node);
    }
    options.format == Format::AsJson ? print_json({{"nodes", std::move(json)}}) : print(text);
    return ExitCode::Done;
}

}  // namespace

void add_cluster_node(Command parent, Action& action) {
    Command node =
        add_command(parent, "node", "The servers that give phones their files", "ctlsign cluster node list");
    node.require_subcommand();

    const auto options = std::make_shared<ClusterNodeOptions>();
    Command adding = add_command(
        node, "add", "Add a server; the publisher is the first of a cluster",
        "ctlsign cluster node add cucm-pub --publisher --address 10.48.47.153 --target /srv/tftp/pub");
    add_cluster_option(adding, options->cluster);
    adding.add_option("NAME", options->name, "Host name, as certificates and CTL say it").required();
    adding.add_option("--address", options->address, "IP address, as the CTL says it")
        .type_name("ADDRESS")
        .required();
    adding
        .add_option("--target", options->target,
                    "Where the files are that it serves by TFTP: a folder, or sftp://USER@HOST/FOLDER")
        .type_name("FOLDER")
        .required();
    adding.add_option("--role", options->role, "CCM+TFTP (default), CCM or TFTP: the services that it runs")
        .type_name("ROLE");
    adding
        .add_option("--host-key", options->host_key,
                    "Of an SSH server, as ssh-keygen -l prints it: SHA256:...")
        .type_name("KEY");
    adding
        .add_option("--identity", options->identity,
                    "A private key to log in with; default: those of the SSH agent")
        .type_name("FILE");
    adding.add_flag_callback(
        "--publisher", [options] { options->place = cluster::Place::Publisher; }, "The cluster's publisher");
    add_json_flag(adding, options->format);
    adding.callback([&action, options] { action = [options] { return add(*options); }; });

    Command removing = add_command(node, "remove", "Forget a server and its certificates; its files stay",
                                   "ctlsign cluster node remove cucm-sub3");
    add_cluster_option(removing, options->cluster);
    removing.add_option("NAME", options->name, "The server").required();
    add_yes_flag(removing, options->answer);
    add_json_flag(removing, options->format);
    removing.callback([&action, options] { action = [options] { return remove(*options); }; });

    Command listing =
        add_command(node, "list", "The servers, the publisher first", "ctlsign cluster node list");
    add_cluster_option(listing, options->cluster);
    add_json_flag(listing, options->format);
    listing.callback([&action, options] { action = [options] { return list(*options); }; });
}

}  // namespace ctlsign::cli
