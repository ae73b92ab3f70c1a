#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include <pkcs11/error.hpp>
#include <pkcs11/uri.hpp>

namespace ctlsign::pkcs11 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Uri, Reads) {
    const Uri uri = Uri::parse(
        "pkcs11:token=SAST-ADN008580ef;serial=12;object=k%20e;id=%01%ff?module-path=/usr/lib/"
        "x.so&pin-source=file:/run/pin");
    EXPECT_EQ(uri.id(), (Bytes{0x01, 0xFF}));
    EXPECT_EQ(uri.object(), "k e");
    EXPECT_EQ(uri.module_path(), "/usr/lib/x.so");
    EXPECT_EQ(uri.pin_source(), "file:/run/pin");
    EXPECT_FALSE(uri.module_name());
    const Uri empty = Uri::parse("PKCS11:");
    EXPECT_FALSE(empty.id());
    EXPECT_FALSE(empty.object());
}

TEST(Uri, SurvivesTheRoundTripWithEveryAwkwardCharacter) {
    for (const char* text : {"pkcs11:token=a%3Bb", "pkcs11:token=a%2Fb", "pkcs11:token=%25%3D",
                             "pkcs11:token=%C3%BC", "pkcs11:id=%00%3B%FF"}) {
        const Uri uri = Uri::parse(text);
        EXPECT_EQ(Uri::parse(uri.to_text()).to_text(), uri.to_text()) << text;
        EXPECT_EQ(Uri::parse(uri.to_text()).id(), uri.id());
    }
}

TEST(Uri, RefusesWhatIsNone) {
    for (const std::string& text :
         {std::string(""), std::string("pkcs12:"), std::string("token=a"), std::string("pkcs11:token=%"),
          std::string("pkcs11:token=%zz"), std::string("pkcs11:token"), std::string("pkcs11:tok\0en=a", 15),
          std::string("pkcs11:slot-id=x")}) {
        try {
            Uri::parse(text);
            ADD_FAILURE() << text;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), Errc::NotAnUri) << text;
        }
    }
}

TEST(Uri, RefusesAPinAndDoesNotRepeatIt) {
    for (const char* text :
         {"pkcs11:token=a?pin-value=geheim", "pkcs11:token=a?PIN-VALUE=geheim", "pkcs11:pin-value=geheim"}) {
        try {
            Uri::parse(text);
            ADD_FAILURE() << text;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), Errc::PinInUri);
            EXPECT_THAT(e.what(), Not(HasSubstr("geheim")));
        }
    }
}

}  // namespace
}  // namespace ctlsign::pkcs11
