#include <fmt/format.h>

#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/audit.hpp>

namespace ctlsign::cli {

namespace {

struct ClusterAuditOptions {
    ClusterOptions cluster;
    std::optional<std::string> head;
    bool verify = false;
    Format format = Format::AsText;
};

ExitCode verify(const cluster::Database& database, const ClusterAuditOptions& options) {
    const cluster::AuditVerdict verdict = verify_audit(database, options.head);
    const bool good = !verdict.broken && verdict.head_found;
    if (options.format == Format::AsJson) {
        Json json{{"entries", verdict.entries}, {"head", verdict.head}, {"intact", good}};
        if (verdict.broken) json["broken"] = *verdict.broken;
        print_json(json);
    } else if (verdict.broken) {
        print(fmt::format("entry {} does not follow from the one before: it, or one before it, was changed\n",
                          *verdict.broken));
    } else if (!verdict.head_found) {
        print(
            fmt::format("no entry has the hash {}: the last ones were cut off, or changed\n", *options.head));
    } else {
        print(fmt::format("{} entries, each follows from the one before; head {}\n", verdict.entries,
                          verdict.head));
    }
    return good ? ExitCode::Done : ExitCode::No;
}

ExitCode run(const ClusterAuditOptions& options) {
    const cluster::Database database = cluster::Database::open_to_read(options.cluster.path);
    if (options.verify || options.head) return verify(database, options);
    read_audit(database, [](const std::string& line) { print(line + '\n'); });
    return ExitCode::Done;
}

}  // namespace

void add_cluster_audit(Command parent, Action& action) {
    const auto options = std::make_shared<ClusterAuditOptions>();
    Command command = add_command(
        parent, "audit", "Who did what and when, as JSON lines; each holds the SHA-256 of the one before",
        "ctlsign cluster audit --verify");
    add_cluster_option(command, options->cluster);
    command.add_flag("--verify", options->verify, "Whether the chain is whole. Exit 0: it is");
    command.add_option("--head", options->head, "A head noted earlier: the chain must still hold it")
        .type_name("HEX");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
