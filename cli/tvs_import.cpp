#include <fmt/format.h>

#include <memory>

#include <cli/exit_code.hpp>
#include <cli/json.hpp>
#include <cli/output.hpp>
#include <cli/terminal.hpp>
#include <cli/tvs.hpp>
#include <ctlsign/cluster/phones.hpp>
#include <ctlsign/tvs/database.hpp>

namespace ctlsign::cli {

namespace {

struct TvsImportOptions {
    std::string file, cluster, output;
    Existing existing = Existing::Kept;
    Format format = Format::AsText;
};

tvs::Database load(const TvsImportOptions& options) {
    if (options.file.empty() == options.cluster.empty())
        throw UsageError("give a FILE, or --cluster: one of them");
    if (!options.file.empty()) return tvs::Database::load(options.file);
    return {cluster::tvs_database(cluster::Database::open_to_read(options.cluster).load()), {}};
}

ExitCode run(const TvsImportOptions& options) {
    require_output(options.output, {options.file, options.cluster});
    const auto database = load(options);
    tvs::store_database(options.output, database.entries, options.existing);
    for (const std::string& problem : database.problems) print_warning("left out: " + problem);
    if (options.format == Format::AsJson) {
        Json json{{"file", options.output}, {"certificates", Json::array()}, {"left-out", database.problems}};
        for (const auto& entry : database.entries) {
            Json one{
                {"subject", entry.certificate.subject_text()}, {"roles", Json::array()}, {"ttl", entry.ttl}};
            for (const Role role : entry.roles) one["roles"].push_back(role_name(role));
            json["certificates"].push_back(std::move(one));
        }
        print_json(json);
    } else {
        print(fmt::format("{}: {} certificates, {} left out\n", options.output, database.entries.size(),
                          database.problems.size()));
    }
    return database.problems.empty() ? ExitCode::Done : ExitCode::No;
}

}  // namespace

void add_tvs_import(Command parent, Action& action) {
    const auto options = std::make_shared<TvsImportOptions>();
    Command command = add_command(
        parent, "import-database",
        "Take over the database of the open TVS server, each row checked (exit 1 when some are left out), or "
        "make one of a cluster's certificate stores",
        "ctlsign tvs import-database /var/lib/tvs/tvs.sqlite3 -o tvs.db");
    command.add_option("FILE", options->file, "SQLite file with the table 'certificates'");
    command
        .add_option("--cluster", options->cluster,
                    "Instead of FILE: a cluster's file, for what its certificate stores vouch for")
        .type_name("FILE");
    command.add_option("-o,--output", options->output, "The new database").type_name("FILE").required();
    command.add_flag_callback(
        "--replace", [options] { options->existing = Existing::Replaced; },
        "Put it in the place of a database that is there; a server that answers from that takes it up");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
