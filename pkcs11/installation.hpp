#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace ctlsign {

/// A file that belongs to this installation, named relative to its prefix ("share/ctlsign/profiles"). It is
/// looked for beside the program or library that holds this code, so that an installation can be moved and a
/// build tree works like an installed one.
std::optional<std::filesystem::path> find_installed(std::string_view relative);
/// A module of ours ("libctlsign-forward.so") in the private library folder.
std::optional<std::filesystem::path> find_installed_module(std::string_view name);

}  // namespace ctlsign
