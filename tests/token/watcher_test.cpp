#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <future>
#include <optional>

#include <pkcs11/watcher.hpp>
#include <sast/identity.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/recorded_calls.hpp>
#include <tests/support/soft_tokens.hpp>
#include <tests/support/watchdog.hpp>
#include <tests/support/watcher_log.hpp>

// Tokens that come and go, without pcscd: SoftHSM2, which has no events; virtual tokens, which have; and the
// recording module between, which lies.
namespace ctlsign::pkcs11 {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using testing::VirtualToken;
using testing::WatcherLog;
using Clock = std::chrono::steady_clock;

constexpr const char* kToken = "krakow/tokens/SAST-ADN008580ef";

class WatcherTest : public ::testing::Test {
  protected:
    WatcherTest() {
        setenv("RECORD_LOG", (folder_ / "log").c_str(), 1);
        unsetenv("RECORD_FAIL");
        setenv("XDG_RUNTIME_DIR", folder_.path().c_str(), 1);
    }
    /// The module at PATH behind the recording one, which gives ANSWERS.
    std::shared_ptr<Module> open_behind(const std::string& path, const char* answers = "") {
        setenv("RECORD_MODULE", path.c_str(), 1);
        setenv("RECORD_FAIL", answers, 1);
        return Module::open(CTLSIGN_RECORDING_MODULE);
    }
    int calls(const std::string& function) const { return testing::count_calls(folder_ / "log")[function]; }
    /// Until the watcher has looked COUNT times more at a recorded module.
    void wait_for_looks(int count) const {
        const int until = calls("C_GetSlotList") + 2 * count;
        while (calls("C_GetSlotList") < until) std::this_thread::sleep_for(1ms);
    }
    /// Until a recorded module is not looked at any more.
    void wait_until_quiet() const {
        for (int before = -1, now = 0; now != before; now = calls("C_GetSlotList")) {
            before = now;
            std::this_thread::sleep_for(300ms);
        }
    }

    testing::TemporaryFolder folder_;
    WatcherLog log_;
    testing::Watchdog watchdog_{120s};
};

TEST_F(WatcherTest, TellsWhatIsThereAtFirstAndNothingWhileNothingHappens) {
    testing::SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kToken);
    tokens.add("B", "plain-softhsm", kToken);
    {
        const Watcher watcher({open_behind(softhsm::find_softhsm_module())}, log_.callback());
        EXPECT_THAT(log_.take(2), UnorderedElementsAre("+A", "+B"))
            << "and not the slot that is not initialised";
        wait_for_looks(20);
    }
    EXPECT_THAT(log_.lines(), IsEmpty());
    EXPECT_EQ(calls("C_OpenSession"), 0);
}

TEST_F(WatcherTest, NoModulesNoTokens) {
    const Watcher watcher({}, log_.callback());
    EXPECT_THAT(log_.lines(), IsEmpty());
}

TEST_F(WatcherTest, ATokenThatTwoModulesShowIsToldOnce) {
    testing::SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kToken);
    const auto plain = tokens.open();
    {
        const Watcher watcher({plain, open_behind(softhsm::find_softhsm_module())}, log_.callback());
        wait_for_looks(5);
    }
    EXPECT_THAT(log_.lines(), ElementsAre("+A"));
}

// Every way to pull and plug, with tokens whose slot changes (eToken) and with one whose slot does not.
class VirtualWatcher : public WatcherTest, public ::testing::WithParamInterface<const char*> {
  protected:
    VirtualWatcher() {
        b_.unplug();
        watcher_.emplace(std::vector{Module::open(VirtualToken::module())}, log_.callback());
    }
    VirtualToken a_{GetParam(), "A"}, b_{GetParam(), "B"};
    std::optional<Watcher> watcher_;
};

TEST_P(VirtualWatcher, TellsOfEachPlugAndPull) {
    EXPECT_THAT(log_.take(1), ElementsAre("+A"));
    for (int i = 0; i < 3; ++i) {
        a_.unplug();
        EXPECT_THAT(log_.take(1), ElementsAre("-A"));
        a_.plug();
        EXPECT_THAT(log_.take(1), ElementsAre("+A"));
    }
    b_.plug();
    EXPECT_THAT(log_.take(1), ElementsAre("+B"));
    a_.unplug();
    EXPECT_THAT(log_.take(1), ElementsAre("-A"));
}

TEST_P(VirtualWatcher, TellsOfATokenThatWasOutAndInBetweenTwoLooks) {
    EXPECT_THAT(log_.take(1), ElementsAre("+A"));
    for (int i = 0; i < 5; ++i) {
        a_.unplug();
        a_.plug();
        EXPECT_THAT(log_.take(2), ElementsAre("-A", "+A"));
    }
}

TEST_P(VirtualWatcher, KnowsATokenInAnotherReader) {
    EXPECT_THAT(log_.take(1), ElementsAre("+A"));
    a_.unplug();
    a_.plug(2);
    EXPECT_THAT(log_.take(2), ElementsAre("-A", "+A"));
}

TEST_P(VirtualWatcher, KnowsAnotherTokenInTheSameReader) {
    EXPECT_THAT(log_.take(1), ElementsAre("+A"));
    a_.unplug();
    b_.plug(0);
    EXPECT_THAT(log_.take(2), ElementsAre("-A", "+B"));
}

INSTANTIATE_TEST_SUITE_P(Profiles, VirtualWatcher, ::testing::Values("etoken-5110", "plain-softhsm"));

// A module that lies about its events: there are none, none ever come, or there is always one more.
class LyingModule : public WatcherTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(LyingModule, IsLookedAtAllTheSame) {
    VirtualToken a("plain-softhsm", "A"), b("plain-softhsm", "B");
    b.unplug();
    const Watcher watcher({open_behind(VirtualToken::module(), GetParam())}, log_.callback());
    EXPECT_THAT(log_.take(1), ElementsAre("+A"));
    a.unplug();
    EXPECT_THAT(log_.take(1), ElementsAre("-A"));
    a.plug();
    EXPECT_THAT(log_.take(1), ElementsAre("+A"));
    a.unplug();
    b.plug(0);
    EXPECT_THAT(log_.take(2), ElementsAre("-A", "+B")) << "in the same slot, and nobody told";
    wait_for_looks(10);
    EXPECT_THAT(log_.lines(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Answers, LyingModule,
                         ::testing::Values("C_WaitForSlotEvent#1+=0x54", "C_WaitForSlotEvent#1+=0x8",
                                           "C_WaitForSlotEvent#1+=0", "C_WaitForSlotEvent#1+=0x5"));

TEST_F(WatcherTest, TheFirstEventsAreNotBelieved) {
    VirtualToken a("plain-softhsm", "A");
    {
        const Watcher watcher({open_behind(VirtualToken::module(), "C_WaitForSlotEvent#1=0")},
                              log_.callback());
        EXPECT_THAT(log_.take(1), ElementsAre("+A"));
        wait_for_looks(10);
    }
    EXPECT_THAT(log_.lines(), IsEmpty());
}

TEST_F(WatcherTest, AFirstEventThatDidNotHappenIsNeitherPullNorPlug) {
    auto text = softhsm::load_profile("plain-softhsm").text;
    VirtualToken a(softhsm::decode_profile(text + "[behaviour]\nspurious-first-event = true\n", "spurious"),
                   "A");
    {
        const Watcher watcher({open_behind(VirtualToken::module())}, log_.callback());
        EXPECT_THAT(log_.take(1), ElementsAre("+A"));
        wait_for_looks(10);
        EXPECT_THAT(log_.lines(), IsEmpty());
        a.unplug();
        EXPECT_THAT(log_.take(1), ElementsAre("-A")) << "the events that follow are true";
    }
    EXPECT_THAT(log_.lines(), IsEmpty());
}

#ifndef CTLSIGN_INSTRUMENTED  // p11-kit's program cannot load a module that is

TEST_F(WatcherTest, AnIsolatedModuleIsWatchedAsAnyOther) {
    VirtualToken a("plain-softhsm", "A");
    const Watcher watcher({Module::open_isolated(VirtualToken::module(), {})}, log_.callback());
    EXPECT_THAT(log_.take(1), ElementsAre("+A"));
    for (int i = 0; i < 3; ++i) {
        a.unplug();
        EXPECT_THAT(log_.take(1), ElementsAre("-A"));
        a.plug();
        EXPECT_THAT(log_.take(1), ElementsAre("+A"));
    }
    a.unplug();
    a.plug();
    EXPECT_THAT(log_.take(2), ElementsAre("-A", "+A")) << "out for a moment only";
}

TEST_F(WatcherTest, AnIsolatedModuleThatDiesHasNoTokens) {
    VirtualToken a("plain-softhsm", "A");
    const Watcher watcher({Module::open_isolated(VirtualToken::module(), {20s})}, log_.callback());
    EXPECT_THAT(log_.take(1), ElementsAre("+A"));
    a.fault("on C_GetSlotList crash");
    EXPECT_THAT(log_.take(1), ElementsAre("-A"));
}

#endif

TEST_F(WatcherTest, AModuleThatMustNotBeAskedForEventsIsNot) {
    const auto quirks = folder_ / "quirks.toml";
    std::ofstream(quirks)
        << "[[module]]\nwhy = \"it blocks\"\nmanufacturer = \"ctlsign\"\nno-slot-events = true\n";
    setenv("CTLSIGN_QUIRKS", quirks.c_str(), 1);
    VirtualToken a("plain-softhsm", "A");
    const Watcher watcher({open_behind(VirtualToken::module())}, log_.callback());
    EXPECT_THAT(log_.take(1), ElementsAre("+A"));
    a.unplug();
    EXPECT_THAT(log_.take(1), ElementsAre("-A"));
    EXPECT_EQ(calls("C_WaitForSlotEvent"), 0);
}

TEST_F(WatcherTest, AMomentOfFailureIsNoPull) {
    VirtualToken a("plain-softhsm", "A");
    {
        const Watcher watcher(
            {open_behind(VirtualToken::module(), "C_GetSlotList#5=0x5,C_GetSlotList#9=0x30")},
            log_.callback());
        EXPECT_THAT(log_.take(1), ElementsAre("+A"));
        wait_for_looks(10);
    }
    EXPECT_THAT(log_.lines(), IsEmpty());
}

TEST_F(WatcherTest, AModuleThatFailsForGoodHasNoTokens) {
    VirtualToken a("plain-softhsm", "A");
    const Watcher watcher({open_behind(VirtualToken::module(), "C_GetSlotList#5+=0x30")}, log_.callback());
    EXPECT_THAT(log_.take(2), ElementsAre("+A", "-A"));
}

TEST_F(WatcherTest, ATokenThatCannotYetSayWhoItIsArrivesWhenItDoes) {
    VirtualToken a("plain-softhsm", "A");
    const Watcher watcher(
        {open_behind(VirtualToken::module(), "C_GetTokenInfo#1=0x30,C_GetTokenInfo#2=0xE1")},
        log_.callback());
    EXPECT_THAT(log_.take(1), ElementsAre("+A"));
    EXPECT_GE(calls("C_GetTokenInfo"), 3);
}

TEST_F(WatcherTest, NothingIsToldAfterItsEnd) {
    VirtualToken a("plain-softhsm", "A");
    const auto module = Module::open(VirtualToken::module());
    {
        const Watcher watcher({module}, log_.callback());
        log_.take(1);
    }
    a.unplug();
    std::stop_source stop;
    stop.request_stop();
    const Watcher stopped({module}, log_.callback(), stop.get_token());
    EXPECT_THAT(log_.lines(), IsEmpty());
}

TEST_F(WatcherTest, AStopTokenEndsIt) {
    VirtualToken a("plain-softhsm", "A");
    std::stop_source stop;
    const auto module = open_behind(VirtualToken::module());
    const Watcher watcher({module}, log_.callback(), stop.get_token());
    log_.take(1);
    stop.request_stop();
    wait_until_quiet();
    a.unplug();
    EXPECT_THAT(log_.lines(), IsEmpty());
}

TEST_F(WatcherTest, AModuleThatHangsDoesNotHoldItsOwner) {
    VirtualToken a("plain-softhsm", "A");
    const Watcher watcher({open_behind(VirtualToken::module())}, log_.callback());
    log_.take(1);
    a.fault("on C_GetSlotList hang");
    wait_until_quiet();
}

TEST_F(WatcherTest, AChildHasNoWatcherAndHarmsNobodys) {
    VirtualToken a("plain-softhsm", "A");
    const auto module = Module::open(VirtualToken::module());
    auto watcher = std::make_unique<Watcher>(std::vector{module}, log_.callback());
    log_.take(1);
    const pid_t child = fork();
    if (child == 0) {
        watcher.reset();
        // And one of its own works.
        WatcherLog log;
        const Watcher own({module}, log.callback());
        _exit(log.take(1) == std::vector<std::string>{"+A"} ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    a.unplug();
    EXPECT_THAT(log_.take(1), ElementsAre("-A"));
}

class Waiting : public WatcherTest {
  protected:
    static auto is(const VirtualToken& token) {
        return [serial = token.serial()](const Token& other) { return other.info().serial == serial; };
    }
    VirtualToken a_{"etoken-5110", "A"}, b_{"etoken-5110", "B"};
    std::shared_ptr<Module> module_ = Module::open(VirtualToken::module());
};

TEST_F(Waiting, ForWhatIsThereItTakesNoTime) {
    const auto found = wait_for_token({module_}, is(b_), Clock::now() + 30s);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->info().label, "B");
}

TEST_F(Waiting, UntilTheSameTokenIsBack) {
    const SlotId before = wait_for_token({module_}, is(a_), Clock::now() + 30s)->slot();
    a_.unplug();
    b_.unplug();
    auto waiting =
        std::async(std::launch::async, [&] { return wait_for_token({module_}, is(a_), Clock::now() + 60s); });
    b_.plug(0);
    EXPECT_EQ(waiting.wait_for(200ms), std::future_status::timeout) << "another one does not do";
    a_.plug();
    const auto found = waiting.get();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->info().label, "A");
    EXPECT_NE(found->slot(), before);
}

TEST_F(Waiting, EndsAtItsDeadline) {
    a_.unplug();
    EXPECT_FALSE(wait_for_token({module_}, is(a_), Clock::now() + 50ms));
    EXPECT_FALSE(wait_for_token({module_}, is(a_), Clock::now() - 1s));
}

TEST_F(Waiting, EndsWhenItIsStopped) {
    a_.unplug();
    std::stop_source stop;
    auto waiting = std::async(std::launch::async, [&] {
        return wait_for_token({module_}, is(a_), Clock::now() + 1h, stop.get_token());
    });
    EXPECT_EQ(waiting.wait_for(50ms), std::future_status::timeout);
    stop.request_stop();
    EXPECT_FALSE(waiting.get());
}

}  // namespace
}  // namespace ctlsign::pkcs11
