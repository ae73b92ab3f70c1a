#include <ctlsign/cluster/posix_rename.hpp>
#include <ctlsign/cluster/sftp_message.hpp>
#include <ctlsign/limits.hpp>

namespace ctlsign::cluster {

PosixRename::PosixRename(LIBSSH2_SESSION* session)
    : channel_(libssh2_channel_open_ex(session, "session", sizeof "session" - 1,
                                       LIBSSH2_CHANNEL_WINDOW_DEFAULT, LIBSSH2_CHANNEL_PACKET_DEFAULT,
                                       nullptr, 0)) {
    if (!channel_ || libssh2_channel_subsystem(channel_.get(), "sftp") != 0) return;
    if (!send(encode_sftp_greeting())) return;
    const auto greeting = receive();
    offered_ = greeting && offers_posix_rename(*greeting);
}

std::optional<std::uint32_t> PosixRename::run(const std::string& path, const std::string& new_path) {
    if (!send(encode_posix_rename(++request_, path, new_path))) return std::nullopt;
    const auto answer = receive();
    return answer ? decode_sftp_status(*answer, request_) : std::nullopt;
}

bool PosixRename::send(ByteView packet) {
    while (!packet.empty()) {
        const ssize_t written = libssh2_channel_write(
            channel_.get(), reinterpret_cast<const char*>(packet.data()), packet.size());
        if (written <= 0) return false;
        packet = packet.subspan(static_cast<std::size_t>(written));
    }
    return true;
}

std::optional<Bytes> PosixRename::receive() {
    Bytes length(kSftpLengthSize);
    if (!read(length.data(), length.size())) return std::nullopt;
    const std::uint32_t size = decode_sftp_length(length);
    if (size > limits::kSftpMessage) return std::nullopt;
    Bytes message(size);
    if (!read(message.data(), message.size())) return std::nullopt;
    return message;
}

bool PosixRename::read(std::uint8_t* to, std::size_t size) {
    while (size > 0) {
        const ssize_t got = libssh2_channel_read(channel_.get(), reinterpret_cast<char*>(to), size);
        if (got <= 0) return false;
        to += got;
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

}  // namespace ctlsign::cluster
