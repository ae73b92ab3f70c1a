#include <string_view>

#include <ctlsign/cluster/posix_rename.hpp>
#include <ctlsign/limits.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::string_view kExtension = "posix-rename@openssh.com";
constexpr std::uint32_t kVersion = 3;
enum Type : std::uint8_t { Init = 1, Version = 2, Status = 101, Extended = 200 };

void append_u32(Bytes& to, std::uint32_t number) {
    for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<std::uint8_t>(number >> shift));
}

void append_text(Bytes& to, std::string_view text) {
    append_u32(to, static_cast<std::uint32_t>(text.size()));
    to.insert(to.end(), text.begin(), text.end());
}

// Takes from the front of what a server has sent; nothing when there is too little of it.
class PacketReader {
  public:
    explicit PacketReader(ByteView message) : left_(message) {}

    std::optional<std::uint8_t> octet() {
        if (left_.empty()) return std::nullopt;
        const std::uint8_t first = left_.front();
        left_ = left_.subspan(1);
        return first;
    }
    std::optional<std::uint32_t> u32() {
        if (left_.size() < 4) return std::nullopt;
        std::uint32_t number = 0;
        for (const std::uint8_t octet : left_.first(4)) number = number << 8U | octet;
        left_ = left_.subspan(4);
        return number;
    }
    std::optional<std::string_view> text() {
        const auto size = u32();
        if (!size || left_.size() < *size) return std::nullopt;
        const ByteView found = left_.first(*size);
        left_ = left_.subspan(*size);
        return as_text(found);
    }

  private:
    ByteView left_;
};

bool offers_it(const Bytes& greeting) {
    PacketReader reader(greeting);
    if (reader.octet() != Version || reader.u32() != kVersion) return false;
    for (;;) {
        const auto name = reader.text(), version = reader.text();
        if (!name || !version) return false;
        if (*name == kExtension && *version == "1") return true;
    }
}

}  // namespace

PosixRename::PosixRename(LIBSSH2_SESSION* session)
    : channel_(libssh2_channel_open_ex(session, "session", sizeof "session" - 1,
                                       LIBSSH2_CHANNEL_WINDOW_DEFAULT, LIBSSH2_CHANNEL_PACKET_DEFAULT,
                                       nullptr, 0)) {
    if (!channel_ || libssh2_channel_subsystem(channel_.get(), "sftp") != 0) return;
    Bytes hello{Init};
    append_u32(hello, kVersion);
    if (!send(hello)) return;
    const auto greeting = receive();
    offered_ = greeting && offers_it(*greeting);
}

std::optional<std::uint32_t> PosixRename::run(const std::string& path, const std::string& new_path) {
    Bytes request{Extended};
    append_u32(request, ++request_);
    append_text(request, kExtension);
    append_text(request, path);
    append_text(request, new_path);
    if (!send(request)) return std::nullopt;
    const auto answer = receive();
    if (!answer) return std::nullopt;
    PacketReader reader(*answer);
    if (reader.octet() != Status || reader.u32() != request_) return std::nullopt;
    return reader.u32();
}

bool PosixRename::send(const Bytes& message) {
    Bytes packet;
    append_u32(packet, static_cast<std::uint32_t>(message.size()));
    packet.insert(packet.end(), message.begin(), message.end());
    for (ByteView left = packet; !left.empty();) {
        const ssize_t written =
            libssh2_channel_write(channel_.get(), reinterpret_cast<const char*>(left.data()), left.size());
        if (written <= 0) return false;
        left = left.subspan(static_cast<std::size_t>(written));
    }
    return true;
}

std::optional<Bytes> PosixRename::receive() {
    Bytes head(4);
    if (!read(head.data(), head.size())) return std::nullopt;
    const std::uint32_t size = *PacketReader(head).u32();
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
