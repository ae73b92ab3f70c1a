#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include <softhsm-profiles/error.hpp>
#include <softhsm-profiles/profile.hpp>
#include <tests/support/temporary_folder.hpp>

namespace ctlsign::softhsm {
namespace {

constexpr const char* kSmallest = R"(
[pin]
user = "1234"
security-officer = "1234"
[key]
sizes = [1024]
)";

std::string complaint(const std::string& toml) {
    try {
        decode_profile(toml, "sample");
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Errc::MalformedProfile);
        return e.what();
    }
    return "accepted";
}

TEST(Profile, EveryShippedOneLoads) {
    EXPECT_THAT(shipped_profiles(), ::testing::ElementsAre("etoken-5110", "etoken-5110-cc", "etoken-pro-64k",
                                                           "plain-softhsm", "publisher-hsm"));
    for (const std::string& name : shipped_profiles()) {
        const Profile profile = load_profile(name);
        EXPECT_EQ(profile.name, name);
        EXPECT_FALSE(profile.description.empty()) << name;
        EXPECT_FALSE(profile.key.subject.empty()) << name;
        EXPECT_EQ(decode_profile(profile.text, name).text, profile.text) << name;
        const std::string written = encode_profile(profile);
        EXPECT_EQ(encode_profile(decode_profile(written, name)), written) << name;
    }
}

TEST(Profile, EtokenPro64k) {
    const Profile profile = load_profile("etoken-pro-64k");
    EXPECT_EQ(profile.pin.tries, 15U);
    EXPECT_TRUE(profile.pin.vendor_counter);
    EXPECT_THAT(profile.key.sizes, ::testing::ElementsAre(1024U));
    EXPECT_THAT(profile.key.mechanisms, ::testing::Not(::testing::Contains("CKM_SHA512_RSA_PKCS")));
    EXPECT_EQ(profile.token.slots, 8U);
    EXPECT_EQ(profile.token.cryptoki_minor, 1U);
    EXPECT_EQ(profile.behaviour.settle.count(), 300);
    EXPECT_TRUE(profile.behaviour.no_sign_final);
}

TEST(Profile, WhatIsNotSaidHasDefaults) {
    const Profile profile = decode_profile(kSmallest, "sample");
    EXPECT_EQ(profile.pin.tries, 0U);
    EXPECT_TRUE(profile.pin.login_required);
    EXPECT_TRUE(profile.key.mechanisms.empty());
    EXPECT_EQ(profile.token.cryptoki_major, 2U);
    EXPECT_EQ(profile.token.cryptoki_minor, 40U);
}

TEST(Profile, MistakesAreFoundWithTheirLine) {
    const std::string smallest = kSmallest;
    EXPECT_THAT(complaint(smallest + "colour = 1\n"),
                ::testing::HasSubstr("line 7: no profile has the key 'colour'"));
    EXPECT_THAT(complaint(smallest + "sizes = [2048]\n"), ::testing::HasSubstr("line 7"));
    EXPECT_THAT(complaint(smallest + "[behaviour]\nno-sign-final = 1\n"),
                ::testing::HasSubstr("line 8: 'no-sign-final' must be true or false"));
    EXPECT_THAT(complaint(smallest + "[behaviour]\nlatency-milliseconds = -1\n"),
                ::testing::HasSubstr("line 8: -1 is"));
    EXPECT_THAT(complaint(smallest + "mechanisms = [\"RSA\"]\n"), ::testing::HasSubstr("CKM_"));
    EXPECT_THAT(complaint(smallest + "mechanisms = [\"CKM_A,CKM_B\"]\n"), ::testing::HasSubstr("CKM_"));
    EXPECT_THAT(complaint(smallest + "subject = 7\n"), ::testing::HasSubstr("'subject' must be a text"));
    for (const char* version : {"2", "2.", ".1", "2.x", "300.1", "2.1.0"}) {
        EXPECT_THAT(complaint(smallest + "[token]\ncryptoki-version = \"" + version + "\"\n"),
                    ::testing::HasSubstr("line 8: expected a version"))
            << version;
    }
    EXPECT_THAT(complaint("[pin"), ::testing::HasSubstr("line 1"));
    EXPECT_THAT(complaint("token = 1"), ::testing::HasSubstr("'token' must be a table"));
    EXPECT_THAT(complaint("[pin]\nuser = \"1234\"\nsecurity-officer = \"12\"\n[key]\nsizes = [1024]\n"),
                ::testing::HasSubstr("security-officer PIN"));
    EXPECT_THAT(complaint("[pin]\nuser = \"1234\"\nsecurity-officer = \"1234\"\n"),
                ::testing::HasSubstr("key size"));
}

TEST(Profile, ByNameOrByFile) {
    const testing::TemporaryFolder folder;
    std::ofstream(folder / "mine.toml") << kSmallest;
    EXPECT_EQ(load_profile(folder / "mine.toml").name, "mine");
    try {
        load_profile("etoken");
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Errc::UnknownProfile);
        EXPECT_THAT(e.what(), ::testing::HasSubstr("etoken-pro-64k"));
    }
    try {
        load_profile(folder / "missing.toml");
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), std::errc::no_such_file_or_directory);
    }
    try {
        load_profile(folder.path().string() + "/");
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), std::errc::is_a_directory);
    }
}

}  // namespace
}  // namespace ctlsign::softhsm
