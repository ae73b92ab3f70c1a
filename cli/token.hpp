#pragma once

#include <cli/command.hpp>

namespace ctlsign::cli {

/// The subcommands of `token`, a file each.
void add_token_list(Command parent, Action& action);
void add_token_doctor(Command parent, Action& action);
void add_token_ready(Command parent, Action& action);
void add_token_rehearse(Command parent, Action& action);
void add_token_export(Command parent, Action& action);
void add_token_forget(Command parent, Action& action);
void add_token_watch(Command parent, Action& action);
void add_token_selftest(Command parent, Action& action);
void add_token_provision(Command parent, Action& action);

}  // namespace ctlsign::cli
