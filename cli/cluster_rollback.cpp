#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/parameters.hpp>

namespace ctlsign::cli {

namespace {

struct ClusterRollbackOptions {
    ClusterOptions cluster;
    std::string value;
    Force force = Force::No;
    Format format = Format::AsText;
};

ExitCode run(const ClusterRollbackOptions& options) {
    if (options.value != "True" && options.value != "False")
        throw UsageError("the parameter is True or False");
    Administration administration(options.cluster, "cluster rollback-parameter");
    std::vector<cluster::Refusal> refusals;
    if (options.value == "True") {
        if (auto refusal = check_rollback(administration.database.load()))
            refusals.push_back(std::move(*refusal));
    }
    require_allowed(refusals, options.force);
    cluster::backup_before_change(administration.database);
    append_forced(administration.writer, "rollback-parameter", refusals);
    set_rollback(administration.writer, options.value);
    if (options.format == Format::AsJson) print_json({{"rollback-parameter", options.value}});
    return ExitCode::Done;
}

}  // namespace

void add_cluster_rollback(Command parent, Action& action) {
    const auto options = std::make_shared<ClusterRollbackOptions>();
    Command command =
        add_command(parent, "rollback-parameter",
                    "Note the value of the parameter \"Prepare cluster for rollback to pre-8.0\"",
                    "ctlsign cluster rollback-parameter False");
    add_cluster_option(command, options->cluster);
    command.add_option("VALUE", options->value, "True or False").required();
    add_force_flag(command, options->force);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
