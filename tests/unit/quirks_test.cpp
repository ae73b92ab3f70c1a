#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include <pkcs11/error.hpp>
#include <pkcs11/quirks.hpp>
#include <pkcs11/token.hpp>
#include <tests/support/temporary_folder.hpp>

namespace ctlsign::pkcs11 {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TokenInfo token(const std::string& manufacturer, const std::string& model) {
    TokenInfo info;
    info.manufacturer = manufacturer;
    info.model = model;
    info.serial = "0123";
    info.hardware_version = "4.29";
    info.firmware_version = "10.2";
    return info;
}

std::string complaint(const std::string& toml) {
    try {
        QuirkTable::decode(toml, "mine.toml");
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Errc::MalformedQuirks);
        return e.what();
    }
    return "accepted";
}

// What this process is not to see of the person who runs it.
class ShippedQuirks : public ::testing::Test {
  protected:
    ShippedQuirks() {
        unsetenv("CTLSIGN_QUIRKS");
        setenv("XDG_CONFIG_HOME", folder_.path().c_str(), 1);
    }
    testing::TemporaryFolder folder_;
};

TEST_F(ShippedQuirks, KnowTheTokensOfTheSafeNetFamily) {
    const QuirkTable& table = QuirkTable::of_process();
    const std::pair<const char*, const char*> family[] = {{"SafeNet, Inc.", "eToken"},
                                                          {"Aladdin Ltd.", "eToken PRO"},
                                                          {"Aladdin Knowledge Systems Ltd.", "eToken"},
                                                          {"Gemalto", "ID Prime MD"},
                                                          {"Thales", "IDPrime 940"}};
    for (const auto& [manufacturer, model] : family) {
        const Quirks quirks = find_quirks(table, token(manufacturer, model));
        EXPECT_EQ(quirks.settle, milliseconds(1000)) << manufacturer;
        EXPECT_EQ(quirks.busy_after_close, milliseconds(1000)) << manufacturer;
        EXPECT_TRUE(quirks.no_sign_final && quirks.one_operation_at_a_time) << manufacturer;
        EXPECT_FALSE(quirks.no_combined_sha1) << manufacturer;
        EXPECT_EQ(quirks.effects().size(), 4U);
        EXPECT_EQ(quirks.reasons.size(), 1U);
    }
    for (const auto& [manufacturer, model] :
         {std::pair("SafeNet, Inc.", "Luna G5"), std::pair("SoftHSM project", "SoftHSM v2"),
          std::pair("", "")}) {
        const Quirks quirks = find_quirks(table, token(manufacturer, model));
        EXPECT_THAT(quirks.effects(), IsEmpty()) << manufacturer;
        EXPECT_THAT(quirks.reasons, IsEmpty()) << manufacturer;
    }
}

TEST_F(ShippedQuirks, KnowOpenSc) {
    const QuirkTable& table = QuirkTable::of_process();
    Module::Info info;
    info.manufacturer = "OpenSC Project";
    info.library_minor = 23;
    EXPECT_TRUE(find_quirks(table, info).spurious_first_event);
    EXPECT_THAT(find_quirks(table, info).effects(),
                ElementsAre("tells of a first slot event that did not happen"));
    info.library_minor = 24;
    EXPECT_FALSE(find_quirks(table, info).spurious_first_event);
    EXPECT_FALSE(may_forbid_finalize(table));
}

TEST(Quirks, EveryConditionOfARowMustHold) {
    const auto table = QuirkTable::decode(R"(
[[token]]
why = "a"
manufacturer = ["Acme", "Ajax*"]
model = "T*"
hardware = "4.29"
firmware = "10.*"
serial = "0123"
settle-milliseconds = 7
)",
                                          "mine.toml");
    const auto settles = [&](const TokenInfo& info) { return find_quirks(table, info).settle.count() == 7; };
    EXPECT_TRUE(settles(token("Acme", "T1")));
    EXPECT_TRUE(settles(token("Ajax Ltd.", "T")));
    EXPECT_FALSE(settles(token("Acme Ltd.", "T1"))) << "no star: the whole text";
    EXPECT_FALSE(settles(token("Ajax", "U")));
    TokenInfo other = token("Acme", "T1");
    other.hardware_version = "4.2";
    EXPECT_FALSE(settles(other));
    other = token("Acme", "T1");
    other.firmware_version = "1.0";
    EXPECT_FALSE(settles(other));
    other = token("Acme", "T1");
    other.serial = "01234";
    EXPECT_FALSE(settles(other));
}

TEST(Quirks, LaterRowsCountMore) {
    auto table = QuirkTable::decode(R"(
[[token]]
why = "first"
manufacturer = "*"
settle-milliseconds = 300
no-sign-final = true
no-combined-sha1 = true
[[module]]
why = "crashes"
description = "Acme*"
never-finalize = true
)",
                                    "a");
    table.append(QuirkTable::decode(R"(
[[token]]
why = "second"
model = "T"
settle-milliseconds = 0
no-sign-final = false
busy-after-close-milliseconds = 20
one-operation-at-a-time = true
[[module]]
why = "cured"
version = "2.0"
never-finalize = false
)",
                                    "b"));
    const Quirks both = find_quirks(table, token("Acme", "T"));
    EXPECT_EQ(both.settle, milliseconds(0));
    EXPECT_EQ(both.busy_after_close, milliseconds(20));
    EXPECT_FALSE(both.no_sign_final);
    EXPECT_TRUE(both.no_combined_sha1);
    EXPECT_THAT(both.reasons, ElementsAre("first", "second"));
    EXPECT_THAT(both.effects(), ElementsAre("may be busy for 20 ms after a close",
                                            "CKM_SHA1_RSA_PKCS does not work", "one operation at a time"));
    EXPECT_EQ(find_quirks(table, token("Acme", "U")).settle, milliseconds(300));
    EXPECT_TRUE(may_forbid_finalize(table));
    Module::Info info;
    info.description = "Acme tokens";
    EXPECT_THAT(find_quirks(table, info).effects(), ElementsAre("never finalized"));
    info.library_major = 2;
    EXPECT_FALSE(find_quirks(table, info).never_finalize);
}

TEST(Quirks, MistakesAreFoundWithTheirLine) {
    const std::string row = "[[token]]\nwhy = \"w\"\nmodel = \"m\"\n";
    EXPECT_EQ(complaint(row), "accepted");
    EXPECT_THAT(complaint("[[token"), HasSubstr("mine.toml"));
    EXPECT_THAT(complaint("[[token"), HasSubstr("line 1"));
    EXPECT_THAT(complaint(row + "colour = 1"), HasSubstr("line 4: no such row has the key 'colour'"));
    EXPECT_THAT(complaint(row + "never-finalize = true"), HasSubstr("line 4"));
    EXPECT_THAT(complaint(row + "no-sign-final = 1"),
                HasSubstr("line 4: 'no-sign-final' must be true or false"));
    EXPECT_THAT(complaint(row + "settle-milliseconds = -1"),
                HasSubstr("line 4: 'settle-milliseconds' must be 0"));
    EXPECT_THAT(complaint(row + "settle-milliseconds = 60001"), HasSubstr("line 4"));
    EXPECT_THAT(complaint(row + "settle-milliseconds = true"), HasSubstr("line 4"));
    EXPECT_THAT(complaint(row + "serial = 7"), HasSubstr("line 4: expected a text"));
    EXPECT_THAT(complaint(row + "serial = []"), HasSubstr("line 4: an empty list"));
    EXPECT_THAT(complaint(row + "serial = [\"\"]"), HasSubstr("line 4: expected a text"));
    EXPECT_THAT(complaint("[[token]]\nmodel = \"m\""), HasSubstr("does not say why"));
    EXPECT_THAT(complaint("[[token]]\nwhy = \"w\""), HasSubstr("what it is for"));
    EXPECT_THAT(complaint("[token]\nwhy = \"w\""), HasSubstr("expected [[token]]"));
    EXPECT_THAT(complaint("token = [1]"), HasSubstr("expected a row"));
    EXPECT_THAT(complaint("[[reader]]"), HasSubstr("not 'reader'"));
}

// Each test a process, so each reads the table anew.
class QuirkFiles : public ::testing::Test {
  protected:
    QuirkFiles() {
        unsetenv("CTLSIGN_QUIRKS");
        unsetenv("XDG_CONFIG_HOME");
        setenv("HOME", folder_.path().c_str(), 1);
    }
    std::string write(const std::string& name, const std::string& toml) const {
        const auto path = folder_ / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << toml;
        return path;
    }
    static std::string row(int settle) {
        return "[[token]]\nwhy = \"w\"\nmodel = \"T\"\nsettle-milliseconds = " + std::to_string(settle);
    }
    static long settle() { return find_quirks(QuirkTable::of_process(), token("Acme", "T")).settle.count(); }

    testing::TemporaryFolder folder_;
};

TEST_F(QuirkFiles, None) {
    EXPECT_EQ(settle(), 0);
}
TEST_F(QuirkFiles, OfThePerson) {
    write(".config/ctlsign/quirks.toml", row(11));
    EXPECT_EQ(settle(), 11);
}
TEST_F(QuirkFiles, OfTheFolderForConfiguration) {
    write(".config/ctlsign/quirks.toml", row(11));
    write("xdg/ctlsign/quirks.toml", row(12));
    setenv("XDG_CONFIG_HOME", (folder_ / "xdg").c_str(), 1);
    EXPECT_EQ(settle(), 12);
}
TEST_F(QuirkFiles, TheOneNamedStandsForThePersons) {
    write(".config/ctlsign/quirks.toml", row(11));
    setenv("CTLSIGN_QUIRKS", write("named.toml", row(13)).c_str(), 1);
    EXPECT_EQ(settle(), 13);
}
TEST_F(QuirkFiles, TheOneNamedMustBeThere) {
    setenv("CTLSIGN_QUIRKS", (folder_ / "missing.toml").c_str(), 1);
    try {
        settle();
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), std::errc::no_such_file_or_directory);
        EXPECT_THAT(e.what(), HasSubstr("missing.toml"));
    }
}
TEST_F(QuirkFiles, MalformedIsToldWithFileAndLineEachTime) {
    const std::string path = write(".config/ctlsign/quirks.toml", row(11) + "\ncolour = 1");
    for (int i = 0; i < 2; ++i) {
        try {
            settle();
            FAIL();
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), Errc::MalformedQuirks);
            EXPECT_THAT(e.what(), HasSubstr(path));
            EXPECT_THAT(e.what(), HasSubstr("line 5"));
        }
    }
}
TEST_F(QuirkFiles, AFolderIsNoFile) {
    setenv("CTLSIGN_QUIRKS", folder_.path().c_str(), 1);
    try {
        settle();
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), std::errc::is_a_directory);
    }
}
TEST_F(QuirkFiles, NoPageOfText) {
    setenv("CTLSIGN_QUIRKS", write("large.toml", std::string(70'000, '#')).c_str(), 1);
    try {
        settle();
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), std::errc::file_too_large);
    }
}

}  // namespace
}  // namespace ctlsign::pkcs11
