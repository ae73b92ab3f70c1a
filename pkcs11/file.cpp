#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <pkcs11/descriptor.hpp>
#include <pkcs11/error.hpp>
#include <pkcs11/file.hpp>

namespace ctlsign {

namespace {

[[noreturn]] void fail(int code, const std::string& path, std::string_view advice) {
    throw Error(std::error_code(code, std::generic_category()), "reading", path, advice);
}

}  // namespace

Bytes read_file(const std::string& path, std::size_t limit) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file) fail(errno, path, "");
    // One octet more than allowed tells a file at the limit from a larger one. Never grown: a key that is
    // read here leaves no copy behind.
    Bytes content(limit + 1);
    std::size_t size = 0;
    while (size < content.size()) {
        const ssize_t count = ::read(file.get(), content.data() + size, content.size() - size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail(errno, path, errno == EISDIR ? "a file is needed here" : "");
        if (count == 0) break;
        size += static_cast<std::size_t>(count);
    }
    if (size > limit) fail(EFBIG, path, "at most " + std::to_string(limit) + " octets are read");
    content.resize(size);
    return content;
}

}  // namespace ctlsign
