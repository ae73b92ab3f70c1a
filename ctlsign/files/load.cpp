#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <ctlsign/error.hpp>
#include <ctlsign/files/load.hpp>
#include <pkcs11/descriptor.hpp>
#include <pkcs11/file.hpp>

namespace ctlsign {

[[noreturn]] static void fail_loading(int error, std::string_view call, std::string_view path,
                                      std::string_view advice) {
    throw Error(std::error_code(error, std::generic_category()), call, path, advice);
}

LoadedFile load_descriptor(int descriptor, std::string_view name, std::size_t limit) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) fail_loading(errno, "fstat", name, "");
    if (S_ISDIR(status.st_mode)) fail_loading(EISDIR, "read", name, "give a file");
    LoadedFile file;
    std::size_t expected = 0;
    if (S_ISREG(status.st_mode)) {
        file.modified = status.st_mtim.tv_sec;
        expected = static_cast<std::size_t>(status.st_size);
    }
    const auto refuse = [&] {
        throw Error(Errc::Oversized, "read", name, fmt::format("the limit is {} octets", limit));
    };
    if (expected > limit) refuse();
    auto octets = read_descriptor(descriptor, name, std::max<std::size_t>(expected, 4095), limit);
    if (!octets) refuse();
    file.bytes = std::move(*octets);
    return file;
}

LoadedFile load_file(const std::string& path, std::size_t limit) {
    const Descriptor file(retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY); }));
    if (!file) {
        const int error = errno;
        fail_loading(error, "open", path, error == ENOENT ? "check the path" : "check its permissions");
    }
    return load_descriptor(file.get(), path, limit);
}

bool same_file(const std::string& a, const std::string& b) noexcept {
    struct stat first {};
    struct stat second {};
    return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace ctlsign
