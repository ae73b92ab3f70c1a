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

std::string command_line(const CLI::App& command) {
    const CLI::App* parent = command.get_parent();
    return parent == nullptr ? command.get_name() : command_line(*parent) + ' ' + command.get_name();
}

}  // namespace ctlsign::cli
