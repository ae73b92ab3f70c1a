#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include <pkcs11/bytes.hpp>
#include <pkcs11/descriptor.hpp>
#include <sast/error.hpp>
#include <sast/pin_source.hpp>

namespace ctlsign::sast {

namespace {

[[noreturn]] void nothing_there(const std::string& where) {
    throw Error(Errc::PinNeeded, "reading the PIN", where, "it is empty or not there");
}

[[noreturn]] void cannot_read(const std::string& where) {
    throw Error(std::error_code(errno, std::generic_category()), "reading the PIN", where,
                "check --pin-source");
}

// The first line of DESCRIPTOR, without its end.
pkcs11::Pin read_line(int descriptor, const std::string& where) {
    std::array<char, pkcs11::Pin::kMaxSize + 2> buffer{};
    std::size_t size = 0;
    while (size < buffer.size()) {
        const ssize_t got =
            retry([&] { return read(descriptor, buffer.data() + size, buffer.size() - size); });
        if (got < 0) {
            const int error = errno;
            pkcs11::wipe_memory(buffer);
            throw Error(std::error_code(error, std::generic_category()), "reading the PIN", where,
                        "check --pin-source");
        }
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
        if (std::memchr(buffer.data(), '\n', size) != nullptr) break;
    }
    const auto* end = static_cast<const char*>(std::memchr(buffer.data(), '\n', size));
    std::size_t length = end != nullptr ? static_cast<std::size_t>(end - buffer.data()) : size;
    if (length > 0 && buffer[length - 1] == '\r') --length;
    if (length > pkcs11::Pin::kMaxSize) {
        pkcs11::wipe_memory(buffer);
        throw Error(Errc::PinNeeded, "reading the PIN", where, "its first line is longer than any PIN");
    }
    pkcs11::Pin pin = pkcs11::Pin::take({buffer.data(), length});
    pkcs11::wipe_memory(buffer);
    if (pin.empty()) nothing_there(where);
    return pin;
}

class Unattended : public PinSource {
  public:
    void look_at_reader(const PinRequest&) override {}
};

class Environment final : public Unattended {
  public:
    explicit Environment(std::string name) : name_(std::move(name)) {}
    void require_source(const PinRequest&) override { (void)get(); }
    pkcs11::Pin ask(const PinRequest&) override {
        char* value = get();
        // take() wipes the variable's own memory, so that neither a core file nor a child shows it.
        const std::size_t size = std::strlen(value);
        if (size > pkcs11::Pin::kMaxSize) {
            throw Error(Errc::PinNeeded, "reading the PIN", "environment variable " + name_,
                        "it is longer than any PIN");
        }
        pkcs11::Pin pin = pkcs11::Pin::take({value, size});
        unsetenv(name_.c_str());
        return pin;
    }

  private:
    char* get() const {
        char* value = std::getenv(name_.c_str());
        if (value == nullptr || *value == '\0') nothing_there("environment variable " + name_);
        return value;
    }
    std::string name_;
};

class File final : public Unattended {
  public:
    explicit File(std::string path) : path_(std::move(path)) {}
    // Not opened: it may be a pipe, which is read once.
    void require_source(const PinRequest&) override {
        if (access(path_.c_str(), R_OK) != 0) cannot_read(path_);
    }
    pkcs11::Pin ask(const PinRequest&) override {
        const Descriptor file(open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
        if (!file) cannot_read(path_);
        return read_line(file.get(), path_);
    }

  private:
    std::string path_;
};

class OpenDescriptor final : public Unattended {
  public:
    explicit OpenDescriptor(int descriptor) : descriptor_(descriptor) {}
    void require_source(const PinRequest&) override {
        if (fcntl(descriptor_, F_GETFD) < 0) cannot_read(name());
    }
    pkcs11::Pin ask(const PinRequest&) override { return read_line(descriptor_, name()); }

  private:
    std::string name() const { return "descriptor " + std::to_string(descriptor_); }
    int descriptor_;
};

// The path of a file: URI (RFC 8089) with no host or localhost, percent-decoded.
std::string file_path(std::string_view rest) {
    if (rest.starts_with("//")) {
        rest.remove_prefix(2);
        if (rest.starts_with("localhost/")) rest.remove_prefix(9);
    }
    std::string path;
    for (std::size_t i = 0; i < rest.size(); ++i) {
        if (rest[i] == '%' && i + 2 < rest.size()) {
            const Bytes octet = from_hex(rest.substr(i + 1, 2));
            if (octet.size() != 1) throw std::invalid_argument("two hexadecimal digits follow a % in file:");
            path += static_cast<char>(octet[0]);
            i += 2;
        } else {
            path += rest[i];
        }
    }
    return path;
}

}  // namespace

std::unique_ptr<PinSource> make_pin_source(std::string_view specification) {
    const auto rest = [&](std::string_view prefix) {
        return std::string(specification.substr(prefix.size()));
    };
    if (specification.starts_with("env:") && specification.size() > 4)
        return std::make_unique<Environment>(rest("env:"));
    if (specification.starts_with("file://"))
        return std::make_unique<File>(file_path(specification.substr(5)));
    if (specification.starts_with("file:") && specification.size() > 5)
        return std::make_unique<File>(rest("file:"));
    if (specification.starts_with('/')) return std::make_unique<File>(std::string(specification));
    if (specification.starts_with("fd:")) {
        const std::string_view digits = specification.substr(3);
        int descriptor = -1;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), descriptor);
        if (error == std::errc{} && end == digits.data() + digits.size() && descriptor >= 0) {
            return std::make_unique<OpenDescriptor>(descriptor);
        }
    }
    throw std::invalid_argument(
        "a PIN source is env:NAME, file:PATH or fd:N; a command is never run for a PIN");
}

}  // namespace ctlsign::sast
