#include <gtest/gtest.h>

#include <stdexcept>

#include <pkcs11/bytes.hpp>

namespace ctlsign {
namespace {

TEST(Hex, RoundTrip) {
    const Bytes bytes{0x00, 0x0F, 0xA5, 0xFF};
    EXPECT_EQ(to_hex(bytes), "000FA5FF");
    EXPECT_EQ(to_hex(bytes, ":"), "00:0F:A5:FF");
    EXPECT_EQ(to_lower_hex(bytes), "000fa5ff");
    EXPECT_EQ(to_lower_hex(bytes, ":"), "00:0f:a5:ff");
    EXPECT_EQ(from_hex("000fa5FF"), bytes);
    EXPECT_EQ(from_hex("00:0F a5:ff"), bytes);
    EXPECT_TRUE(from_hex("").empty());
}

TEST(Hex, RefusesWhatIsNotHexadecimal) {
    for (const char* text : {"0", "0g", "00 0", "0:0", "x", "00-11"}) {
        EXPECT_THROW(from_hex(text), std::invalid_argument) << text;
    }
}

TEST(Printable, EscapesControlCharacters) {
    EXPECT_EQ(printable("a\x1b[1m\r\n\x7f"), "a\\x1B[1m\\x0D\\x0A\\x7F");
    EXPECT_EQ(printable("\xC2\x9B"), "\\xC2\x9B");
    EXPECT_EQ(printable("M\xC3\xBCller"), "M\xC3\xBCller");
}

}  // namespace
}  // namespace ctlsign
