#include <cli/command.hpp>
#include <cli/token.hpp>

namespace ctlsign::cli {

void add_token_commands(Command command, Action& action) {
    add_token_list(command, action);
    add_token_watch(command, action);
    add_token_doctor(command, action);
    add_token_ready(command, action);
    add_token_rehearse(command, action);
    add_token_selftest(command, action);
    add_token_export(command, action);
    add_token_forget(command, action);
    add_token_provision(command, action);
}

}  // namespace ctlsign::cli
