#include <fmt/format.h>

#include <memory>

#include <cli/command.hpp>
#include <cli/terminal.hpp>
#include <cli/tree.hpp>

namespace ctlsign::cli {

namespace {

std::string join(const std::vector<std::string>& words, std::string_view separator) {
    return fmt::format("{}", fmt::join(words, separator));
}

// "ctlsign/config|ctlsign/config/sign": the paths that one more word leads to.
std::string known_paths(const std::vector<const CommandInfo*>& commands) {
    std::vector<std::string> paths;
    for (const CommandInfo* command : commands) {
        if (command->path.size() > 1) paths.push_back(join(command->path, "/"));
    }
    return join(paths, "|");
}

std::vector<std::string> names_of(const CommandInfo& command) {
    std::vector<std::string> names;
    for (const CommandInfo& below : command.commands) names.push_back(below.path.back());
    for (const auto& option : command.options)
        names.insert(names.end(), option.names.begin(), option.names.end());
    return names;
}

bool takes_paths(const CommandInfo& command) {
    for (const auto& argument : command.arguments) {
        if (is_path(argument.value)) return true;
    }
    return false;
}

std::string bash(const CommandInfo& program) {
    const auto commands = flatten(program);
    std::string text = fmt::format(
        "# Completion of {0} for bash.\n"
        "_{0}() {{\n"
        "    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} at={0} i\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        case $at/${{COMP_WORDS[i]}} in {1}) at=$at/${{COMP_WORDS[i]}} ;; esac\n"
        "    done\n"
        "    compopt -o default\n"
        "    case $at:$prev in\n",
        program_name(), known_paths(commands));
    const auto out = std::back_inserter(text);
    for (const CommandInfo* command : commands) {
        for (const auto& option : command->options) {
            if (option.value.empty()) continue;
            std::vector<std::string> patterns;
            for (const std::string& name : option.names)
                patterns.push_back(join(command->path, "/") + ':' + name);
            fmt::format_to(out, "    {}) COMPREPLY=({}); return ;;\n", join(patterns, "|"),
                           is_path(option.value) ? "$(compgen -f -- \"$cur\")" : "");
        }
    }
    text += "    esac\n    case $at in\n";
    for (const CommandInfo* command : commands) {
        fmt::format_to(out, "    {}) COMPREPLY=($(compgen {}-W '{}' -- \"$cur\")) ;;\n",
                       join(command->path, "/"), takes_paths(*command) ? "-f " : "",
                       join(names_of(*command), " "));
    }
    fmt::format_to(out, "    esac\n}}\ncomplete -F _{0} {0}\n", program_name());
    return text;
}

// Text within single quotes of zsh, and without what _arguments reads as its own.
std::string zsh_quoted(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\'') {
            out += "'\\''";
        } else if (c == '[' || c == ']' || c == ':') {
            out += '\\';
            out += c;
        } else {
            out += c;
        }
    }
    return out;
}

void zsh_command(std::string& text, const CommandInfo& command) {
    const auto out = std::back_inserter(text);
    fmt::format_to(out, "    {})\n", join(command.path, "/"));
    if (!command.commands.empty()) {
        text += "        commands=(";
        for (const CommandInfo& below : command.commands)
            fmt::format_to(out, "'{}:{}' ", below.path.back(), zsh_quoted(below.description));
        text += ")\n        _describe command commands\n";
    }
    text += "        _arguments";
    for (const auto& option : command.options) {
        for (const std::string& name : option.names) {
            fmt::format_to(out, " '*{}[{}]{}'", name, zsh_quoted(option.description),
                           option.value.empty()    ? ""
                           : is_path(option.value) ? ":file:_files"
                                                   : ":value:");
        }
    }
    text += takes_paths(command) ? " '*:file:_files' ;;\n" : " ;;\n";
}

std::string zsh(const CommandInfo& program) {
    const auto commands = flatten(program);
    std::string text = fmt::format(
        "#compdef {0}\n"
        "_{0}() {{\n"
        "    local at={0} i\n"
        "    local -a commands\n"
        "    for ((i = 2; i < CURRENT; i++)); do\n"
        "        case $at/$words[i] in ({1}) at=$at/$words[i] ;; esac\n"
        "    done\n"
        "    case $at in\n",
        program_name(), known_paths(commands));
    for (const CommandInfo* command : commands) zsh_command(text, *command);
    fmt::format_to(std::back_inserter(text), "    esac\n}}\n_{} \"$@\"\n", program_name());
    return text;
}

}  // namespace

void add_completion(Command program, Action& action) {
    const auto shell = std::make_shared<std::string>();
    Command command =
        add_command(program, "completion", "Print shell completion",
                    fmt::format("{0} completion bash > /etc/bash_completion.d/{0}", program_name()));
    command.hide();
    command.add_option("SHELL", *shell, "bash or zsh").required();
    command.callback([program, &action, shell] {
        action = [program, &action, shell] {
            add_every_group(program, action);
            const CommandInfo info = describe(program.parsed());
            if (*shell != "bash" && *shell != "zsh")
                throw UsageError(fmt::format("completion {}: there is one for bash and one for zsh", *shell));
            print(*shell == "bash" ? bash(info) : zsh(info));
            return ExitCode::Done;
        };
    });
}

}  // namespace ctlsign::cli
