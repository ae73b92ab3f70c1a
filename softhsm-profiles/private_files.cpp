#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include <pkcs11/error.hpp>
#include <softhsm-profiles/private_files.hpp>

namespace ctlsign::softhsm {

namespace fs = std::filesystem;

namespace {
[[noreturn]] void fail(const char* failed, const fs::path& path) {
    throw Error(std::error_code(errno, std::generic_category()), failed, path.string(), "");
}
}  // namespace

void make_private_folder(const fs::path& folder) {
    std::error_code code;
    if (folder.has_parent_path()) fs::create_directories(folder.parent_path(), code);
    if (mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST) fail("making the folder", folder);
}

void write_private_file(const fs::path& file, std::string_view content) {
    std::string beside = file.string() + ".XXXXXX";
    const int fd = mkstemp(beside.data());
    if (fd < 0) fail("writing", file);
    bool written = true;
    while (written && !content.empty()) {
        const ssize_t count = write(fd, content.data(), content.size());
        if (count > 0) content.remove_prefix(static_cast<std::size_t>(count));
        written = count > 0 || errno == EINTR;
    }
    if (close(fd) != 0 || !written || rename(beside.c_str(), file.c_str()) != 0) {
        const int code = errno;
        unlink(beside.c_str());
        errno = code;
        fail("writing", file);
    }
}

StagingFolder::StagingFolder(const fs::path& folder) {
    std::string name = (folder / ".new-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) fail("making a folder in", folder);
    path_ = name;
}

StagingFolder::~StagingFolder() {
    std::error_code code;
    fs::remove_all(path_, code);
}

}  // namespace ctlsign::softhsm
