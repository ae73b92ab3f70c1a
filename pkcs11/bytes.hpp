#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ctlsign {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

/// True when both hold the same octets.
bool equal(ByteView a, ByteView b) noexcept;

/// The same unsigned big-endian number without octets that are zero in front.
ByteView strip_leading_zeros(ByteView number) noexcept;

/// The octets of TEXT, without a terminating NUL. The view lives as long as the text.
inline ByteView as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// The octets as text. The view lives as long as the octets.
inline std::string_view as_text(ByteView bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Two upper-case hexadecimal digits an octet, SEPARATOR between octets.
std::string to_hex(ByteView bytes, std::string_view separator = {});
/// The same in lower case.
std::string to_lower_hex(ByteView bytes, std::string_view separator = {});

/// The octets written in TEXT: hexadecimal of either case; colons and spaces between octets are passed over.
/// Throws std::invalid_argument on anything else, an odd number of digits included.
Bytes from_hex(std::string_view text);

/// TEXT with control characters written as `\xNN`: neither a file nor a token can talk to the terminal.
std::string printable(std::string_view text);

}  // namespace ctlsign
