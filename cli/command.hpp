#pragma once

#include <functional>
#include <string>

#include <CLI/App.hpp>
#include <cli/exit_code.hpp>

namespace ctlsign::cli {

/// What the command line asks for: set while it is parsed, run afterwards.
using Action = std::function<ExitCode()>;

/// The program that this is: "ctlsign", or "ctlsign-virtual-token". Its commands are in the source file of
/// that name.
const char* program_name() noexcept;

/// A subcommand with one line of description and one example, the two parts of its --help and manual page.
CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& description,
                      const std::string& example);

/// How COMMAND is called: "ctlsign config sign".
std::string command_line(const CLI::App& command);

/// --json, where a command reports.
enum class Format { AsText, AsJson };
void add_json_flag(CLI::App& command, Format& format);

/// --timestamp.
void add_timestamp_option(CLI::App& command, std::string& time);

/// Each adds its command, which sets ACTION when it is called.
void add_show(CLI::App& program, Action& action);
void add_verify(CLI::App& program, Action& action);
void add_diff(CLI::App& program, Action& action);
void add_build(CLI::App& program, Action& action);
void add_resign(CLI::App& program, Action& action);
void add_prepare(CLI::App& program, Action& action);
void add_attach(CLI::App& program, Action& action);
void add_extract(CLI::App& program, Action& action);
void add_completion(CLI::App& program, Action& action);
void add_manual(CLI::App& program, Action& action);

/// Each adds the commands below COMMAND.
void add_config_commands(CLI::App& command, Action& action);
void add_token_commands(CLI::App& command, Action& action);
void add_cluster_commands(CLI::App& command, Action& action);
void add_phone_commands(CLI::App& command, Action& action);
void add_tvs_commands(CLI::App& command, Action& action);
void add_virtual_commands(CLI::App& command, Action& action);

/// Adds all commands; what stands below one when that is called, as a run needs one of them.
void add_commands(CLI::App& program, Action& action);
/// Adds what stands below each, for what describes the whole program.
void add_every_group(CLI::App& program, Action& action);

}  // namespace ctlsign::cli
