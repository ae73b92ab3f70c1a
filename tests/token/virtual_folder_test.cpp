#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include <softhsm-profiles/error.hpp>
#include <softhsm-profiles/softhsm_module.hpp>
#include <softhsm-profiles/virtual_folder.hpp>
#include <softhsm-profiles/virtual_plug.hpp>
#include <tests/support/cryptoki.hpp>
#include <tests/support/temporary_folder.hpp>
#include <tests/support/text_file.hpp>

namespace ctlsign::softhsm {
namespace {

namespace fs = std::filesystem;
using testing::Cryptoki;
using testing::load_text;
using testing::TemporaryFolder;

TEST(VirtualFolder, TwoTokensSideBySide) {
    const TemporaryFolder temp;
    const fs::path home = temp.path() / "tokens of mine";
    EXPECT_TRUE(list_virtual_tokens(home).empty());
    const Profile profile = load_profile("etoken-pro-64k");
    const VirtualToken b = create_virtual_token(home, "B", profile, {});
    const VirtualToken a = create_virtual_token(home, "A", profile, {});
    EXPECT_EQ(b.reader, 0U);
    EXPECT_EQ(a.reader, 1U);
    EXPECT_EQ(fs::read_symlink(home / "readers/0/token"), "../../tokens/B");
    EXPECT_TRUE(fs::equivalent(home / "readers/1/token", home / "tokens/A"));

    const auto listed = list_virtual_tokens(home);
    ASSERT_EQ(listed.size(), 2U);
    EXPECT_EQ(listed[0].name, "A");
    EXPECT_EQ(listed[0].label, "A");
    EXPECT_EQ(listed[0].serial, a.serial);
    EXPECT_EQ(listed[0].profile, "etoken-pro-64k");
    EXPECT_EQ(listed[0].reader, 1U);
    EXPECT_EQ(load_text(listed[0].folder / "profile.toml"), profile.text);
    EXPECT_EQ(load_text(listed[0].pin_file), profile.pin.user);
    const auto certificate = sast::Certificate::decode_pem(load_text(listed[0].certificate_file)).at(0);
    EXPECT_EQ(certificate.common_name(), "SAST-A");

    const auto environment = virtual_environment(home);
    EXPECT_EQ(environment.at(0), std::pair(std::string("CTLSIGN_VIRTUAL_TOKENS"), home.string()));
    EXPECT_EQ(environment.at(1).first, "CTLSIGN_MODULE");
    EXPECT_TRUE(fs::exists(environment.at(1).second));
    // Each has a SoftHSM2 of its own.
    const Cryptoki cryptoki(find_softhsm_module(), listed[0].folder / "softhsm/softhsm2.conf");
    EXPECT_EQ(cryptoki.tokens().size(), 1U);
}

Errc why(const std::function<void()>& act) {
    try {
        act();
    } catch (const Error& e) {
        if (e.code().category() == category()) return static_cast<Errc>(e.code().value());
    }
    return Errc{};
}

TEST(VirtualFolder, PluggingAndUnplugging) {
    const TemporaryFolder temp;
    const fs::path& home = temp.path();
    const Profile profile = load_profile("plain-softhsm");
    create_virtual_token(home, "A", profile, {});
    create_virtual_token(home, "B", profile, {});
    EXPECT_EQ(unplug_virtual_token(home, "A"), 0U);
    EXPECT_EQ(list_virtual_tokens(home)[0].reader, std::nullopt);
    EXPECT_EQ(why([&] { unplug_virtual_token(home, "A"); }), Errc::TokenUnplugged);
    EXPECT_EQ(why([&] { plug_virtual_token(home, "A", 1); }), Errc::ReaderOccupied);
    EXPECT_EQ(plug_virtual_token(home, "A", 7), 7U);
    EXPECT_EQ(list_virtual_tokens(home)[0].reader, 7U);
    EXPECT_EQ(why([&] { plug_virtual_token(home, "A"); }), Errc::TokenPlugged);
    EXPECT_EQ(unplug_virtual_token(home, "A"), 7U);
    EXPECT_EQ(plug_virtual_token(home, "A"), 0U);
    for (const char* name : {"", "C", "../A", "A/"}) {
        EXPECT_EQ(why([&] { plug_virtual_token(home, name); }), Errc::NoSuchToken) << name;
        EXPECT_EQ(why([&] { unplug_virtual_token(home, name); }), Errc::NoSuchToken) << name;
    }
    unplug_virtual_token(home, "A");
    EXPECT_EQ(why([&] { plug_virtual_token(home, "A", 10000); }), Errc::BadName);
}

TEST(VirtualFolder, WhatKeepsATokenInItsReaderIsTold) {
    const TemporaryFolder temp;
    const fs::path& home = temp.path();
    create_virtual_token(home, "A", load_profile("plain-softhsm"), {});
    for (const char* open : {"", "tokens", "tokens/A", "readers"})
        fs::permissions(home / open, fs::perms(0755));
    fs::permissions(home / "readers/0", fs::perms(0555));
    const uid_t user = geteuid();
    ASSERT_EQ(seteuid(user == 0 ? 65534 : user), 0);  // root may change every folder
    std::error_code code;
    try {
        unplug_virtual_token(home, "A");
    } catch (const Error& e) {
        code = e.code();
    }
    ASSERT_EQ(seteuid(user), 0);
    EXPECT_EQ(code, std::errc::permission_denied);
    fs::permissions(home / "readers/0", fs::perms(0755));
}

TEST(VirtualFolder, NobodyElseCanReadIt) {
    const TemporaryFolder temp;
    const VirtualToken token = create_virtual_token(temp / "v", "A", load_profile("etoken-pro-64k"), {});
    struct stat info {};
    ASSERT_EQ(stat((temp / "v").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0700U);
    ASSERT_EQ(stat(token.pin_file.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST(VirtualFolder, ANameIsTakenOnce) {
    const TemporaryFolder temp;
    const Profile profile = load_profile("etoken-pro-64k");
    const VirtualToken token = create_virtual_token(temp.path(), "A", profile, {});
    try {
        create_virtual_token(temp.path(), "A", profile, {});
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Errc::TokenExists);
    }
    ASSERT_EQ(list_virtual_tokens(temp.path()).size(), 1U);
    EXPECT_EQ(list_virtual_tokens(temp.path())[0].serial, token.serial);
}

TEST(VirtualFolder, AFailedOneIsNotListedAndItsNameIsFree) {
    const TemporaryFolder temp;
    const Profile profile = load_profile("etoken-pro-64k");
    Key key;
    key.bits = 100;
    EXPECT_THROW(create_virtual_token(temp.path(), "A", profile, key), Error);
    EXPECT_TRUE(list_virtual_tokens(temp.path()).empty());
    EXPECT_EQ(create_virtual_token(temp.path(), "A", profile, {}).reader, 0U);
}

TEST(VirtualFolder, NamesThatAreNoFileNamesAreRefused) {
    const TemporaryFolder temp;
    for (const char* name :
         {"", ".", "..", ".hidden", "a/b", "a b", "caf\xC3\xA9", "123456789012345678901234567890123"}) {
        try {
            create_virtual_token(temp.path() / "v", name, load_profile("etoken-pro-64k"), {});
            ADD_FAILURE() << name;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), Errc::BadName) << name;
        }
    }
    EXPECT_FALSE(fs::exists(temp.path() / "v"));
}

TEST(VirtualFolder, IsNamedByTheEnvironment) {
    unsetenv("CTLSIGN_VIRTUAL_TOKENS");
    EXPECT_THROW(virtual_tokens_folder(), Error);
    setenv("CTLSIGN_VIRTUAL_TOKENS", "/somewhere/else/", 1);
    EXPECT_EQ(virtual_tokens_folder(), "/somewhere/else/");
    unsetenv("CTLSIGN_VIRTUAL_TOKENS");
}

}  // namespace
}  // namespace ctlsign::softhsm
