#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include <pkcs11/error.hpp>
#include <softhsm-profiles/limits.hpp>
#include <softhsm-profiles/locked_file.hpp>

namespace ctlsign::softhsm {

namespace {
[[noreturn]] void fail(const char* failed, const std::filesystem::path& file) {
    throw Error(std::error_code(errno, std::generic_category()), failed, file.string(), "");
}

void lock(int fd, int how, const std::filesystem::path& file) {
    if (retry([&] { return flock(fd, how); }) != 0) fail("locking", file);
}

std::string read_all(int fd, const std::filesystem::path& file) {
    std::string content;
    std::array<char, 4096> part{};
    for (;;) {
        const ssize_t count =
            retry([&] { return pread(fd, part.data(), part.size(), static_cast<off_t>(content.size())); });
        if (count < 0) fail("reading", file);
        if (count == 0) return content;
        content.append(part.data(), static_cast<std::size_t>(count));
        if (content.size() > limits::kSharedFile) {
            errno = EFBIG;
            fail("reading", file);
        }
    }
}

}  // namespace

LockedFile::LockedFile(const std::filesystem::path& file)
    : file_(file), fd_(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR)) {
    if (!fd_) fail("opening", file_);
    lock(fd_.get(), LOCK_EX, file_);
}

std::string LockedFile::read() const {
    return read_all(fd_.get(), file_);
}

void LockedFile::write(std::string_view content) {
    std::size_t done = 0;
    while (done < content.size()) {
        const ssize_t count = retry([&] {
            return pwrite(fd_.get(), content.data() + done, content.size() - done, static_cast<off_t>(done));
        });
        if (count < 0) fail("writing", file_);
        done += static_cast<std::size_t>(count);
    }
    if (ftruncate(fd_.get(), static_cast<off_t>(done)) != 0) fail("writing", file_);
}

std::string read_locked(const std::filesystem::path& file) {
    const Descriptor fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT) return {};
    if (!fd) fail("opening", file);
    lock(fd.get(), LOCK_SH, file);
    return read_all(fd.get(), file);
}

}  // namespace ctlsign::softhsm
