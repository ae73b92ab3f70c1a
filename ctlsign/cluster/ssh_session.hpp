#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <pkcs11/bytes.hpp>

struct _LIBSSH2_SESSION;  // NOLINT(bugprone-reserved-identifier): libssh2 calls them so
struct _LIBSSH2_SFTP;     // NOLINT(bugprone-reserved-identifier)

namespace ctlsign::cluster {

class PosixRename;

/// `sftp://USER@HOST[:PORT]/FOLDER`
struct SftpAddress {
    std::string user, host, port, folder;
    /// Nothing when TEXT is none.
    static std::optional<SftpAddress> parse(std::string_view text);
};

/// What lets us in, and tells that the server is the right one.
struct SshTrust {
    std::string host_key;                 ///< "SHA256:...", as ssh-keygen -l prints it
    std::optional<std::string> identity;  ///< file of a private key without passphrase; else the agent's keys
};

/// Files on a server, over SSH. Every call gives up after a while. Throws the system's code, or
/// Errc::NodeFailed.
class SftpSession {
  public:
    /// Nothing is sent to a server with another host key.
    SftpSession(const SftpAddress& address, const SshTrust& trust, std::chrono::milliseconds patience);
    SftpSession(const SftpSession&) = delete;
    SftpSession& operator=(const SftpSession&) = delete;
    ~SftpSession();

    /// The names of the files in FOLDER.
    std::vector<std::string> list(const std::string& folder);
    /// Nothing when there is no such file.
    std::optional<Bytes> load(const std::string& path, std::size_t limit);
    /// Writes a new file and has the server put it on its disk, where it can.
    void store(const std::string& path, ByteView bytes);
    /// NEXT becomes PATH, in one step where the server can; elsewhere there is no PATH for a moment.
    void replace(const std::string& path, const std::string& next);
    /// One that is not there is no failure.
    void remove(const std::string& path);

  private:
    [[noreturn]] void fail(std::string_view step, const std::string& path) const;
    bool is_absent() const;
    void connect(const SftpAddress& address);
    void check_host_key(const std::string& expected) const;
    void authenticate(const SftpAddress& address, const SshTrust& trust);
    void close() noexcept;

    std::string name_;
    std::chrono::milliseconds patience_;
    int socket_ = -1;
    _LIBSSH2_SESSION* session_ = nullptr;
    _LIBSSH2_SFTP* sftp_ = nullptr;
    std::unique_ptr<PosixRename> posix_rename_;  ///< once something was renamed
};

}  // namespace ctlsign::cluster
