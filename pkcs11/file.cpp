#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <pkcs11/descriptor.hpp>
#include <pkcs11/error.hpp>
#include <pkcs11/file.hpp>

namespace ctlsign {

namespace {

[[noreturn]] void fail(int code, std::string_view path, std::string_view advice) {
    throw Error(std::error_code(code, std::generic_category()), "reading", path, advice);
}

}  // namespace

Bytes read_file(const std::string& path, std::size_t limit) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file) fail(errno, path, "");
    // All the memory at once: a key that is read here leaves no copy behind.
    auto content = read_descriptor(file.get(), path, limit, limit);
    if (!content) fail(EFBIG, path, "at most " + std::to_string(limit) + " octets are read");
    return std::move(*content);
}

std::optional<Bytes> read_descriptor(int descriptor, std::string_view name, std::size_t expected,
                                     std::size_t limit) {
    // One octet more than expected, so that the end of the file is seen without a second look at its size.
    Bytes content(expected + 1);
    std::size_t size = 0;
    for (;;) {
        const ssize_t count =
            retry([&] { return ::read(descriptor, content.data() + size, content.size() - size); });
        if (count < 0) fail(errno, name, errno == EISDIR ? "a file is needed here" : "");
        if (count == 0) break;
        size += static_cast<std::size_t>(count);
        if (size > limit) return std::nullopt;
        if (size == content.size()) content.resize(std::min(size * 2, limit + 1));
    }
    content.resize(size);
    return content;
}

bool write_all(int descriptor, ByteView octets) noexcept {
    while (!octets.empty()) {
        const ssize_t count = retry([&] { return ::write(descriptor, octets.data(), octets.size()); });
        if (count < 0) return false;
        octets = octets.subspan(static_cast<std::size_t>(count));
    }
    return true;
}

}  // namespace ctlsign
