#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <sast/error.hpp>
#include <sast/pin_source.hpp>
#include <tests/support/temporary_folder.hpp>

namespace ctlsign::sast {
namespace {

std::string ask(const std::string& specification) {
    return std::string(make_pin_source(specification)->ask({}).reveal_secret());
}

TEST(PinSource, Environment) {
    setenv("CTLSIGN_TEST_PIN", "4711", 1);
    const char* value = getenv("CTLSIGN_TEST_PIN");
    EXPECT_EQ(ask("env:CTLSIGN_TEST_PIN"), "4711");
    EXPECT_EQ(getenv("CTLSIGN_TEST_PIN"), nullptr);
    EXPECT_EQ(*value, '\0') << "the variable's memory is wiped";
    EXPECT_THROW(ask("env:CTLSIGN_TEST_PIN"), Error);
}

TEST(PinSource, File) {
    const testing::TemporaryFolder folder;
    const auto write = [&](const std::string& text) {
        std::ofstream(folder / "pin of mine") << text;
        return "file:" + (folder / "pin of mine").string();
    };
    EXPECT_EQ(ask(write("1234\n")), "1234");
    EXPECT_EQ(ask(write("12 34\r\nsecond")), "12 34");
    EXPECT_EQ(ask(write("1234")), "1234");
    EXPECT_THROW(ask(write("")), Error);
    EXPECT_THROW(ask(write("\n")), Error);
    EXPECT_THROW(ask(write(std::string(300, 'x'))), Error);
    EXPECT_THROW(ask("file:" + (folder / "absent").string()), Error);
    EXPECT_THROW(ask("file:" + folder.path().string()), Error) << "a folder";
    write("77\n");
    EXPECT_EQ(ask((folder / "pin of mine").string()), "77") << "RFC 7512: a plain path";
    std::string encoded = (folder / "pin%20of%20mine").string();
    EXPECT_EQ(ask("file://" + encoded), "77");
    EXPECT_EQ(ask("file://localhost" + encoded), "77");
}

TEST(PinSource, Descriptor) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    ASSERT_EQ(write(ends[1], "abc\nrest", 8), 8);
    EXPECT_EQ(ask("fd:" + std::to_string(ends[0])), "abc");
    close(ends[0]);
    close(ends[1]);
    EXPECT_THROW(ask("fd:" + std::to_string(ends[0])), Error);
}

TEST(PinSource, OneOfTheCallersOwnNeedsToSayNothingBeforehand) {
    class Own : public PinSource {
        pkcs11::Pin ask(const PinRequest&) override { return {}; }
        void look_at_reader(const PinRequest&) override {}
    } own;
    EXPECT_NO_THROW(static_cast<PinSource&>(own).require_source({}));
}

TEST(PinSource, IsThereBeforeItIsAsked) {
    const testing::TemporaryFolder folder;
    const auto require = [](const std::string& specification) {
        make_pin_source(specification)->require_source({});
    };
    unsetenv("CTLSIGN_TEST_PIN");
    EXPECT_THROW(require("env:CTLSIGN_TEST_PIN"), Error);
    setenv("CTLSIGN_TEST_PIN", "4711", 1);
    require("env:CTLSIGN_TEST_PIN");
    EXPECT_EQ(ask("env:CTLSIGN_TEST_PIN"), "4711") << "it is left as it is";
    const std::string path = (folder / "pin").string();
    EXPECT_THROW(require("file:" + path), Error);
    std::ofstream(path) << "1234\n";
    require("file:" + path);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    require("fd:" + std::to_string(ends[0]));
    close(ends[0]);
    close(ends[1]);
    EXPECT_THROW(require("fd:" + std::to_string(ends[0])), Error);
}

TEST(PinSource, OtherFormsAreRefused) {
    for (const char* text : {"", "env:", "file:", "fd:", "fd:x", "fd:-1", "fd:1x", "1234", "|echo 1234",
                             "prompt", "file:///%::", "file:///a%zz"}) {
        EXPECT_THROW(make_pin_source(text), std::invalid_argument) << text;
    }
}

}  // namespace
}  // namespace ctlsign::sast
