#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/services.hpp>

namespace ctlsign::cli {

void add_cluster_restarted(Command parent, Action& action) {
    const auto options = std::make_shared<ClusterOptions>();
    Command command = add_command(
        parent, "restarted", "Note that the services which status names are restarted, and the phones reset",
        "ctlsign cluster restarted");
    add_cluster_option(command, *options);
    command.callback([&action, options] {
        action = [options] {
            Administration administration(*options, "cluster restarted");
            cluster::backup_before_change(administration.database);
            clear_restarts(administration.writer);
            return ExitCode::Done;
        };
    });
}

}  // namespace ctlsign::cli
