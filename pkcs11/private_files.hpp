#pragma once

#include <filesystem>
#include <optional>

namespace ctlsign {

/// Makes the folder, and those above it, each for the user alone (0700) when it is not there yet. Throws the
/// system's code.
void make_private_folder(const std::filesystem::path& folder);

/// Where this user's state is kept: $XDG_STATE_HOME/ctlsign, else ~/.local/state/ctlsign (XDG base
/// directories). Not made here. Throws ENOENT when there is no home.
std::filesystem::path user_state_folder();

/// The same for this user's configuration: $XDG_CONFIG_HOME/ctlsign, else ~/.config/ctlsign. Nothing when
/// there is no home.
std::optional<std::filesystem::path> find_user_configuration_folder();

}  // namespace ctlsign
