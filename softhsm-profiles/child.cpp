#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>

#include <pkcs11/descriptor.hpp>
#include <pkcs11/file.hpp>
#include <sast/error.hpp>
#include <softhsm-profiles/child.hpp>
#include <softhsm-profiles/error.hpp>
#include <softhsm-profiles/limits.hpp>

namespace ctlsign::softhsm {

namespace {

constexpr std::uint8_t kAnswer = 'A', kError = 'E';

// A category cannot cross a process boundary; its place in this list can.
std::array<const std::error_category*, 6> categories() {
    return {&std::generic_category(), &std::system_category(), &pkcs11::rv_category(),
            &pkcs11::category(),      &sast::category(),       &category()};
}

Bytes encode_error(const Error& error) {
    Bytes out{kError};
    std::uint8_t place = 0;
    while (place < categories().size() && *categories().at(place) != error.code().category()) ++place;
    out.push_back(place);
    const auto value = static_cast<std::uint32_t>(error.code().value());
    for (unsigned shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
    for (const std::string* text : {&error.failed(), &error.subject(), &error.advice()}) {
        out.insert(out.end(), text->begin(), text->end());
        out.push_back(0);
    }
    return out;
}

[[noreturn]] void throw_error(ByteView from) {
    const auto* category = categories().at(from[1]);
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value |= std::uint32_t{from[2 + i]} << (8 * i);
    std::array<std::string, 3> texts;
    std::size_t at = 6;
    for (std::string& text : texts) {
        while (from[at] != 0) text += static_cast<char>(from[at++]);
        ++at;
    }
    throw Error({static_cast<int>(value), *category}, texts[0], texts[1], texts[2]);
}

Bytes read_all(int fd) {
    Bytes bytes;
    std::array<std::uint8_t, 4096> part{};
    for (;;) {
        const ssize_t count = retry([&] { return read(fd, part.data(), part.size()); });
        if (count <= 0) return bytes;
        bytes.insert(bytes.end(), part.begin(), part.begin() + count);
    }
}

[[noreturn]] void be_child(int out, const std::function<Bytes()>& work) {
    // A lock that another thread held at the fork is held for ever here: better to die than to hang.
    std::signal(SIGALRM, SIG_DFL);
    alarm(static_cast<unsigned>(limits::kMakingToken.count()));
    Bytes answer{kAnswer};
    try {
        const Bytes result = work();
        answer.insert(answer.end(), result.begin(), result.end());
    } catch (const Error& error) {
        answer = encode_error(error);
    } catch (const std::exception& error) {
        answer = encode_error(Error(Errc::ProvisioningDied, error.what(), "", ""));
    }
    _exit(write_all(out, answer) ? 0 : 1);
}

[[noreturn]] void fail(const char* failed) {
    throw Error(std::error_code(errno, std::generic_category()), failed, "the process that makes a token",
                "");
}

}  // namespace

Bytes run_in_child(const std::function<Bytes()>& work) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe2");
    Descriptor from(ends[0]), to(ends[1]);
    const pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        from = {};
        be_child(to.get(), work);
    }
    to = {};
    const Bytes answer = read_all(from.get());
    from = {};
    int status = 0;
    retry([&] { return waitpid(child, &status, 0); });
    if (answer.empty() || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        const std::string how =
            WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status)) : "no answer";
        throw Error(Errc::ProvisioningDied, "making a token", "", how);
    }
    if (answer.front() == kError) throw_error(answer);
    return Bytes(answer.begin() + 1, answer.end());
}

}  // namespace ctlsign::softhsm
