#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <pkcs11/bytes.hpp>

// Private: what of SFTP version 3 (draft-ietf-secsh-filexfer-02) is spoken without libssh2, for
// PosixRename. A message that is encoded has its length before it; one that is decoded comes without.
namespace ctlsign::cluster {

inline constexpr std::size_t kSftpLengthSize = 4;
/// How long the message is that follows LENGTH, of four octets.
std::uint32_t decode_sftp_length(ByteView length);

/// The first message of a client.
Bytes encode_sftp_greeting();
/// Whether the first message of a server says that it has the extension.
bool offers_posix_rename(ByteView greeting);

/// Request NUMBER: PATH becomes NEW_PATH.
Bytes encode_posix_rename(std::uint32_t number, std::string_view path, std::string_view new_path);
/// The status of request NUMBER, 0 when it is done; nothing when ANSWER is no status, or another's.
std::optional<std::uint32_t> decode_sftp_status(ByteView answer, std::uint32_t number);

}  // namespace ctlsign::cluster
