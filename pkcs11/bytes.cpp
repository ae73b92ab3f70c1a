#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <stdexcept>

#include <pkcs11/bytes.hpp>

namespace ctlsign {

bool equal(ByteView a, ByteView b) noexcept {
    return std::ranges::equal(a, b);
}

ByteView strip_leading_zeros(ByteView number) noexcept {
    while (!number.empty() && number.front() == 0) number = number.subspan(1);
    return number;
}

static std::string write_hex(ByteView bytes, std::string_view separator, std::string_view digits) {
    std::string text;
    text.reserve(bytes.size() * (2 + separator.size()));
    for (const std::uint8_t byte : bytes) {
        if (!text.empty()) text += separator;
        text += digits[byte >> 4U];
        text += digits[byte & 15U];
    }
    return text;
}

std::string to_hex(ByteView bytes, std::string_view separator) {
    return write_hex(bytes, separator, "0123456789ABCDEF");
}

std::string to_lower_hex(ByteView bytes, std::string_view separator) {
    return write_hex(bytes, separator, "0123456789abcdef");
}

static std::optional<std::uint8_t> hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
    return std::nullopt;
}

Bytes from_hex(std::string_view text) {
    Bytes bytes;
    bytes.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size();) {
        if (text[i] == ':' || text[i] == ' ') {
            ++i;
            continue;
        }
        const auto high = hex_digit(text[i]);
        const auto low = i + 1 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
        if (!high || !low) throw std::invalid_argument("not hexadecimal octets");
        bytes.push_back(static_cast<std::uint8_t>(*high << 4U | *low));
        i += 2;
    }
    return bytes;
}

std::string printable(std::string_view text) {
    std::string clean;
    clean.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        // U+0080 to U+009F are control characters too, and two octets in UTF-8.
        const bool c1 = c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
        if (c < 0x20 || c == 0x7F || c1) {
            fmt::format_to(std::back_inserter(clean), "\\x{:02X}", c);
        } else {
            clean += text[i];
        }
    }
    return clean;
}

}  // namespace ctlsign
