#include <fmt/format.h>

#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/cluster_nodes.hpp>
#include <cli/expiry_report.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/contents.hpp>
#include <ctlsign/cluster/operation.hpp>
#include <ctlsign/cluster/services.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/show.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

struct ClusterStatusOptions {
    ClusterOptions cluster;
    Format format = Format::AsText;
};

Json ctl_json(const cluster::Publication& published, const TrustList& list) {
    const Checksums sums = checksums(published.octets);
    return {{"secured-by", to_text(published.way)},
            {"signer", list.signer_name()},
            {"digest", to_text(list.digest())},
            {"length", published.octets.size()},
            {"records", list.records().size()},
            {"md5", sums.md5},
            {"sha1", sums.sha1},
            {"published", format_utc(published.time)}};
}

ExitCode run(const ClusterStatusOptions& options) {
    const cluster::Database database = cluster::Database::open_to_read(options.cluster.path);
    const cluster::State state = database.load();
    Json json{{"cluster", state.name},
              {"release", state.release.text()},
              {"mode", to_text(state.mode)},
              {"ClusterSecurityMode", static_cast<int>(state.mode)}};
    std::string text = fmt::format("Cluster {}, release {}, {} mode\n", state.name, state.release.text(),
                                   to_text(state.mode));
    if (const auto unfinished = find_unfinished(database)) {
        json["unfinished"] = {{"operation", unfinished->operation},
                              {"started", format_utc(unfinished->started)}};
        text += fmt::format(
            "{} of {} was ended in the middle: the next command that changes the cluster ends it\n",
            unfinished->operation, format_utc(unfinished->started));
    }
    if (const auto way = find_way_out(database)) {
        json["recovery"] = *way;
        text += describe_way_out(*way) + "\n";
    }
    if (const cluster::Publication* published = state.ctl()) {
        const TrustList list = decode_list(ByteView(published->octets));
        json["ctl"] = ctl_json(*published, list);
        text += fmt::format("CTL of {}: {} octets, {} records, signed by {} with {} ({})\n",
                            format_utc(published->time), published->octets.size(), list.records().size(),
                            printable(list.signer_name()), to_text(list.digest()), to_text(published->way));
    } else {
        text += "No CTL File exists on the server\n";
    }
    Json& nodes = json["nodes"] = Json::array();
    bool agree = true;
    for (const cluster::Node& node : state.nodes) {
        const ServedFile row = look_at(node, state);
        Json entry{{"node", row.name}};
        if (row.sums) {
            entry["md5"] = row.sums->md5;
            entry["sha1"] = row.sums->sha1;
        }
        if (!row.problem.empty()) entry["problem"] = row.problem;
        nodes.push_back(std::move(entry));
        text +=
            fmt::format("{}: {}{}{}\n", row.name,
                        row.sums ? fmt::format("{}(MD5) {}(SHA1)", row.sums->md5, row.sums->sha1) : "no CTL",
                        row.problem.empty() ? "" : "; ", row.problem);
        agree = agree && row.problem.empty();
    }
    json["nodes-agree"] = agree;
    Json& stale = json["not-in-ctl"] = Json::array();
    for (const cluster::StoredCertificate* stored : find_not_in_ctl(state))
        stale.push_back({{"store", to_text(stored->store)},
                         {"node", state.find_node(stored->node)->name},
                         {"subject", stored->certificate.subject_text()},
                         {"serial", to_hex(stored->certificate.serial())}});
    const bool current = stale.empty();
    if (!current) json["remake-with"] = remaking_command(state);
    for (const std::string& line : describe_not_in_ctl(state)) text += line + "\n";
    Json& restarts = json["restart"] = Json::array();
    for (const cluster::Restart& restart : list_restarts(database)) {
        restarts.push_back(
            {{"service", to_text(restart.service)}, {"node", restart.node}, {"reason", restart.reason}});
        text +=
            fmt::format("restart {} on {} ({})\n", to_text(restart.service), restart.node, restart.reason);
    }
    if (!restarts.empty()) text += "then reset all phones, and run ctlsign cluster restarted\n";
    Json& expiries = json["expires"] = Json::array();
    for (const cluster::Expiry& expiry : list_expiries(state, unix_now())) {
        if (expiry.urgency == cluster::Urgency::Fine) continue;
        expiries.push_back(expiry_json(expiry));
        text += expiry_line(expiry);
    }
    options.format == Format::AsJson ? print_json(json) : print(text);
    return agree && current ? ExitCode::Done : ExitCode::No;
}

}  // namespace

void add_cluster_status(Command parent, Action& action) {
    const auto options = std::make_shared<ClusterStatusOptions>();
    Command command = add_command(
        parent, "status",
        "Mode, signer and what every node serves. Exit 0: all the same, and of today's certificates",
        "ctlsign cluster status --json");
    add_cluster_option(command, options->cluster);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
