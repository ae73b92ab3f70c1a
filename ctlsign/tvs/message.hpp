#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <ctlsign/trustlist/model.hpp>

namespace ctlsign::tvs {

inline constexpr std::size_t kHeaderLength = 10;
inline constexpr std::size_t kMaxMessage = kHeaderLength + 65535;
inline constexpr std::uint32_t kDefaultTtl = 86400;

enum class MessageType : std::uint8_t {
    VerifyRequest = 1,  ///< is this certificate valid?
    VerifyResponse = 2,
    QueryRequest = 3,  ///< who is the holder of these names and this serial number?
    QueryResponse = 4,
};
std::string_view to_text(MessageType type) noexcept;  ///< "VERIFY_CERT_REQ"

enum class Status : std::uint8_t { Valid = 0, Invalid = 1 };

/// Texts are as sent, without their NUL.
struct VerifyRequest {
    std::string device;
    Bytes certificate;
    friend bool operator==(const VerifyRequest&, const VerifyRequest&) = default;
};
/// Issuer and serial number are the key; the subject is told besides.
struct QueryRequest {
    std::string device, subject, issuer;
    Bytes serial;
    friend bool operator==(const QueryRequest&, const QueryRequest&) = default;
};
/// What a server says of a certificate.
struct Answer {
    Status status = Status::Invalid;
    Bytes certificate{};                 ///< empty: none
    std::vector<Role> roles{};           ///< below 256
    std::optional<std::uint32_t> ttl{};  ///< seconds
    friend bool operator==(const Answer&, const Answer&) = default;
};
struct VerifyResponse : Answer {
    friend bool operator==(const VerifyResponse&, const VerifyResponse&) = default;
};
struct QueryResponse : Answer {
    friend bool operator==(const QueryResponse&, const QueryResponse&) = default;
};

/// One message of the protocol; ID ties an answer to its request.
struct Message {
    std::uint32_t id = 0;
    std::uint8_t reserved = 0;
    std::variant<VerifyRequest, VerifyResponse, QueryRequest, QueryResponse> body;

    MessageType type() const noexcept { return static_cast<MessageType>(body.index() + 1); }
    friend bool operator==(const Message&, const Message&) = default;
};

/// The size of the whole message from its first kHeaderLength octets. Throws DecodeError when they are no
/// header of this protocol.
std::size_t message_size(ByteView header);

/// One whole message. Strict in what is known; in a response an unknown element is passed over. Throws
/// DecodeError.
Message decode(ByteView octets);

/// Throws Error with Errc::Unencodable for what the format has no room or code for.
Bytes encode(const Message& message);

}  // namespace ctlsign::tvs
