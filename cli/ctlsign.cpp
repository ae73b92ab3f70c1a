#include <array>
#include <cstddef>

#include <cli/command.hpp>

namespace ctlsign::cli {

const char* program_name() noexcept {
    return "ctlsign";
}

namespace {

// A command of commands.
struct Group {
    const char *name, *description, *example;
    void (*add_below)(Command command, Action& action);
};

constexpr std::array kGroups{
    Group{"config", "Signed configuration files (.sgn), many at once",
          "ctlsign config sign *.cnf.xml --signer tftp.pem", add_config_commands},
    Group{"token", "Tokens: what is plugged in, and whether it can sign", "ctlsign token list",
          add_token_commands},
    Group{"cluster", "The trust lists of a cluster over the years: modes, updates, tokens",
          "ctlsign cluster status", add_cluster_commands},
    Group{"phone", "Phones: what they have, and whether they will take a new list",
          "ctlsign phone preflight NEW.tlv --known CTLFile.tlv --known ITLFile.tlv", add_phone_commands},
    Group{"tvs", "The Trust Verification Service that phones ask about a signer they do not know",
          "ctlsign tvs serve --key tvs.pem --database tvs.db --ctl CTLFile.tlv", add_tvs_commands},
    Group{"virtual", "Virtual tokens for tests, in the folder CTLSIGN_VIRTUAL_TOKENS",
          "CTLSIGN_VIRTUAL_TOKENS=$PWD/tokens ctlsign virtual list", add_virtual_commands},
};

}  // namespace

void add_commands(Command program, Action& action) {
    program.description("Cisco trust lists, signed with PKCS#11 tokens or the publisher's key");
    program.example("ctlsign show CTLFile.tlv");
    add_show(program, action);
    add_verify(program, action);
    add_diff(program, action);
    add_build(program, action);
    add_resign(program, action);
    add_prepare(program, action);
    add_attach(program, action);
    add_extract(program, action);
    for (const Group& group : kGroups) {
        Command command = add_command(program, group.name, group.description, group.example);
        command.require_subcommand();
        command.before_reading([command, &action, &group] { group.add_below(command, action); });
    }
    add_completion(program, action);
    add_manual(program, action);
}

void add_every_group(Command program, Action& action) {
    for (const Group& group : kGroups) group.add_below(program.subcommand(group.name), action);
}

}  // namespace ctlsign::cli
