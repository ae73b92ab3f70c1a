#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

#include <pkcs11/bytes.hpp>

/// Trust lists put together by hand, right or wrong, for tests of the decoder.
namespace ctlsign::testing {

inline Bytes join(std::initializer_list<ByteView> parts) {
    Bytes out;
    for (const ByteView part : parts) out.insert(out.end(), part.begin(), part.end());
    return out;
}

inline Bytes number(std::size_t value) {
    return {static_cast<std::uint8_t>(value >> 8U), static_cast<std::uint8_t>(value)};
}

inline Bytes tlv(std::uint8_t tag, const Bytes& value) {
    return join({Bytes{tag}, number(value.size()), value});
}

/// With the NUL that ends it.
inline Bytes text(std::string_view value) {
    return join({as_bytes(value), Bytes{0}});
}

/// A header of 512-bit RSA that decodes; a test changes what it is about.
struct RawHeader {
    Bytes version = tlv(1, {1, 2});
    Bytes signer = tlv(3, join({tlv(4, text("s")), tlv(5, {7}), tlv(6, text("i"))}));
    Bytes info = tlv(7, join({tlv(8, {1}), tlv(9, join({tlv(10, {0}), tlv(11, {0})}))}));
    Bytes signature = tlv(12, Bytes(64));
    Bytes filename = tlv(14, text("CTLFile.tlv"));
    Bytes timestamp = tlv(15, {0, 0, 0, 1});
    Bytes tail{};                         // pads, or what does not belong there
    std::optional<std::size_t> length{};  // instead of the right one

    Bytes encode() const {
        const Bytes rest = join({signer, info, signature, filename, timestamp, tail});
        return join({version, tlv(2, number(length.value_or(version.size() + 5 + rest.size()))), rest});
    }
};

/// A record around its elements, with the right length.
inline Bytes raw_record(const Bytes& elements) {
    return join({tlv(1, number(5 + elements.size())), elements});
}

}  // namespace ctlsign::testing
