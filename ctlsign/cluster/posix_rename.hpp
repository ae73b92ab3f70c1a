#pragma once

#include <libssh2.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <pkcs11/bytes.hpp>
#include <pkcs11/free_with.hpp>

namespace ctlsign::cluster {

/// The request posix-rename@openssh.com, by which an SFTP server replaces a file in one step: libssh2 does
/// not make it. Spoken over a channel of its own (SFTP version 3, draft-ietf-secsh-filexfer-02; the extension
/// is described in OpenSSH's PROTOCOL).
class PosixRename {
  public:
    /// SESSION is logged in, and outlives this.
    explicit PosixRename(LIBSSH2_SESSION* session);

    /// Whether the server has it, and another channel.
    bool is_offered() const noexcept { return offered_; }
    /// PATH becomes NEW_PATH. The server's status, 0 when it is done; nothing when no answer came.
    std::optional<std::uint32_t> run(const std::string& path, const std::string& new_path);

  private:
    bool send(ByteView packet);
    std::optional<Bytes> receive();
    bool read(std::uint8_t* to, std::size_t size);

    std::unique_ptr<LIBSSH2_CHANNEL, FreeWith<libssh2_channel_free>> channel_;
    bool offered_ = false;
    std::uint32_t request_ = 0;  ///< the last one: a late answer to another is none
};

}  // namespace ctlsign::cluster
