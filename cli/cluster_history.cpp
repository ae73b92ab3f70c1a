#include <fmt/format.h>

#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/output.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/history.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

struct ClusterHistoryOptions {
    ClusterOptions cluster;
    std::optional<std::int64_t> number;
    std::string output;
    Format format = Format::AsText;
};

ExitCode store(const cluster::Database& database, const ClusterHistoryOptions& options) {
    const auto octets = cluster::find_published(database, options.number.value());
    if (!octets)
        throw UsageError(
            fmt::format("publication {} has no CTL: see ctlsign cluster history", *options.number));
    open_output(options.output, octets->size(), {options.cluster.path}).store(*octets);
    return ExitCode::Done;
}

ExitCode run(const ClusterHistoryOptions& options) {
    const cluster::Database database = cluster::Database::open_to_read(options.cluster.path);
    if (options.number) return store(database, options);
    Json json = Json::array();
    std::string text;
    for (const auto& entry : cluster::list_publications(database)) {
        Json row{{"number", entry.id},
                 {"time", format_utc(entry.time)},
                 {"operation", entry.operation},
                 {"mode", to_text(entry.mode)},
                 {"secured-by", to_text(entry.way)}};
        if (entry.length != 0) {
            row["signer"] = entry.signer;
            row["length"] = entry.length;
            row["md5"] = entry.md5;
            row["sha1"] = entry.sha1;
        }
        if (entry.withdrawn) row["withdrawn"] = true;
        json.push_back(std::move(row));
        text += fmt::format("{} {} {}, {} mode: {}{}\n", entry.id, format_utc(entry.time), entry.operation,
                            to_text(entry.mode),
                            entry.length == 0 ? "no CTL"
                                              : fmt::format("{} octets, {}(SHA1), signed by {}", entry.length,
                                                            entry.sha1, entry.signer),
                            entry.withdrawn ? "; a backup from before it was restored" : "");
    }
    options.format == Format::AsJson ? print_json({{"publications", std::move(json)}}) : print(text);
    return ExitCode::Done;
}

}  // namespace

void add_cluster_history(Command parent, Action& action) {
    const auto options = std::make_shared<ClusterHistoryOptions>();
    Command command = add_command(parent, "history", "Every CTL that was published, the last one last",
                                  "ctlsign cluster history --number 3 -o CTLFile.tlv");
    add_cluster_option(command, options->cluster);
    Option number = command.add_option("--number", options->number, "Write the CTL of this one");
    number.type_name("N");
    command.add_option("-o,--output", options->output, "The file to write")
        .type_name("FILE")
        .needs("--number");
    number.needs("--output");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
