#pragma once

#include <cli/command.hpp>

namespace ctlsign::cli {

/// The subcommands of `token`, a file each.
void add_token_list(CLI::App& parent, Action& action);
void add_token_doctor(CLI::App& parent, Action& action);
void add_token_ready(CLI::App& parent, Action& action);
void add_token_rehearse(CLI::App& parent, Action& action);
void add_token_export(CLI::App& parent, Action& action);
void add_token_forget(CLI::App& parent, Action& action);
void add_token_watch(CLI::App& parent, Action& action);
void add_token_selftest(CLI::App& parent, Action& action);
void add_token_provision(CLI::App& parent, Action& action);

}  // namespace ctlsign::cli
