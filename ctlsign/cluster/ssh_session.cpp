#include <fcntl.h>
#include <fmt/format.h>
#include <libssh2.h>
#include <libssh2_sftp.h>
#include <netdb.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <new>

#include <ctlsign/cluster/posix_rename.hpp>
#include <ctlsign/cluster/ssh_session.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/limits.hpp>
#include <pkcs11/descriptor.hpp>
#include <pkcs11/free_with.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::size_t kPiece = 30000;  // octets; servers take packets of 32 KiB at least

using AddressPtr = std::unique_ptr<addrinfo, FreeWith<freeaddrinfo>>;
using HandlePtr = std::unique_ptr<LIBSSH2_SFTP_HANDLE, FreeWith<libssh2_sftp_close_handle>>;
using AgentPtr = std::unique_ptr<LIBSSH2_AGENT, FreeWith<libssh2_agent_free>>;

std::error_code code_of(unsigned long status) {
    const auto system = [](std::errc code) { return std::make_error_code(code); };
    switch (status) {
        case LIBSSH2_FX_NO_SUCH_FILE:
        case LIBSSH2_FX_NO_SUCH_PATH:
            return system(std::errc::no_such_file_or_directory);
        case LIBSSH2_FX_PERMISSION_DENIED:
        case LIBSSH2_FX_WRITE_PROTECT:
            return system(std::errc::permission_denied);
        case LIBSSH2_FX_NO_SPACE_ON_FILESYSTEM:
        case LIBSSH2_FX_QUOTA_EXCEEDED:
            return system(std::errc::no_space_on_device);
        default:
            return Errc::NodeFailed;
    }
}

void begin_library() {
    static std::once_flag once;
    std::call_once(once, [] { libssh2_init(0); });
}

std::string fingerprint(LIBSSH2_SESSION* session) {
    const char* hash = libssh2_hostkey_hash(session, LIBSSH2_HOSTKEY_HASH_SHA256);
    if (hash == nullptr) return {};
    std::array<unsigned char, 64> text{};
    const int size = EVP_EncodeBlock(text.data(), reinterpret_cast<const unsigned char*>(hash), 32);
    std::string base64(reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(size));
    base64.erase(base64.find_last_not_of('=') + 1);
    return "SHA256:" + base64;
}

// 0, or the errno of a connection that does not come about. A signal does not shorten the patience.
int wait_for_connection(int socket, std::chrono::milliseconds patience) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + patience;
    pollfd wait{socket, POLLOUT, 0};
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
        const int ready = ::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        if (ready == 0) return ETIMEDOUT;
        if (ready > 0) break;
        if (errno != EINTR) return errno;
    }
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

// A socket that is connected, or none and errno.
Descriptor connect_within(const addrinfo& address, std::chrono::milliseconds patience) {
    Descriptor socket(
        ::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol));
    if (!socket) return socket;
    int error = ::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
    // Interrupted by a signal, it goes on by itself, too.
    if (error == EINPROGRESS || error == EINTR) error = wait_for_connection(socket.get(), patience);
    if (error != 0) {
        socket = {};
        errno = error;
        return socket;
    }
    // libssh2 waits by itself, with its own time limit.
    ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) & ~O_NONBLOCK);
    return socket;
}

}  // namespace

std::optional<SftpAddress> SftpAddress::parse(std::string_view text) {
    constexpr std::string_view kScheme = "sftp://";
    if (!text.starts_with(kScheme)) return std::nullopt;
    text.remove_prefix(kScheme.size());
    const std::size_t slash = text.find('/');
    const std::size_t at = text.substr(0, slash).rfind('@');
    if (slash == std::string_view::npos || at == std::string_view::npos) return std::nullopt;
    SftpAddress address;
    address.user = text.substr(0, at);
    address.folder = text.substr(slash);
    std::string_view server = text.substr(at + 1, slash - at - 1);
    // An IPv6 address stands in brackets.
    const std::size_t bracket = server.starts_with('[') ? server.find(']') : std::string_view::npos;
    const std::size_t colon = server.find(':', bracket == std::string_view::npos ? 0 : bracket);
    address.port = colon == std::string_view::npos ? "22" : std::string(server.substr(colon + 1));
    server = server.substr(0, colon);
    if (bracket != std::string_view::npos) server = server.substr(1, bracket - 1);
    address.host = server;
    const bool digits = address.port.find_first_not_of("0123456789") == std::string::npos;
    // A password has no place in an address.
    if (address.user.empty() || address.user.find(':') != std::string::npos || address.host.empty() ||
        address.port.empty() || !digits) {
        return std::nullopt;
    }
    return address;
}

void SftpSession::connect(const SftpAddress& address) {
    begin_library();
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int failed = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &list);
    if (failed != 0) throw Error(Errc::NodeFailed, "looking for the host", name_, ::gai_strerror(failed));
    const AddressPtr owner(list);
    for (const addrinfo* each = list; each != nullptr && socket_ < 0; each = each->ai_next)
        socket_ = connect_within(*each, patience_).release();
    if (socket_ < 0)
        throw Error(std::error_code(errno, std::system_category()), "connecting", name_, "is the server up?");
    session_ = libssh2_session_init_ex(nullptr, nullptr, nullptr, nullptr);
    if (session_ == nullptr) throw std::bad_alloc();
    libssh2_session_set_blocking(session_, 1);
    libssh2_session_set_timeout(session_, static_cast<long>(patience_.count()));
    if (libssh2_session_handshake(session_, socket_) != 0) fail("the SSH handshake", name_);
}

void SftpSession::check_host_key(const std::string& expected) const {
    const std::string found = fingerprint(session_);
    if (!found.empty() && found == expected) return;
    throw Error(
        Errc::NodeFailed, "checking the host key", name_,
        expected.empty()
            ? fmt::format("it is {}: compare that with what ssh-keygen -l prints on the server, then give "
                          "--host-key",
                          found)
            : fmt::format("it is {}, expected was {}: nothing was sent to the server", found, expected));
}

void SftpSession::authenticate(const SftpAddress& address, const SshTrust& trust) {
    if (trust.identity) {
        if (libssh2_userauth_publickey_fromfile_ex(session_, address.user.data(),
                                                   static_cast<unsigned>(address.user.size()), nullptr,
                                                   trust.identity->c_str(), nullptr) != 0) {
            fail("logging in with the key", *trust.identity);
        }
        return;
    }
    const AgentPtr agent(libssh2_agent_init(session_));
    libssh2_agent_publickey* key = nullptr;
    bool in = false;
    if (agent && libssh2_agent_connect(agent.get()) == 0) {
        if (libssh2_agent_list_identities(agent.get()) == 0) {
            while (!in && libssh2_agent_get_identity(agent.get(), &key, key) == 0)
                in = libssh2_agent_userauth(agent.get(), address.user.c_str(), key) == 0;
        }
        libssh2_agent_disconnect(agent.get());
    }
    if (!in)
        throw Error(Errc::NodeFailed, "logging in", name_,
                    "no key of the SSH agent is accepted: start an agent, or name a key with --identity");
}

SftpSession::SftpSession(const SftpAddress& address, const SshTrust& trust,
                         std::chrono::milliseconds patience)
    : name_(fmt::format("{}@{}:{}", address.user, address.host, address.port)), patience_(patience) {
    try {
        connect(address);
        check_host_key(trust.host_key);
        authenticate(address, trust);
        sftp_ = libssh2_sftp_init(session_);
        if (sftp_ == nullptr) fail("opening SFTP", name_);
    } catch (...) {
        close();
        throw;
    }
}

SftpSession::~SftpSession() {
    close();
}

void SftpSession::close() noexcept {
    posix_rename_.reset();
    if (sftp_ != nullptr) libssh2_sftp_shutdown(sftp_);
    if (session_ != nullptr) {
        libssh2_session_disconnect_ex(session_, SSH_DISCONNECT_BY_APPLICATION, "done", "");
        libssh2_session_free(session_);
    }
    if (socket_ >= 0) ::close(socket_);
}

void SftpSession::fail(std::string_view step, const std::string& path) const {
    char* text = nullptr;
    const int error = libssh2_session_last_error(session_, &text, nullptr, 0);
    const unsigned long status = error == LIBSSH2_ERROR_SFTP_PROTOCOL ? libssh2_sftp_last_error(sftp_) : 0;
    throw Error(error == LIBSSH2_ERROR_TIMEOUT ? std::make_error_code(std::errc::timed_out) : code_of(status),
                step, path,
                fmt::format("{} says {}{}", name_, text, status != 0 ? fmt::format(" ({})", status) : ""));
}

bool SftpSession::is_absent() const {
    return libssh2_session_last_errno(session_) == LIBSSH2_ERROR_SFTP_PROTOCOL &&
           libssh2_sftp_last_error(sftp_) == LIBSSH2_FX_NO_SUCH_FILE;
}

std::vector<std::string> SftpSession::list(const std::string& folder) {
    const HandlePtr handle(libssh2_sftp_open_ex(sftp_, folder.data(), static_cast<unsigned>(folder.size()), 0,
                                                0, LIBSSH2_SFTP_OPENDIR));
    if (!handle) fail("reading", folder);
    std::vector<std::string> names;
    std::array<char, limits::kNameOnServer> name{};
    LIBSSH2_SFTP_ATTRIBUTES attributes{};
    for (;;) {
        const int size =
            libssh2_sftp_readdir_ex(handle.get(), name.data(), name.size(), nullptr, 0, &attributes);
        if (size < 0) fail("reading", folder);
        if (size == 0) return names;
        if (LIBSSH2_SFTP_S_ISREG(attributes.permissions) != 0)
            names.emplace_back(name.data(), static_cast<std::size_t>(size));
        if (names.size() > limits::kNamesInFolder)
            throw Error(Errc::Oversized, "reading", folder,
                        fmt::format("the limit is {} files", limits::kNamesInFolder));
    }
}

std::optional<Bytes> SftpSession::load(const std::string& path, std::size_t limit) {
    const HandlePtr file(libssh2_sftp_open_ex(sftp_, path.data(), static_cast<unsigned>(path.size()),
                                              LIBSSH2_FXF_READ, 0, LIBSSH2_SFTP_OPENFILE));
    if (!file) {
        if (is_absent()) return std::nullopt;
        fail("reading", path);
    }
    Bytes bytes;
    std::array<char, kPiece> piece{};
    for (;;) {
        const ssize_t got = libssh2_sftp_read(file.get(), piece.data(), piece.size());
        if (got < 0) fail("reading", path);
        if (got == 0) return bytes;
        bytes.insert(bytes.end(), piece.begin(), piece.begin() + got);
        if (bytes.size() > limit)
            throw Error(Errc::Oversized, "reading", path, fmt::format("the limit is {} octets", limit));
    }
}

void SftpSession::store(const std::string& path, ByteView bytes) {
    constexpr long kMode = 0644;
    remove(path);
    HandlePtr file(libssh2_sftp_open_ex(sftp_, path.data(), static_cast<unsigned>(path.size()),
                                        LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT | LIBSSH2_FXF_EXCL, kMode,
                                        LIBSSH2_SFTP_OPENFILE));
    if (!file) fail("writing", path);
    while (!bytes.empty()) {
        const ByteView piece = bytes.first(std::min(bytes.size(), kPiece));
        const ssize_t written =
            libssh2_sftp_write(file.get(), reinterpret_cast<const char*>(piece.data()), piece.size());
        if (written < 0) fail("writing", path);
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    // A server without fsync@openssh.com keeps its own time.
    if (libssh2_sftp_fsync(file.get()) != 0 && libssh2_sftp_last_error(sftp_) != LIBSSH2_FX_OP_UNSUPPORTED)
        fail("flushing", path);
    // Some servers write only now, and say only now that there is no room.
    if (libssh2_sftp_close_handle(file.release()) != 0) fail("closing", path);
}

void SftpSession::replace(const std::string& path, const std::string& next) {
    if (!posix_rename_) posix_rename_ = std::make_unique<PosixRename>(session_);
    if (posix_rename_->is_offered()) {
        const auto status = posix_rename_->run(next, path);
        if (!status) fail("renaming", next);
        if (*status == LIBSSH2_FX_OK) return;
        throw Error(code_of(*status), "renaming", next, fmt::format("{} says {}", name_, *status));
    }
    remove(path);
    if (libssh2_sftp_rename_ex(sftp_, next.data(), static_cast<unsigned>(next.size()), path.data(),
                               static_cast<unsigned>(path.size()), LIBSSH2_SFTP_RENAME_NATIVE) != 0) {
        fail("renaming", next);
    }
}

void SftpSession::remove(const std::string& path) {
    if (libssh2_sftp_unlink_ex(sftp_, path.data(), static_cast<unsigned>(path.size())) != 0 && !is_absent())
        fail("removing", path);
}

}  // namespace ctlsign::cluster
