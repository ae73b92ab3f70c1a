#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <thread>
#include <vector>

#include <pkcs11/error.hpp>
#include <sast/identity.hpp>
#include <sast/token_signer.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <softhsm-profiles/learn.hpp>
#include <tests/support/code_of.hpp>
#include <tests/support/counting_pins.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/process_state.hpp>
#include <tests/support/soft_tokens.hpp>
#include <tests/support/watchdog.hpp>

// Modules in processes of their own, through p11-kit's remoting.
namespace ctlsign::sast {
namespace {

using namespace std::chrono_literals;
using pkcs11::Module;
using pkcs11::Recovery;
using testing::code_of;
using testing::count_children;
using testing::CountingPins;
using testing::VirtualToken;

constexpr const char* kKey = "krakow/tokens/SAST-ADN008580ef";
// Of one call, where one is to hang: a busy machine makes the others in less.
constexpr auto kDeadline = 8s;

class Isolation : public ::testing::Test {
  protected:
    Isolation() { setenv("XDG_RUNTIME_DIR", runtime_.path().c_str(), 1); }
    ~Isolation() override {
        EXPECT_EQ(count_children(), 0U);
        EXPECT_TRUE(std::filesystem::is_empty(runtime_.path())) << "no socket is left";
    }

    static Identity only_identity(const Module& module) {
        return choose_identity(module.tokens().at(0), std::nullopt, std::nullopt);
    }

    testing::TemporaryFolder runtime_;
    testing::Watchdog watchdog_{120s};
    const testing::Golden golden_ = testing::read_golden("krakow/CTLFile-tokens.tlv");
};

TEST_F(Isolation, SignsAsInProcess) {
    testing::SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kKey);
    const auto module = Module::open_isolated(softhsm::find_softhsm_module(), {});
    EXPECT_EQ(module, Module::open_isolated(softhsm::find_softhsm_module(), {}));
    EXPECT_NE(module, tokens.open()) << "the same module in this process is another";
    EXPECT_EQ(count_children(), 1U);
    CountingPins pins(tokens.pin());
    TokenSigner signer(only_identity(*module), pins);
    EXPECT_EQ(signer.sign(Digest::Sha1, golden_.message), golden_.signature);
}

TEST_F(Isolation, ACommandReachesATokenElsewhere) {
    testing::SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kKey);
    const auto module = Module::open_command("exec p11-kit remote " + softhsm::find_softhsm_module(), {});
    CountingPins pins(tokens.pin());
    TokenSigner signer(only_identity(*module), pins);
    EXPECT_EQ(signer.sign(Digest::Sha1, golden_.message), golden_.signature);
}

#ifndef CTLSIGN_INSTRUMENTED  // p11-kit's program cannot load a module that is

TEST_F(Isolation, AModuleThatHangsCostsAnErrorAndTheNextOpenWorks) {
    VirtualToken token("plain-softhsm", "A");
    CountingPins pins(token.pin());
    {
        const auto module = Module::open_isolated(VirtualToken::module(), {kDeadline});
        TokenSigner signer(only_identity(*module), pins);
        signer.sign(Digest::Sha1, golden_.message);
        token.fault("on C_Sign hang");
        std::string message;
        EXPECT_EQ(code_of([&] { signer.sign(Digest::Sha1, golden_.message); }, &message),
                  pkcs11::Errc::ModuleEnded);
        EXPECT_THAT(message, ::testing::AllOf(::testing::HasSubstr("did not answer within 8 s"),
                                              ::testing::HasSubstr("token A (serial ")));
        EXPECT_EQ(code_of([&] { (void)module->tokens(); }), pkcs11::Errc::ModuleEnded);
    }
    const auto module = Module::open_isolated(VirtualToken::module(), {20s});
    TokenSigner signer(only_identity(*module), pins);
    EXPECT_FALSE(signer.sign(Digest::Sha1, golden_.message).empty());
}

TEST_F(Isolation, AModuleThatCrashesCostsAnError) {
    for (const char* function : {"C_Login", "C_Sign"}) {
        VirtualToken token("plain-softhsm", "A");
        CountingPins pins(token.pin());
        const auto module = Module::open_isolated(VirtualToken::module(), {20s});
        TokenSigner signer(only_identity(*module), pins);
        token.fault(std::string("on ") + function + " crash");
        EXPECT_EQ(code_of([&] { signer.sign(Digest::Sha1, golden_.message); }), pkcs11::Errc::ModuleEnded);
        std::string message;
        EXPECT_EQ(code_of([&] { signer.sign(Digest::Sha1, golden_.message); }, &message),
                  Recovery::device_failed);
        EXPECT_THAT(message, ::testing::HasSubstr("its process has ended"));
    }
}

TEST_F(Isolation, AModuleThatHangsWhileItIsLearnedFromCostsAnError) {
    VirtualToken token("plain-softhsm", "A");
    CountingPins pins(token.pin());
    const auto module = Module::open_isolated(VirtualToken::module(), {5s});
    const auto plugged = module->tokens().at(0);
    TokenLogin login(plugged, pins, {});
    token.fault("on C_SignUpdate hang");
    EXPECT_EQ(code_of([&] { softhsm::learn_profile(plugged, &login); }), pkcs11::Errc::ModuleEnded);
}

TEST_F(Isolation, AHangInFinalizeEndsToo) {
    VirtualToken token("plain-softhsm", "A");
    {
        const auto module = Module::open_isolated(VirtualToken::module(), {kDeadline});
        EXPECT_EQ(module->tokens().size(), 1U);
        token.fault("on C_Finalize hang");
    }
    EXPECT_EQ(count_children(), 0U);
}

TEST_F(Isolation, APullIsSeenAndMended) {
    VirtualToken token("etoken-pro-64k", "A");
    const auto module = Module::open_isolated(VirtualToken::module(), {20s});
    token.settle();
    CountingPins pins(token.pin());
    TokenSigner signer(only_identity(*module), pins);
    signer.sign(Digest::Sha1, golden_.message);
    token.unplug();
    EXPECT_EQ(code_of([&] { signer.sign(Digest::Sha1, golden_.message); }), Recovery::token_gone);
    token.plug();
    EXPECT_FALSE(signer.sign(Digest::Sha1, golden_.message).empty());
    EXPECT_EQ(pins.asked, 1);
}

// In a child whose memory has room for the first thread of a connection, and none for the second.
TEST_F(Isolation, AThreadThatCannotBeStartedIsAnError) {
    testing::SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kKey);
    const auto open = [] { return Module::open_isolated(softhsm::find_softhsm_module(), {20s}); };
    open();  // its client is used again
    const pid_t child = fork();
    if (child == 0) {
        // The stacks of threads that have ended are used again, too.
        for (int i = 0; i < 8; ++i) std::thread([] { pause(); }).detach();
        pthread_attr_t usual;
        std::size_t stack = 0;
        pthread_getattr_default_np(&usual);
        pthread_attr_getstacksize(&usual, &stack);
        const rlim_t room = testing::address_space() + stack + stack / 2;
        const rlimit limit{room, room};
        setrlimit(RLIMIT_AS, &limit);
        try {
            (void)open();
        } catch (const std::system_error& e) {
            _exit(e.code() == std::errc::resource_unavailable_try_again ? 0 : 1);
        }
        _exit(2);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

#endif

TEST_F(Isolation, WhatServesNothingIsAnErrorWithinTheDeadline) {
    for (const char* command : {"exit 0", "echo nonsense", "exec sleep 1000", "kill -9 $$"}) {
        std::string message;
        const auto code = code_of([&] { (void)Module::open_command(command, {1s})->tokens(); }, &message);
        EXPECT_EQ(code, Recovery::device_failed) << command << ": " << message;
    }
    EXPECT_EQ(code_of([&] { (void)Module::open_isolated("/absent/module.so", {5s})->tokens(); }),
              Recovery::device_failed);
}

TEST_F(Isolation, AForkedChildHasAProcessOfItsOwn) {
    testing::SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kKey);
    const auto module = Module::open_isolated(softhsm::find_softhsm_module(), {20s});
    CountingPins pins(tokens.pin());
    TokenSigner signer(only_identity(*module), pins);
    EXPECT_EQ(signer.sign(Digest::Sha1, golden_.message), golden_.signature);
    prctl(PR_SET_CHILD_SUBREAPER, 1);  // the child's orphans become ours
    const pid_t child = fork();
    if (child == 0) {
        try {
            // Ends without a word to its module, as a killed process does.
            _exit(signer.sign(Digest::Sha1, golden_.message) == golden_.signature ? 0 : 1);
        } catch (const std::exception& e) {
            fprintf(stderr, "child: %s\n", e.what());
            _exit(2);
        }
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    EXPECT_EQ(signer.sign(Digest::Sha1, golden_.message), golden_.signature);
    // The child's module sees that the child is gone, and goes.
    int gone = 0;
    while ((gone = waitpid(-1, nullptr, WNOHANG)) == 0) std::this_thread::sleep_for(10ms);
    EXPECT_GT(gone, 0);
}

// They share the client that their parent loaded, and the place where it looks for its module.
TEST_F(Isolation, ForkedChildrenMayBeginAtOnce) {
    testing::SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kKey);
    const auto module = Module::open_isolated(softhsm::find_softhsm_module(), {20s});
    EXPECT_EQ(module->tokens().size(), 1U);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::vector<pid_t> forked;
    for (int i = 0; i < 4; ++i) {
        if (forked.emplace_back(fork()) != 0) continue;
        try {
            _exit(module->tokens().size() == 1 ? 0 : 1);
        } catch (const std::exception& e) {
            fprintf(stderr, "child: %s\n", e.what());
            _exit(2);
        }
    }
    for (const pid_t child : forked) {
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    }
    while (count_children() > 1) {  // one is the parent's
        if (waitpid(-1, nullptr, WNOHANG) <= 0) std::this_thread::sleep_for(10ms);
    }
}

}  // namespace
}  // namespace ctlsign::sast
