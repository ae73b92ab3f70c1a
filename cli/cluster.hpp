#pragma once

#include <cli/command.hpp>

namespace ctlsign::cli {

/// The subcommands of `cluster`.
void add_cluster_init(CLI::App& parent, Action& action);
void add_cluster_node(CLI::App& parent, Action& action);
void add_cluster_certificate(CLI::App& parent, Action& action);
void add_cluster_modes(CLI::App& parent, Action& action);
void add_cluster_delete(CLI::App& parent, Action& action);
void add_cluster_token(CLI::App& parent, Action& action);
void add_cluster_release(CLI::App& parent, Action& action);
void add_cluster_rollback(CLI::App& parent, Action& action);
void add_cluster_adopt(CLI::App& parent, Action& action);
void add_cluster_restarted(CLI::App& parent, Action& action);
void add_cluster_status(CLI::App& parent, Action& action);
void add_cluster_expiry(CLI::App& parent, Action& action);
void add_cluster_recover(CLI::App& parent, Action& action);
void add_cluster_check(CLI::App& parent, Action& action);
void add_cluster_migration(CLI::App& parent, Action& action);
void add_cluster_backup(CLI::App& parent, Action& action);
void add_cluster_history(CLI::App& parent, Action& action);
void add_cluster_audit(CLI::App& parent, Action& action);

/// Of `cluster certificate`.
void add_cluster_regenerate(CLI::App& parent, Action& action);

}  // namespace ctlsign::cli
