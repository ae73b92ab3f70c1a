#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include <pkcs11/descriptor.hpp>
#include <pkcs11/error.hpp>
#include <pkcs11/file.hpp>
#include <pkcs11/store.hpp>

namespace ctlsign {

namespace {

constexpr std::string_view kUnchanged = "what stood there is unchanged";
constexpr std::string_view kAnotherName = "nothing is replaced: choose another name";
constexpr std::string_view kPrivateMark = ".ctlsign-";
constexpr int kPrivateNames = 16;

[[noreturn]] void fail(int error, std::string_view call, std::string_view path, std::string_view advice) {
    throw Error(std::error_code(error, std::generic_category()), call, path, advice);
}

bool same_inode(const struct stat& a, const struct stat& b) noexcept {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool names(int folder, const std::string& name, int descriptor) noexcept {
    struct stat by_name {};
    struct stat by_descriptor {};
    return ::fstatat(folder, name.c_str(), &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
           ::fstat(descriptor, &by_descriptor) == 0 && same_inode(by_name, by_descriptor);
}

std::string private_name(std::string_view target, int number) {
    // Shortened, so that every name that a target may have leaves room; the lock tells whose it is.
    return fmt::format(".{}{}{}", target.substr(0, 200), kPrivateMark, number);
}

// A temporary is locked from before it has a name until its process ends. Only who holds the lock of the file
// that a private name leads to may remove that name.
void sweep(int folder, const std::string& name) noexcept {
    constexpr int kCareful = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    // NFS locks only what can be written; what is to be read alone can be locked elsewhere.
    Descriptor found(::openat(folder, name.c_str(), O_RDWR | kCareful));
    if (!found) found = Descriptor(::openat(folder, name.c_str(), O_RDONLY | kCareful));
    struct stat status {};
    if (!found || ::fstat(found.get(), &status) != 0 || !S_ISREG(status.st_mode)) return;
    if (::flock(found.get(), LOCK_EX | LOCK_NB) == 0 && names(folder, name, found.get()))
        ::unlinkat(folder, name.c_str(), 0);
}

std::filesystem::path follow_links(const std::string& path) {
    std::filesystem::path target = path;
    for (int links = 0; links < 40; ++links) {
        std::error_code error;
        const auto next = std::filesystem::read_symlink(target, error);
        if (error) return target;
        target = next.is_absolute() ? next : target.parent_path() / next;
    }
    fail(ELOOP, "open", path, "give the path of a file");
}

// The unnamed file, locked; -1 where the system has none, or no way to name it later.
int open_unnamed(int folder, mode_t mode, const std::string& path) {
    if (::access("/proc/self/fd", X_OK) != 0) return -1;
    Descriptor file(::openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
    if (!file) {
        if (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL) return -1;
        fail(errno, "open", path, "choose a folder that can be written");
    }
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) fail(errno, "flock", path, kUnchanged);
    return file.release();
}

struct Named {
    std::string name;
    Descriptor file;
};

Named create_named(int folder, const std::string& target, mode_t mode, const std::string& path) {
    for (int number = 0; number < kPrivateNames; ++number) {
        std::string name = private_name(target, number);
        Descriptor file(
            ::openat(folder, name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, mode));
        if (!file) {
            if (errno == EEXIST) continue;
            fail(errno, "open", path, "choose a folder that can be written");
        }
        const bool locked = ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
        const int error = errno;
        // Between its creation and its lock another store may have taken the file for a leftover.
        struct stat status {};
        status.st_nlink = 1;
        ::fstat(file.get(), &status);
        if (locked && status.st_nlink > 0) return {std::move(name), std::move(file)};
        if (!locked && error != EWOULDBLOCK) {
            ::unlinkat(folder, name.c_str(), 0);
            fail(error, "flock", path, kUnchanged);
        }
    }
    fail(EBUSY, "open", path, "other processes are writing this file: try again");
}

// Gives the unnamed FILE a name that nobody has yet: false where somebody has it.
bool name_unnamed(int folder, const std::string& name, int file, const std::string& path) {
    const std::string source = fmt::format("/proc/self/fd/{}", file);
    if (::linkat(AT_FDCWD, source.c_str(), folder, name.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
    if (errno != EEXIST) fail(errno, "linkat", path, kUnchanged);
    return false;
}

std::string name_privately(int folder, const std::string& target, int file, const std::string& path) {
    for (int number = 0; number < kPrivateNames; ++number) {
        std::string name = private_name(target, number);
        if (name_unnamed(folder, name, file, path)) return name;
    }
    fail(EBUSY, "linkat", path, "other processes are writing this file: try again");
}

// Renames, and replaces nothing: -1 and EEXIST where there is something.
int rename_to_new(int folder, const std::string& from, const std::string& to) {
    if (::renameat2(folder, from.c_str(), folder, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    // A file system that cannot (NFS, say): a second name refuses as well.
    if (::linkat(folder, from.c_str(), folder, to.c_str(), 0) != 0) return -1;
    ::unlinkat(folder, from.c_str(), 0);
    return 0;
}

}  // namespace

void store_file(const std::string& path, ByteView bytes, Readers readers, Existing existing) {
    OutputFile::open(path, bytes.size(), readers, existing).store(bytes);
}

OutputFile OutputFile::open(const std::string& path, std::size_t size, Readers readers, Existing existing) {
    const bool alone = readers == Readers::OwnerAlone;
    // Whoever may make links beside a secret says not where it goes.
    const std::filesystem::path target = alone ? std::filesystem::path(path) : follow_links(path);
    OutputFile output;
    output.path_ = path;
    output.existing_ = existing;
    output.new_mode_ = readers == Readers::AsTheUmaskSays ? 0666 : 0600;
    output.name_ = target.filename().string();
    if (output.name_.empty() || output.name_ == "." || output.name_ == "..")
        fail(EISDIR, "open", path, "give the path of a file");
    const std::string folder = target.has_parent_path() ? target.parent_path().string() : ".";
    output.folder_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (output.folder_ < 0) fail(errno, "open", folder, "the output needs a folder that exists");

    struct stat status {};
    if (::fstatat(output.folder_, output.name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(status.st_mode)) fail(EISDIR, "open", path, "give the path of a file");
        if (existing == Existing::Kept) fail(EEXIST, "open", path, kAnotherName);
        if (!S_ISREG(status.st_mode) && !(alone && S_ISLNK(status.st_mode)))
            fail(EINVAL, "open", path, "the output must be a regular file");
        if (!alone) {
            if (::faccessat(output.folder_, output.name_.c_str(), W_OK, AT_EACCESS) != 0)
                fail(errno, "open", path, "the file is not writable");
            output.mode_ = status.st_mode & 07777U;
            output.owner_ = status.st_uid;
            output.group_ = status.st_gid;
        }
    } else if (errno != ENOENT) {
        fail(errno, "stat", path, kUnchanged);
    }

    output.temporary_ = open_unnamed(output.folder_, output.new_mode_, path);
    if (output.temporary_ < 0) {
        const Named probe = create_named(output.folder_, output.name_, output.new_mode_, path);
        ::unlinkat(output.folder_, probe.name.c_str(), 0);
    } else if (size > 0) {
        const auto reserve = [&] { return ::fallocate(output.temporary_, 0, 0, static_cast<off_t>(size)); };
        if (retry(reserve) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
            fail(errno, "fallocate", path, kUnchanged);
    }
    return output;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      name_(std::move(other.name_)),
      temporary_name_(std::exchange(other.temporary_name_, {})),
      folder_(std::exchange(other.folder_, -1)),
      temporary_(std::exchange(other.temporary_, -1)),
      new_mode_(other.new_mode_),
      existing_(other.existing_),
      mode_(other.mode_),
      owner_(other.owner_),
      group_(other.group_) {}

OutputFile::~OutputFile() {
    if (!temporary_name_.empty()) ::unlinkat(folder_, temporary_name_.c_str(), 0);
    if (temporary_ >= 0) ::close(temporary_);
    if (folder_ >= 0) ::close(folder_);
}

void OutputFile::write(ByteView bytes) {
    for (int number = 0; number < kPrivateNames; ++number) sweep(folder_, private_name(name_, number));
    if (temporary_ < 0) {
        Named named = create_named(folder_, name_, new_mode_, path_);
        temporary_name_ = std::move(named.name);
        temporary_ = named.file.release();
    }
    if (!write_all(temporary_, bytes)) fail(errno, "write", path_, kUnchanged);
    if (::ftruncate(temporary_, static_cast<off_t>(bytes.size())) != 0)
        fail(errno, "ftruncate", path_, kUnchanged);
    if (mode_) {
        // Another owner can be kept by root alone; the new file is the caller's otherwise.
        if (::fchown(temporary_, owner_, group_) != 0 && errno != EPERM)
            fail(errno, "fchown", path_, kUnchanged);
        if (::fchmod(temporary_, *mode_) != 0) fail(errno, "fchmod", path_, kUnchanged);
    }
    if (retry([&] { return ::fsync(temporary_); }) != 0) fail(errno, "fsync", path_, kUnchanged);
}

void OutputFile::commit() {
    const bool unnamed = temporary_name_.empty();
    if (unnamed && name_unnamed(folder_, name_, temporary_, path_)) {
        flush_folder();
        return;
    }
    if (unnamed && existing_ == Existing::Kept) fail(EEXIST, "linkat", path_, kAnotherName);
    if (unnamed) temporary_name_ = name_privately(folder_, name_, temporary_, path_);
    if (existing_ == Existing::Kept) {
        if (rename_to_new(folder_, temporary_name_, name_) != 0) fail(errno, "rename", path_, kAnotherName);
    } else if (::renameat(folder_, temporary_name_.c_str(), folder_, name_.c_str()) != 0) {
        fail(errno, "rename", path_, kUnchanged);
    }
    temporary_name_.clear();
    flush_folder();
}

void OutputFile::flush_folder() const {
    if (retry([&] { return ::fsync(folder_); }) != 0 && errno != EINVAL)
        fail(errno, "fsync", path_, "the new file is in place, but the disk did not confirm it");
}

void remove_unfinished(const std::string& folder) {
    const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!descriptor) fail(errno, "open", folder, "");
    std::error_code error;
    for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (name.starts_with('.') && name.find(kPrivateMark) != std::string::npos)
            sweep(descriptor.get(), name);
    }
    if (error) throw Error(error, "reading", folder, "");
}

void remove_file(const std::string& path) {
    if (::unlink(path.c_str()) != 0) {
        if (errno == ENOENT) return;
        fail(errno, "unlink", path, "the file is still there");
    }
    const std::string parent = std::filesystem::path(path).parent_path().string();
    const Descriptor folder(
        ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || (retry([&] { return ::fsync(folder.get()); }) != 0 && errno != EINVAL))
        fail(errno, "fsync", path, "the file is gone, but the disk did not confirm it");
}

}  // namespace ctlsign
