// Cards that come and go through the real pcscd; run by with_pcscd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include <pkcs11/watcher.hpp>
#include <tests/pcsc/reader_wait.hpp>
#include <tests/pcsc/virtual_card.hpp>
#include <tests/support/watchdog.hpp>
#include <tests/support/watcher_log.hpp>

namespace ctlsign::testing {
namespace {

using namespace std::chrono_literals;
using pkcs11::ReaderEvents;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr const char* kStem = "krakow/tokens/SAST-ADN008580ef";

class CardWatcher : public ::testing::Test {
  protected:
    std::shared_ptr<pkcs11::Module> module_ = pkcs11::Module::open("opensc-pkcs11.so");
    VirtualCard a_{make_piv_card(1, kStem)}, b_{make_piv_card(2, kStem)};
    WatcherLog log_{&pkcs11::TokenInfo::serial};
    Watchdog watchdog_{120s};
};

TEST_F(CardWatcher, TellsOfCardsThatComeAndGo) {
    a_.insert();
    const pkcs11::Watcher watcher({module_}, log_.callback());
    const std::string arrived = log_.take(1).at(0), left = '-' + arrived.substr(1);
    EXPECT_TRUE(arrived.ends_with("01")) << arrived;
    for (const unsigned reader : {0U, 1U, 0U}) {
        a_.pull();
        EXPECT_THAT(log_.take(1), ElementsAre(left));
        a_.insert(reader);
        EXPECT_THAT(log_.take(1), ElementsAre(arrived));
    }
    a_.pull();
    b_.insert();
    EXPECT_THAT(log_.take(1), ElementsAre(left));
    EXPECT_TRUE(log_.take(1).at(0).ends_with("02"));
    EXPECT_THAT(log_.lines(), IsEmpty());
}

TEST_F(CardWatcher, TellsOfACardThatWasOutForAMoment) {
    a_.insert();
    const pkcs11::Watcher watcher({module_}, log_.callback());
    const std::string arrived = log_.take(1).at(0), left = '-' + arrived.substr(1);
    for (int i = 0; i < 5; ++i) {
        a_.pull();
        std::this_thread::sleep_for(20ms);
        a_.insert();
        EXPECT_THAT(log_.take(2), ElementsAre(left, arrived));
    }
}

TEST_F(CardWatcher, TwoCards) {
    a_.insert(0);
    b_.insert(1);
    const pkcs11::Watcher watcher({module_}, log_.callback());
    EXPECT_THAT(log_.take(2), UnorderedElementsAre("+08090a0b0c0d0e01", "+08090a0b0c0d0e02"));
    b_.pull();
    EXPECT_THAT(log_.take(1), ElementsAre("-08090a0b0c0d0e02"));
}

TEST(ReaderEventsTest, CountWhatNobodySaw) {
    VirtualCard card(make_piv_card(1, kStem));
    ReaderEvents readers;
    ASSERT_TRUE(readers.connect());
    ASSERT_NE(readers.find(kReader), nullptr);
    EXPECT_EQ(readers.find("Virtual PCD 00"), nullptr);
    EXPECT_FALSE(readers.find(kReader)->card_present);
    const unsigned before = readers.find(kReader)->events;
    // Of two changes between two looks pcscd sees none: another client waits for each.
    ReaderEvents others;
    const auto others_see = [&](unsigned events) {
        return wait_for(others, [&] {
            const auto* reader = others.find(kReader);
            return reader != nullptr && reader->events == events;
        });
    };
    card.insert();
    ASSERT_TRUE(others_see(before + 1));
    for (const unsigned so_far : {1U, 3U}) {
        card.pull();
        ASSERT_TRUE(others_see(before + so_far + 1));
        card.insert();
        ASSERT_TRUE(others_see(before + so_far + 2));
    }
    EXPECT_TRUE(readers.wait(0ms));
    EXPECT_TRUE(readers.find(kReader)->card_present);
    EXPECT_EQ(readers.find(kReader)->events, before + 5);
    EXPECT_FALSE(readers.find("Virtual PCD 00 01")->card_present);
}

TEST(ReaderEventsTest, OutliveAPcscd) {
    VirtualCard card(make_piv_card(1, kStem));
    ReaderEvents readers;
    ASSERT_TRUE(readers.connect());
    pid_t daemon = 0;
    std::ifstream("/run/pcscd/pcscd.pid") >> daemon;
    ASSERT_GT(daemon, 1);
    kill(daemon, SIGKILL);
    ASSERT_TRUE(wait_for(readers, [&] { return !readers.connected(); }));
    EXPECT_EQ(readers.find(kReader), nullptr);
    // with_pcscd starts another.
    ASSERT_TRUE(wait_for(readers, Card::Out));
    card.insert();
    EXPECT_TRUE(wait_for(readers, Card::In));
}

}  // namespace
}  // namespace ctlsign::testing
