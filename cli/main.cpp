#include <fmt/format.h>
#include <sys/stat.h>

#include <csignal>
#include <exception>
#include <new>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cli/command.hpp>
#include <cli/terminal.hpp>

namespace ctlsign::cli {

namespace {

// What was wrong with the command line, and the command that was being read.
std::string usage_line(const CLI::App& program, const CLI::ParseError& error) {
    std::string path = program.get_name();
    const CLI::App* command = &program;
    while (!command->get_subcommands().empty()) {
        command = command->get_subcommands().front();
        path += ' ' + command->get_name();
    }
    const auto left = command->remaining();
    std::string problem = error.what();
    if (command->get_require_subcommand_min() > 0 && !left.empty()) {
        const char* kind = left.front().starts_with('-') ? "option" : "command";
        problem = fmt::format("there is no {} '{}'", kind, left.front());
    }
    return fmt::format("{}; see {} --help", problem, path);
}

int report(ExitCode code, std::string_view line) {
    print_error(line);
    return static_cast<int>(code);
}

int run(int argc, char** argv) {
    // Whatever the caller's mask: nothing that is made here can be changed by everybody.
    umask(umask(0) | S_IWOTH);
    // A module's server process that dies, or a reader of our output, costs an error and not the program.
    std::signal(SIGPIPE, SIG_IGN);
    CLI::App program("", program_name());
    Action action;
    program.set_help_flag("-h,--help", "Print this help");
    const std::string version = fmt::format("{} {}", program_name(), CTLSIGN_VERSION);
    program.set_version_flag("--version", version, "Print the version");
    program.require_subcommand(1);
    program.get_formatter()->label("TEXT", "");
    program.get_formatter()->label("REQUIRED", "(required)");
    add_commands(Command(program), action);
    try {
        program.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        std::string help = program.help();
        if (!help.ends_with('\n')) help += '\n';
        print(help);
        return 0;
    } catch (const CLI::CallForVersion&) {
        print(version + '\n');
        return 0;
    } catch (const CLI::ParseError& error) {
        return report(ExitCode::Usage, usage_line(program, error));
    }
    return static_cast<int>(action());
}

}  // namespace

}  // namespace ctlsign::cli

int main(int argc, char** argv) {
    using namespace ctlsign::cli;
    try {
        return run(argc, argv);
    } catch (const std::bad_alloc&) {
        return report(ExitCode::Environment, "not enough memory");
    } catch (const std::exception& error) {
        return report(exit_code(error), error.what());
    }
}
