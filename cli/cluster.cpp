#include <cli/cluster.hpp>
#include <cli/command.hpp>

namespace ctlsign::cli {

void add_cluster_commands(Command command, Action& action) {
    add_cluster_init(command, action);
    add_cluster_node(command, action);
    add_cluster_certificate(command, action);
    add_cluster_modes(command, action);
    add_cluster_delete(command, action);
    add_cluster_token(command, action);
    add_cluster_release(command, action);
    add_cluster_rollback(command, action);
    add_cluster_adopt(command, action);
    add_cluster_restarted(command, action);
    add_cluster_status(command, action);
    add_cluster_expiry(command, action);
    add_cluster_recover(command, action);
    add_cluster_check(command, action);
    add_cluster_migration(command, action);
    add_cluster_backup(command, action);
    add_cluster_history(command, action);
    add_cluster_audit(command, action);
}

}  // namespace ctlsign::cli
