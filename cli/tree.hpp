#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace ctlsign::cli {

/// One command of the program, as help, completion and manual pages describe it.
struct CommandInfo {
    struct Option {
        std::vector<std::string> names;  ///< with their dashes; empty for a positional argument
        std::string value;               ///< "FILE"; empty for a flag
        std::string description;
        bool required = false;
    };
    std::vector<std::string> path;  ///< {"ctlsign", "config", "sign"}
    std::string description;
    std::string example;  ///< the command line alone
    std::vector<Option> options, arguments;
    std::vector<CommandInfo> commands;  ///< those that are not hidden
};

CommandInfo describe(const CLI::App& program);
/// INFO and every command below it, INFO first.
std::vector<const CommandInfo*> flatten(const CommandInfo& info);
/// Whether a value of that type name is a path.
bool is_path(const std::string& value);

}  // namespace ctlsign::cli
