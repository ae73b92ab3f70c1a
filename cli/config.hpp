#pragma once

#include <string>
#include <vector>

#include <cli/command.hpp>

namespace ctlsign::cli {

/// The subcommands of `config`, a file each.
void add_config_sign(Command parent, Action& action);
void add_config_verify(Command parent, Action& action);
void add_config_strip(Command parent, Action& action);

/// Where the files of `config` lie: -d FOLDER, --root FOLDER.
struct Places {
    std::string folder, root;
};
/// Each file's path below the root, or its name alone without one. Throws UsageError on a file outside.
std::vector<std::string> names_below_root(const std::vector<std::string>& files, const Places& places);
/// Where each file's result goes: beside the file, or under -d FOLDER by its name; folders are made. Throws
/// UsageError when two would go to one place.
std::vector<std::string> targets_for(const std::vector<std::string>& files,
                                     const std::vector<std::string>& target_names, const Places& places);
void add_place_options(Command command, Places& places);

}  // namespace ctlsign::cli
