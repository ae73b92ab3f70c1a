#include <gtest/gtest.h>

#include <fstream>

#include <pkcs11/error.hpp>
#include <softhsm-profiles/error.hpp>
#include <softhsm-profiles/fault.hpp>
#include <softhsm-profiles/limits.hpp>
#include <tests/support/temporary_folder.hpp>
#include <tests/support/text_file.hpp>

namespace ctlsign::softhsm {
namespace {

using std::chrono::milliseconds;

TEST(Fault, LinesAreRead) {
    const Fault third = decode_fault("on C_Sign #3 return CKR_DEVICE_ERROR");
    EXPECT_EQ(third.trigger, Fault::Trigger::Call);
    EXPECT_EQ(third.function, "C_Sign");
    EXPECT_EQ(third.count, 3U);
    EXPECT_EQ(third.effect, Fault::Effect::Return);
    EXPECT_EQ(third.rv, 0x30U);
    EXPECT_EQ(decode_fault("on C_Sign delay 2s").delay, milliseconds(2000));
    const Fault pull = decode_fault("at 500ms unplug A");
    EXPECT_EQ(pull.trigger, Fault::Trigger::Time);
    EXPECT_EQ(pull.time, milliseconds(500));
    EXPECT_EQ(pull.effect, Fault::Effect::Unplug);
    EXPECT_EQ(pull.token, "A");
    const Fault after = decode_fault("  after 10 signatures\tplug B\r");
    EXPECT_EQ(after.trigger, Fault::Trigger::Signatures);
    EXPECT_EQ(after.count, 10U);
    EXPECT_EQ(after.effect, Fault::Effect::Plug);
    EXPECT_EQ(decode_fault("on C_Login return 0x80000001").rv, 0x80000001U);
}

TEST(Fault, AScriptBeyondTheLimitIsNotRead) {
    const testing::TemporaryFolder folder;
    std::ofstream(folder / "faults") << std::string(limits::kSharedFile + 1, '#');
    try {
        add_fault(folder.path(), decode_fault("on C_Sign corrupt"));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), std::errc::file_too_large);
    }
}

TEST(Fault, LinesAreWrittenAsTheyAreRead) {
    for (const char* line :
         {"on C_Sign #3 return CKR_DEVICE_ERROR", "on C_Sign return 0x80000001", "on C_Sign delay 2000ms",
          "at 500ms unplug A", "at 0ms plug A", "on C_Login crash", "on C_Sign corrupt",
          "on C_SignFinal corrupt", "on C_Finalize hang", "after 10 signatures unplug A",
          "on C_Sign unplug A", "on C_GetSlotList #2 plug A"}) {
        EXPECT_EQ(encode_fault(decode_fault(line)), line);
    }
}

TEST(Fault, WhatIsNoneIsRefused) {
    for (const char* line : {"",
                             "on",
                             "on C_Nothing crash",
                             "on C_Sign",
                             "on C_Sign explode",
                             "on C_Sign #0 crash",
                             "on C_Sign #x crash",
                             "on C_Sign 3 crash",
                             "on C_Sign return",
                             "on C_Sign return CKR_NOTHING",
                             "on C_Sign return CKR_0x1ff",
                             "on C_Sign return 0x",
                             "on C_Sign delay 2",
                             "on C_Sign delay s",
                             "on C_Sign delay -1s",
                             "on C_Login corrupt",
                             "on C_Sign crash now",
                             "at 500 unplug A",
                             "at 500ms crash",
                             "at 500ms unplug",
                             "after 0 signatures unplug A",
                             "after 10 unplug A",
                             "after 10 signatures return CKR_OK",
                             "unplug A"}) {
        try {
            decode_fault(line);
            ADD_FAILURE() << line;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), Errc::MalformedFault) << line;
        }
    }
}

TEST(Fault, LinesAreAddedAtTheEnd) {
    const testing::TemporaryFolder folder;
    std::ofstream(folder / "faults") << "# by hand, without an end of line\non C_Login crash";
    add_fault(folder.path(), decode_fault("on C_Sign corrupt"));
    add_fault(folder.path(), decode_fault("on C_Sign hang"));
    EXPECT_EQ(testing::load_text(folder / "faults"),
              "# by hand, without an end of line\non C_Login crash\non C_Sign corrupt\non C_Sign hang\n");
}

}  // namespace
}  // namespace ctlsign::softhsm
