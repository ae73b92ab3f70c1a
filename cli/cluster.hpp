#pragma once

#include <cli/command.hpp>

namespace ctlsign::cli {

/// The subcommands of `cluster`.
void add_cluster_init(Command parent, Action& action);
void add_cluster_node(Command parent, Action& action);
void add_cluster_certificate(Command parent, Action& action);
void add_cluster_modes(Command parent, Action& action);
void add_cluster_delete(Command parent, Action& action);
void add_cluster_token(Command parent, Action& action);
void add_cluster_release(Command parent, Action& action);
void add_cluster_rollback(Command parent, Action& action);
void add_cluster_adopt(Command parent, Action& action);
void add_cluster_restarted(Command parent, Action& action);
void add_cluster_status(Command parent, Action& action);
void add_cluster_expiry(Command parent, Action& action);
void add_cluster_recover(Command parent, Action& action);
void add_cluster_check(Command parent, Action& action);
void add_cluster_migration(Command parent, Action& action);
void add_cluster_backup(Command parent, Action& action);
void add_cluster_history(Command parent, Action& action);
void add_cluster_audit(Command parent, Action& action);

/// Of `cluster certificate`.
void add_cluster_regenerate(Command parent, Action& action);

}  // namespace ctlsign::cli
