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

void add_timestamp_option(CLI::App& command, std::string& time) {
    command
        .add_option("--timestamp", time,
                    "Time of signing: Unix seconds or RFC 3339 (else SOURCE_DATE_EPOCH, the manifest, now)")
        ->type_name("TIME");
}

void add_commands(CLI::App& program, Action& action) {
    program.description("Cisco trust lists, signed with PKCS#11 tokens or the publisher's key");
    program.footer("Example:\n  ctlsign show CTLFile.tlv");
    add_show(program, action);
    add_verify(program, action);
    add_diff(program, action);
    add_build(program, action);
    add_resign(program, action);
    add_prepare(program, action);
    add_attach(program, action);
    add_extract(program, action);
    add_config(program, action);
    add_token(program, action);
    add_cluster(program, action);
    add_phone(program, action);
    add_tvs(program, action);
    add_virtual(program, action);
    add_completion(program, action);
    add_manual(program, action);
}

}  // namespace ctlsign::cli
