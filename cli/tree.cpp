#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <CLI/App.hpp>
#include <cli/tree.hpp>

namespace ctlsign::cli {

namespace {

CommandInfo::Option describe_option(const CLI::Option& option) {
    CommandInfo::Option info;
    for (const std::string& name : option.get_snames()) info.names.push_back('-' + name);
    for (const std::string& name : option.get_lnames()) info.names.push_back("--" + name);
    const bool takes_value = option.get_items_expected_max() > 0;
    if (takes_value) info.value = option.get_positional() ? option.get_name(true) : option.get_type_name();
    info.description = option.get_description();
    info.required = option.get_required();
    return info;
}

std::string example_of(const CLI::App& command) {
    const std::string footer = command.get_footer();
    constexpr std::string_view kBefore = "Example:\n  ";
    return footer.starts_with(kBefore) ? footer.substr(kBefore.size()) : std::string();
}

CommandInfo describe_below(const CLI::App& command, std::vector<std::string> path) {
    CommandInfo info;
    info.path = std::move(path);
    info.description = command.get_description();
    info.example = example_of(command);
    for (const CLI::Option* option : command.get_options()) {
        if (option->get_group().empty()) continue;
        (option->get_positional() ? info.arguments : info.options).push_back(describe_option(*option));
    }
    for (const CLI::App* below : command.get_subcommands([](const CLI::App*) { return true; })) {
        if (below->get_group().empty()) continue;
        std::vector<std::string> path_below = info.path;
        path_below.push_back(below->get_name());
        info.commands.push_back(describe_below(*below, std::move(path_below)));
    }
    return info;
}

void collect(const CommandInfo& info, std::vector<const CommandInfo*>& all) {
    all.push_back(&info);
    for (const CommandInfo& below : info.commands) collect(below, all);
}

}  // namespace

CommandInfo describe(const CLI::App& program) {
    return describe_below(program, {program.get_name()});
}

std::vector<const CommandInfo*> flatten(const CommandInfo& info) {
    std::vector<const CommandInfo*> all;
    collect(info, all);
    return all;
}

bool is_path(const std::string& value) {
    constexpr std::array<std::string_view, 9> kPaths{"FOLDER", "PEM",    "RAW",      "OLD",     "NEW",
                                                     "PATH",   "SIGNER", "MANIFEST", "PREPARED"};
    // FILE.tbs, and the arguments that may come again.
    return value.starts_with("FILE") || std::ranges::find(kPaths, value) != kPaths.end();
}

}  // namespace ctlsign::cli
