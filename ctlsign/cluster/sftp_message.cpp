#include <ctlsign/cluster/sftp_message.hpp>

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

std::uint32_t decode_u32(ByteView octets) {
    std::uint32_t number = 0;
    for (const std::uint8_t octet : octets) number = number << 8U | octet;
    return number;
}

Bytes put_length_before(const Bytes& message) {
    Bytes packet;
    append_u32(packet, static_cast<std::uint32_t>(message.size()));
    packet.insert(packet.end(), message.begin(), message.end());
    return packet;
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
        constexpr std::size_t kSize = sizeof(std::uint32_t);
        if (left_.size() < kSize) return std::nullopt;
        const std::uint32_t number = decode_u32(left_.first(kSize));
        left_ = left_.subspan(kSize);
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

}  // namespace

std::uint32_t decode_sftp_length(ByteView length) {
    return decode_u32(length);
}

Bytes encode_sftp_greeting() {
    Bytes message{Init};
    append_u32(message, kVersion);
    return put_length_before(message);
}

bool offers_posix_rename(ByteView greeting) {
    PacketReader reader(greeting);
    if (reader.octet() != Version || reader.u32() != kVersion) return false;
    for (;;) {
        const auto name = reader.text(), version = reader.text();
        if (!name || !version) return false;
        if (*name == kExtension && *version == "1") return true;
    }
}

Bytes encode_posix_rename(std::uint32_t number, std::string_view path, std::string_view new_path) {
    Bytes message{Extended};
    append_u32(message, number);
    append_text(message, kExtension);
    append_text(message, path);
    append_text(message, new_path);
    return put_length_before(message);
}

std::optional<std::uint32_t> decode_sftp_status(ByteView answer, std::uint32_t number) {
    PacketReader reader(answer);
    if (reader.octet() != Status || reader.u32() != number) return std::nullopt;
    return reader.u32();
}

}  // namespace ctlsign::cluster
