#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include <cli/exit_code.hpp>

// CLI11 is headers alone, and costs every file that includes them four seconds: command.cpp, tree.cpp and
// main.cpp do.
namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace ctlsign::cli {

/// What the command line asks for: set while it is parsed, run afterwards.
using Action = std::function<ExitCode()>;

/// The program that this is: "ctlsign", or "ctlsign-virtual-token". Its commands are in the source file of
/// that name.
const char* program_name() noexcept;

/// An option or argument; each function says one more thing of it.
class Option {
  public:
    explicit Option(CLI::Option& option) noexcept : option_(&option) {}

    Option& type_name(const std::string& name);
    Option& required();
    /// Whole numbers from LEAST to MOST.
    Option& within(unsigned least, unsigned most);
    Option& needs(const std::string& other);
    Option& excludes(const std::string& other);
    /// One value each time that it is given, where it may be given many times.
    Option& one_value();
    /// Of an argument: exactly one, though it is kept in a list.
    Option& once();

  private:
    CLI::Option* option_;
};

/// A command, or the program: a name for what CLI11 holds as long as the command line is read.
class Command {
  public:
    explicit Command(CLI::App& app) noexcept : app_(&app) {}

    /// VALUE must outlive the reading; T is one of those that command.cpp names.
    template <typename T>
    Option add_option(const std::string& names, T& value, const std::string& description);
    void add_flag(const std::string& names, bool& value, const std::string& description);
    Option add_flag_callback(const std::string& names, std::function<void()> given,
                             const std::string& description);
    void description(const std::string& text);
    void example(const std::string& command_line);
    /// Not in the help, nor in the manual.
    void hide();
    void require_subcommand();
    Command add_subcommand(const std::string& name, const std::string& description);
    Command subcommand(const std::string& name) const;
    /// Before anything behind its name is read.
    void before_reading(std::function<void()> then);
    /// When all was read.
    void callback(std::function<void()> then);
    /// How it is called: "ctlsign config sign".
    std::string command_line() const;

    const CLI::App& parsed() const noexcept { return *app_; }

  private:
    CLI::App* app_;
};

/// A subcommand with one line of description and one example, the two parts of its --help and manual page.
Command add_command(Command parent, const std::string& name, const std::string& description,
                    const std::string& example);

/// --json, where a command reports.
enum class Format { AsText, AsJson };
void add_json_flag(Command command, Format& format);

/// --timestamp.
void add_timestamp_option(Command command, std::string& time);

/// Each adds its command, which sets ACTION when it is called.
void add_show(Command program, Action& action);
void add_verify(Command program, Action& action);
void add_diff(Command program, Action& action);
void add_build(Command program, Action& action);
void add_resign(Command program, Action& action);
void add_prepare(Command program, Action& action);
void add_attach(Command program, Action& action);
void add_extract(Command program, Action& action);
void add_completion(Command program, Action& action);
void add_manual(Command program, Action& action);

/// Each adds the commands below COMMAND.
void add_config_commands(Command command, Action& action);
void add_token_commands(Command command, Action& action);
void add_cluster_commands(Command command, Action& action);
void add_phone_commands(Command command, Action& action);
void add_tvs_commands(Command command, Action& action);
void add_virtual_commands(Command command, Action& action);

/// Adds all commands; what stands below one when that is called, as a run needs one of them.
void add_commands(Command program, Action& action);
/// Adds what stands below each, for what describes the whole program.
void add_every_group(Command program, Action& action);

}  // namespace ctlsign::cli
