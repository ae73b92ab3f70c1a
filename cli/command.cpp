#include <cli/command.hpp>

namespace ctlsign::cli {

CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& description,
                      const std::string& example) {
    CLI::App& command = *parent.add_subcommand(name, description);
    command.footer("Example:\n  " + example);
    return command;
}

void add_json_flag(CLI::App& command, Format& format) {
    command.add_flag_callback(
        "--json", [&format] { format = Format::AsJson; }, "Report as JSON");
}

void add_commands(CLI::App& program, Action& action) {
    program.description("Cisco trust lists, signed with PKCS#11 tokens or the publisher's key");
    program.footer("Example:\n  ctlsign show CTLFile.tlv");
    add_show(program, action);
    add_verify(program, action);
    add_diff(program, action);
    add_prepare(program, action);
    add_attach(program, action);
    add_extract(program, action);
    add_token(program, action);
    add_completion(program, action);
    add_manual(program, action);
}

}  // namespace ctlsign::cli
