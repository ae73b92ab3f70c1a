#include <cli/command.hpp>

// For those who test software of their own: the commands of `ctlsign virtual`, and nothing else.
namespace ctlsign::cli {

const char* program_name() noexcept {
    return "ctlsign-virtual-token";
}

void add_commands(Command program, Action& action) {
    program.description("Virtual PKCS#11 tokens for tests, in the folder CTLSIGN_VIRTUAL_TOKENS");
    program.example("CTLSIGN_VIRTUAL_TOKENS=$PWD/tokens ctlsign-virtual-token list");
    add_virtual_commands(program, action);
    add_completion(program, action);
    add_manual(program, action);
}

void add_every_group(Command /*program*/, Action& /*action*/) {}

}  // namespace ctlsign::cli
