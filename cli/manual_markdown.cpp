#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include <cli/exit_code.hpp>
#include <cli/manual_markdown.hpp>

namespace ctlsign::cli {

namespace {

// Text within a cell of a table.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '|' || c == '<' || c == '*') out += '\\';
        out += c;
    }
    return out;
}

std::string title(const CommandInfo& command) {
    return fmt::format("{}", fmt::join(command.path, " "));
}

std::string call(const CommandInfo& command) {
    std::string text = title(command);
    for (const auto& argument : command.arguments)
        text += argument.required ? ' ' + argument.value : " [" + argument.value + ']';
    for (const auto& option : command.options) {
        if (option.required) text += ' ' + option.names.back() + ' ' + option.value;
    }
    return text + " [OPTION...]";
}

void add_row(std::string& text, const CommandInfo::Option& option) {
    std::string names = fmt::format("{}", fmt::join(option.names, ", "));
    if (!option.value.empty()) names += (names.empty() ? "" : " ") + option.value;
    fmt::format_to(std::back_inserter(text), "| `{}` | {} |\n", names, cell(option.description));
}

void add_command_text(std::string& text, const CommandInfo& command) {
    const auto out = std::back_inserter(text);
    fmt::format_to(out, "\n{} {}\n\n{}.\n", command.path.size() == 2 ? "##" : "###", title(command),
                   cell(command.description));
    if (!command.commands.empty()) return;
    fmt::format_to(out, "\n```text\n{}\n```\n\n| | |\n|---|---|\n", call(command));
    for (const auto& argument : command.arguments) add_row(text, argument);
    for (const auto& option : command.options) {
        if (option.names.back() != "--help") add_row(text, option);
    }
    fmt::format_to(out, "\nExample: `{}`\n", command.example);
}

}  // namespace

std::string to_markdown(const CommandInfo& program) {
    std::string text =
        "# Commands\n\n"
        "Printed by `ctlsign manual --markdown`; the manual pages say the same. Every command takes "
        "`--help`.\n\n"
        "Results are on standard output, everything else is on standard error. An error is one line: what "
        "failed, on what, and what to do next.\n\n"
        "| exit code | |\n|---|---|\n";
    const auto out = std::back_inserter(text);
    for (const auto& [code, meaning] : kExitMeanings)
        fmt::format_to(out, "| {} | {} |\n", static_cast<int>(code), meaning);
    for (const CommandInfo* command : flatten(program)) {
        if (command->path.size() > 1) add_command_text(text, *command);
    }
    return text;
}

}  // namespace ctlsign::cli
