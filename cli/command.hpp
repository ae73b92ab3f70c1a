#pragma once

#include <functional>
#include <string>

#include <CLI/App.hpp>
#include <cli/exit_code.hpp>

namespace ctlsign::cli {

/// What the command line asks for: set while it is parsed, run afterwards.
using Action = std::function<ExitCode()>;

/// A subcommand with one line of description and one example, the two parts of its --help and manual page.
CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& description,
                      const std::string& example);

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
void add_config(CLI::App& program, Action& action);
void add_cluster(CLI::App& program, Action& action);
void add_token(CLI::App& program, Action& action);
void add_phone(CLI::App& program, Action& action);
void add_tvs(CLI::App& program, Action& action);
void add_virtual(CLI::App& program, Action& action);
void add_completion(CLI::App& program, Action& action);
void add_manual(CLI::App& program, Action& action);

/// The whole tree of commands, from which help, completion and manual pages are made.
void add_commands(CLI::App& program, Action& action);

}  // namespace ctlsign::cli
