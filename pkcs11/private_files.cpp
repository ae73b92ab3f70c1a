#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include <pkcs11/error.hpp>
#include <pkcs11/private_files.hpp>

namespace ctlsign {

namespace fs = std::filesystem;

[[noreturn]] static void fail(const char* failed, const fs::path& path) {
    throw Error(std::error_code(errno, std::generic_category()), failed, path.string(), "");
}

void make_private_folder(const fs::path& path) {
    const fs::path folder = path.has_filename() ? path : path.parent_path();  // "folder/"
    if (mkdir(folder.c_str(), S_IRWXU) == 0) return;
    if (errno == ENOENT && folder.has_parent_path()) {
        make_private_folder(folder.parent_path());
        if (mkdir(folder.c_str(), S_IRWXU) == 0) return;
    }
    struct stat there {};
    if (errno != EEXIST || stat(folder.c_str(), &there) != 0) fail("making the folder", folder);
    if (S_ISDIR(there.st_mode)) return;
    errno = ENOTDIR;
    fail("making the folder", folder);
}

static std::optional<fs::path> find_user_folder(const char* variable, const char* below_home) {
    // The specification of the XDG base directories has relative paths ignored.
    const char* folder = std::getenv(variable);
    if (folder != nullptr && *folder == '/') return fs::path(folder) / "ctlsign";
    const char* home = std::getenv("HOME");
    if (home == nullptr || *home != '/') {
        const passwd* user = getpwuid(getuid());
        home = user != nullptr ? user->pw_dir : nullptr;
    }
    if (home == nullptr || *home != '/') return std::nullopt;
    return fs::path(home) / below_home / "ctlsign";
}

fs::path user_state_folder() {
    if (auto folder = find_user_folder("XDG_STATE_HOME", ".local/state")) return std::move(*folder);
    throw Error(std::make_error_code(std::errc::no_such_file_or_directory), "looking for", "the user's home",
                "set XDG_STATE_HOME to a folder that can be written");
}

std::optional<fs::path> find_user_configuration_folder() {
    return find_user_folder("XDG_CONFIG_HOME", ".config");
}

}  // namespace ctlsign
