#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include <pkcs11/descriptor.hpp>
#include <pkcs11/error.hpp>
#include <pkcs11/private_files.hpp>

namespace ctlsign {

namespace fs = std::filesystem;

namespace {
constexpr const char* kUnfinished = ".unfinished-";

[[noreturn]] void fail(const char* failed, const fs::path& path) {
    throw Error(std::error_code(errno, std::generic_category()), failed, path.string(), "");
}
}  // namespace

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

// A name that was renamed is on the disk when its folder is.
static void flush_folder_of(const fs::path& file) {
    const fs::path path = file.has_parent_path() ? file.parent_path() : fs::path(".");
    const Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // Not every file system flushes folders.
    if (!folder || (fsync(folder.get()) != 0 && errno != EINVAL)) fail("flushing the folder of", file);
}

void write_private_file(const fs::path& file, std::string_view content) {
    std::string beside = file.string() + kUnfinished + "XXXXXX";
    const int fd = mkostemp(beside.data(), O_CLOEXEC);
    if (fd < 0) fail("writing", file);
    bool written = true;
    while (written && !content.empty()) {
        const ssize_t count = write(fd, content.data(), content.size());
        if (count > 0) content.remove_prefix(static_cast<std::size_t>(count));
        written = count > 0 || errno == EINTR;
    }
    while (written && fsync(fd) != 0) written = errno == EINTR;
    if (close(fd) != 0 || !written || rename(beside.c_str(), file.c_str()) != 0) {
        const int code = errno;
        unlink(beside.c_str());
        errno = code;
        fail("writing", file);
    }
    flush_folder_of(file);
}

void remove_unfinished(const fs::path& folder) {
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().extension().string().starts_with(kUnfinished)) fs::remove(entry.path());
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
