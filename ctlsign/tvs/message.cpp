#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include <ctlsign/limits.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/tvs/message.hpp>

namespace ctlsign::tvs {

namespace {

constexpr std::uint8_t kProtocol = 0x57, kVersion = 1;
constexpr std::size_t kElementHead = 3;
constexpr std::uint8_t kDeviceKind = 1;  // the octet in front of every device name

enum class Tag : std::uint8_t {
    Device = 1,
    Certificate = 2,
    Subject = 3,
    Issuer = 4,
    Serial = 5,
    Status = 7,
    Roles = 8,
    Ttl = 9,
};
constexpr std::size_t kTags = 10;

bool is_printable(std::string_view text) noexcept {
    return std::ranges::all_of(text,
                               [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F; });
}

// Text that ends with its only NUL.
bool is_text(ByteView value) noexcept {
    return !value.empty() && std::ranges::find(value, 0) == value.end() - 1;
}

// An issuer has attributes; a serial number that reads like that is not met.
bool is_name(ByteView value) noexcept {
    return is_text(value) && is_printable(as_text(value.first(value.size() - 1))) &&
           std::ranges::find(value, '=') != value.end();
}

unsigned read_u16(ByteView at) noexcept {
    return static_cast<unsigned>(at[0]) << 8U | at[1];
}

std::uint32_t read_u32(ByteView at) noexcept {
    return static_cast<std::uint32_t>(read_u16(at)) << 16U | read_u16(at.subspan(2));
}

struct Field {
    ByteView value{};
    std::size_t position = 0;
    bool present = false;
};

class Decoder {
  public:
    explicit Decoder(ByteView octets) : octets_(octets) {}

    Message decode() {
        if (octets_.size() < kHeaderLength) throw DecodeError(octets_.size(), "the header is cut off");
        if (const std::size_t size = message_size(octets_); size != octets_.size())
            throw DecodeError(std::min(size, octets_.size()), "the body is not as long as the header says");
        const auto type = static_cast<MessageType>(octets_[2]);
        read_elements(type);
        Message message{read_u32(octets_.subspan(4)), octets_[3], {}};
        switch (type) {
            case MessageType::VerifyRequest:
                message.body = VerifyRequest{device(), bytes(Tag::Certificate)};
                break;
            case MessageType::VerifyResponse:
                message.body = VerifyResponse{answer()};
                break;
            case MessageType::QueryRequest:
                message.body = query();
                break;
            case MessageType::QueryResponse:
                message.body = QueryResponse{answer()};
                break;
        }
        return message;
    }

  private:
    static bool belongs(std::uint8_t tag, MessageType type) noexcept {
        switch (type) {
            case MessageType::VerifyRequest:
                return tag == 1 || tag == 2;
            case MessageType::QueryRequest:
                return tag == 1 || (tag >= 3 && tag <= 5);
            default:
                return tag == 2 || (tag >= 7 && tag <= 9);
        }
    }

    void read_elements(MessageType type) {
        const bool response = type == MessageType::VerifyResponse || type == MessageType::QueryResponse;
        for (std::size_t at = kHeaderLength; at < octets_.size();) {
            const ByteView rest = octets_.subspan(at);
            if (rest.size() < kElementHead) throw DecodeError(at, "an element is cut off");
            const std::size_t length = read_u16(rest.subspan(1));
            if (length > rest.size() - kElementHead) throw DecodeError(at, "an element runs past the body");
            if (belongs(rest[0], type)) {
                Field& field = fields_[rest[0]];
                if (field.present) throw DecodeError(at, fmt::format("element {} is there twice", rest[0]));
                field = {rest.subspan(kElementHead, length), at, true};
            } else if (!response) {
                throw DecodeError(at, fmt::format("element {} does not belong here", rest[0]));
            }
            at += kElementHead + length;
        }
    }

    const Field& get(Tag tag) const {
        const Field& field = fields_[static_cast<std::size_t>(tag)];
        if (!field.present)
            throw DecodeError(octets_.size(), fmt::format("element {} is missing", static_cast<int>(tag)));
        return field;
    }

    Bytes bytes(Tag tag) const {
        const Field& field = get(tag);
        if (field.value.empty()) throw DecodeError(field.position, "an empty value");
        return {field.value.begin(), field.value.end()};
    }

    std::string text(Tag tag) const {
        const Field& field = get(tag);
        if (!is_text(field.value))
            throw DecodeError(field.position, "expected a text that ends with its only NUL");
        return std::string(as_text(field.value.first(field.value.size() - 1)));
    }

    std::string device() const {
        const Field& field = get(Tag::Device);
        const std::string_view name = as_text(field.value.empty() ? field.value : field.value.subspan(1));
        if (field.value.empty() || field.value[0] != kDeviceKind || name.empty() ||
            name.size() > limits::kDeviceName || !is_printable(name)) {
            throw DecodeError(field.position, "expected a printable device name of at most 128 octets");
        }
        return std::string(name);
    }

    // Which of tags 4 and 5 is the issuer and which the serial number is inferred, so their content decides.
    QueryRequest query() {
        Field& issuer = fields_[static_cast<std::size_t>(Tag::Issuer)];
        Field& serial = fields_[static_cast<std::size_t>(Tag::Serial)];
        if (issuer.present && serial.present && !is_name(issuer.value) && is_name(serial.value))
            std::swap(issuer, serial);
        return {device(), text(Tag::Subject), text(Tag::Issuer), bytes(Tag::Serial)};
    }

    Answer answer() const {
        Answer answer;
        const Field& status = get(Tag::Status);
        if (status.value.size() != 1 || status.value[0] > 1)
            throw DecodeError(status.position, "expected a status, 0 or 1");
        answer.status = static_cast<Status>(status.value[0]);
        if (find(Tag::Certificate)) answer.certificate = bytes(Tag::Certificate);
        if (const Field* roles = find(Tag::Roles)) {
            for (const std::uint8_t role : roles->value) answer.roles.push_back(static_cast<Role>(role));
        }
        if (const Field* ttl = find(Tag::Ttl)) {
            if (ttl->value.size() != 4) throw DecodeError(ttl->position, "expected a TTL of four octets");
            answer.ttl = read_u32(ttl->value);
        }
        return answer;
    }

    const Field* find(Tag tag) const noexcept {
        const Field& field = fields_[static_cast<std::size_t>(tag)];
        return field.present ? &field : nullptr;
    }

    ByteView octets_;
    std::array<Field, kTags> fields_{};
};

class Encoder {
  public:
    Bytes encode(const Message& message) {
        octets_ = {kProtocol, kVersion, static_cast<std::uint8_t>(message.type()), message.reserved};
        add_u16(message.id >> 16U);
        add_u16(message.id & 0xFFFFU);
        add_u16(0);
        std::visit([this](const auto& body) { add(body); }, message.body);
        const std::size_t length = octets_.size() - kHeaderLength;
        if (length > 0xFFFF) too_long();
        octets_[8] = static_cast<std::uint8_t>(length >> 8U);
        octets_[9] = static_cast<std::uint8_t>(length);
        return std::move(octets_);
    }

  private:
    [[noreturn]] static void too_long() {
        throw Error(Errc::Unencodable, "writing", "a TVS message", "a value is too long");
    }

    void add_u16(std::uint32_t value) {
        octets_.push_back(static_cast<std::uint8_t>(value >> 8U));
        octets_.push_back(static_cast<std::uint8_t>(value));
    }

    void add_head(Tag tag, std::size_t length) {
        if (length > 0xFFFF) too_long();
        octets_.push_back(static_cast<std::uint8_t>(tag));
        add_u16(static_cast<std::uint32_t>(length));
    }

    void add(Tag tag, ByteView value) {
        add_head(tag, value.size());
        octets_.insert(octets_.end(), value.begin(), value.end());
    }

    void add_text(Tag tag, std::string_view text) {
        if (text.find('\0') != std::string_view::npos)
            throw Error(Errc::Unencodable, "writing", "a TVS message", "a name holds a NUL");
        add_head(tag, text.size() + 1);
        octets_.insert(octets_.end(), text.begin(), text.end());
        octets_.push_back(0);
    }

    void add_device(std::string_view name) {
        if (name.empty() || name.size() > limits::kDeviceName || !is_printable(name))
            throw Error(Errc::Unencodable, "writing", "a TVS message",
                        "the device name is not printable, or too long");
        add_head(Tag::Device, name.size() + 1);
        octets_.push_back(kDeviceKind);
        octets_.insert(octets_.end(), name.begin(), name.end());
    }

    void add(const VerifyRequest& request) {
        add_device(request.device);
        add(Tag::Certificate, request.certificate);
    }

    void add(const QueryRequest& request) {
        add_device(request.device);
        add_text(Tag::Subject, request.subject);
        add_text(Tag::Issuer, request.issuer);
        add(Tag::Serial, request.serial);
    }

    void add(const Answer& answer) {
        add_head(Tag::Status, 1);
        octets_.push_back(static_cast<std::uint8_t>(answer.status));
        if (!answer.certificate.empty()) add(Tag::Certificate, answer.certificate);
        if (!answer.roles.empty()) {
            add_head(Tag::Roles, answer.roles.size());
            for (const Role role : answer.roles) {
                if (static_cast<unsigned>(role) > 0xFF) too_long();
                octets_.push_back(static_cast<std::uint8_t>(role));
            }
        }
        if (answer.ttl) {
            add_head(Tag::Ttl, 4);
            add_u16(*answer.ttl >> 16U);
            add_u16(*answer.ttl & 0xFFFFU);
        }
    }

    Bytes octets_;
};

}  // namespace

std::string_view to_text(MessageType type) noexcept {
    switch (type) {
        case MessageType::VerifyRequest:
            return "VERIFY_CERT_REQ";
        case MessageType::VerifyResponse:
            return "VERIFY_CERT_RES";
        case MessageType::QueryRequest:
            return "QUERY_CERT_REQ";
        case MessageType::QueryResponse:
            return "QUERY_CERT_RES";
    }
    return "unknown";
}

std::size_t message_size(ByteView header) {
    if (header.size() < kHeaderLength) throw DecodeError(header.size(), "the header is cut off");
    if (header[0] != kProtocol) throw DecodeError(0, fmt::format("protocol {:02X} is not TVS", header[0]));
    if (header[1] != kVersion) throw DecodeError(1, fmt::format("version {} is not known", header[1]));
    if (header[2] < 1 || header[2] > 4)
        throw DecodeError(2, fmt::format("there is no message type {}", header[2]));
    return kHeaderLength + read_u16(header.subspan(8));
}

Message decode(ByteView octets) {
    return Decoder(octets).decode();
}

Bytes encode(const Message& message) {
    return Encoder().encode(message);
}

}  // namespace ctlsign::tvs
