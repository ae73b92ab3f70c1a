#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include <cli/command.hpp>
#include <cli/manual_markdown.hpp>
#include <cli/terminal.hpp>
#include <cli/tree.hpp>
#include <pkcs11/store.hpp>

namespace ctlsign::cli {

namespace {

// Text in which roff finds nothing of its own.
std::string roff(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) {
            out += "\\&";
            out += c;
        } else {
            out += c;
        }
    }
    return out;
}

std::string page_name(const CommandInfo& command) {
    return fmt::format("{}", fmt::join(command.path, "-"));
}

void option_entry(std::string& text, const CommandInfo::Option& option) {
    const auto out = std::back_inserter(text);
    text += ".TP\n";
    for (std::size_t i = 0; i < option.names.size(); ++i)
        fmt::format_to(out, "{}\\fB{}\\fR", i == 0 ? "" : ", ", roff(option.names[i]));
    if (!option.value.empty())
        fmt::format_to(out, "{}\\fI{}\\fR", option.names.empty() ? "" : " ", roff(option.value));
    fmt::format_to(out, "\n{}.\n", roff(option.description));
}

void synopsis(std::string& text, const CommandInfo& command) {
    const auto out = std::back_inserter(text);
    fmt::format_to(out, ".SH SYNOPSIS\n\\fB{}\\fR", roff(fmt::format("{}", fmt::join(command.path, " "))));
    if (!command.commands.empty()) text += " \\fICOMMAND\\fR";
    for (const auto& argument : command.arguments) fmt::format_to(out, " \\fI{}\\fR", roff(argument.value));
    for (const auto& option : command.options) {
        if (option.required)
            fmt::format_to(out, " \\fB{}\\fR \\fI{}\\fR", roff(option.names.back()), roff(option.value));
    }
    text += " [\\fIOPTION\\fR...]\n";
}

void exits(std::string& text) {
    text += ".SH EXIT STATUS\n";
    for (const auto& [code, meaning] : kExitMeanings)
        fmt::format_to(std::back_inserter(text), ".TP\n{}\n{}.\n", static_cast<int>(code), meaning);
}

std::string page(const CommandInfo& command) {
    std::string text;
    const auto out = std::back_inserter(text);
    std::string title = page_name(command);
    std::ranges::transform(title, title.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
    fmt::format_to(out, ".TH {} 1 \"\" \"ctlsign {}\"\n.SH NAME\n{} \\- {}\n", roff(title), CTLSIGN_VERSION,
                   roff(page_name(command)), roff(command.description));
    synopsis(text, command);
    if (!command.commands.empty()) {
        text += ".SH COMMANDS\n";
        for (const CommandInfo& below : command.commands)
            fmt::format_to(out, ".TP\n\\fB{}\\fR(1)\n{}.\n", roff(page_name(below)), roff(below.description));
    }
    if (!command.arguments.empty()) {
        text += ".SH ARGUMENTS\n";
        for (const auto& argument : command.arguments) option_entry(text, argument);
    }
    text += ".SH OPTIONS\n";
    for (const auto& option : command.options) option_entry(text, option);
    exits(text);
    if (!command.example.empty()) fmt::format_to(out, ".SH EXAMPLE\n.EX\n{}\n.EE\n", roff(command.example));
    return text;
}

struct ManualOptions {
    std::vector<std::string> command;
    std::string folder;
    enum class Format { Roff, Markdown } format = Format::Roff;
};

ExitCode run(const CommandInfo& program, const ManualOptions& options) {
    if (options.format == ManualOptions::Format::Markdown) {
        print(to_markdown(program));
        return ExitCode::Done;
    }
    const auto commands = flatten(program);
    if (!options.folder.empty()) {
        for (const CommandInfo* command : commands)
            store_file(fmt::format("{}/{}.1", options.folder, page_name(*command)), as_bytes(page(*command)));
        return ExitCode::Done;
    }
    std::vector<std::string> wanted{program.path.front()};
    wanted.insert(wanted.end(), options.command.begin(), options.command.end());
    const auto found =
        std::ranges::find(commands, wanted, [](const CommandInfo* info) { return info->path; });
    if (found == commands.end())
        throw UsageError(fmt::format("there is no command '{}'", fmt::join(options.command, " ")));
    print(page(**found));
    return ExitCode::Done;
}

}  // namespace

void add_manual(Command program, Action& action) {
    const auto options = std::make_shared<ManualOptions>();
    Command command = add_command(program, "manual", "Print a manual page",
                                  fmt::format("{} manual | man -l -", program_name()));
    command.hide();
    command.add_option("COMMAND", options->command, "The command; the program's page without one");
    command.add_option("--folder", options->folder, "Write every page there").type_name("FOLDER");
    command.add_flag_callback(
        "--markdown", [options] { options->format = ManualOptions::Format::Markdown; },
        "Print every command on one page of Markdown");
    command.callback([program, &action, options] {
        action = [program, &action, options] {
            add_every_group(program, action);
            return run(describe(program.parsed()), *options);
        };
    });
}

}  // namespace ctlsign::cli
