#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pkcs11/error.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/cryptoki.hpp>
#include <tests/support/process_state.hpp>
#include <tests/support/virtual_signing.hpp>

// ThreadSanitizer ends a child process that starts a thread, unless told otherwise.
extern "C" const char* __tsan_default_options();   // NOLINT: its name
extern "C" const char* __tsan_default_options() {  // NOLINT
    return "die_after_fork=0";
}

// Threads, forks, and processes that end in the middle.
namespace ctlsign::testing {
namespace {

CK_RV sign_once(const Cryptoki& cryptoki, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, Bytes& signature) {
    const ByteView parts[] = {as_bytes(kSignedText)};
    Bytes input = compute_digest_info(Digest::Sha1, parts);
    if (const CK_RV rv = cryptoki.sign_init(session, CKM_RSA_PKCS, key); rv != CKR_OK) return rv;
    signature.resize(256);
    CK_ULONG size = signature.size();
    const CK_RV rv = cryptoki->C_Sign(session, input.data(), input.size(), signature.data(), &size);
    signature.resize(rv == CKR_OK ? size : 0);
    return rv;
}

TEST(VirtualThreads, SignWhileTheTokenComesAndGoes) {
    VirtualToken token("plain-softhsm");
    const Cryptoki cryptoki(VirtualToken::module());
    std::atomic<bool> done = false;
    std::atomic<unsigned> good = 0, bad = 0, unexpected = 0;
    const auto work = [&] {
        while (!done) {
            CK_SESSION_HANDLE session = 0;
            CK_RV rv = cryptoki->C_OpenSession(0, CKF_SERIAL_SESSION, nullptr, nullptr, &session);
            if (rv == CKR_OK) rv = cryptoki.login(session, token.pin());
            CK_OBJECT_CLASS kind = CKO_PRIVATE_KEY;
            CK_ATTRIBUTE wanted{CKA_CLASS, &kind, sizeof kind};
            CK_OBJECT_HANDLE key = 0;
            CK_ULONG count = 0;
            if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN)
                rv = cryptoki->C_FindObjectsInit(session, &wanted, 1);
            if (rv == CKR_OK) rv = cryptoki->C_FindObjects(session, &key, 1, &count);
            if (rv == CKR_OK) rv = cryptoki->C_FindObjectsFinal(session);
            Bytes signature;
            for (int i = 0; i < 10 && rv == CKR_OK && count == 1 && !done; ++i) {
                rv = sign_once(cryptoki, session, key, signature);
                if (rv == CKR_OK) ++(verifies(token, signature) ? good : bad);
            }
            if (rv == CKR_OK) rv = cryptoki->C_CloseSession(session);
            if (rv != CKR_OK && rv != CKR_TOKEN_NOT_PRESENT && rv != CKR_DEVICE_REMOVED &&
                rv != CKR_SESSION_HANDLE_INVALID && rv != CKR_USER_NOT_LOGGED_IN &&
                rv != CKR_KEY_HANDLE_INVALID) {
                ADD_FAILURE() << pkcs11::make_rv(rv).message();
                ++unexpected;
            }
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back(work);
    for (int turn = 0; turn < 30 && unexpected == 0; ++turn) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        token.unplug();
        token.plug();
    }
    const unsigned before = good;
    for (int i = 0; i < 3000 && good < before + 3; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    done = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_GE(good, before + 3);
    EXPECT_EQ(bad, 0U);
}

TEST(VirtualThreads, AWatcherAndFinalizeTogether) {
    const VirtualToken token("plain-softhsm");
    const Cryptoki cryptoki(VirtualToken::module());
    for (int turn = 0; turn < 20; ++turn) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 2; ++i) {
            threads.emplace_back([&] {
                CK_SLOT_ID slot = 0;
                while (cryptoki->C_WaitForSlotEvent(0, &slot, nullptr) == CKR_OK) {
                }
            });
            threads.emplace_back([&] {
                CK_TOKEN_INFO info{};
                while (cryptoki->C_GetTokenInfo(0, &info) != CKR_CRYPTOKI_NOT_INITIALIZED) {
                }
            });
        }
        ASSERT_EQ(cryptoki->C_Finalize(nullptr), CKR_OK);
        for (std::thread& thread : threads) thread.join();
        ASSERT_EQ(cryptoki->C_Initialize(nullptr), CKR_OK);
    }
}

TEST(VirtualThreads, NothingPilesUp) {
    VirtualToken token("plain-softhsm");
    const auto live = [&] {
        const Cryptoki cryptoki(VirtualToken::module());
        for (int i = 0; i < 5; ++i) {
            cryptoki.login(cryptoki.open(0), token.pin());
            token.unplug();
            token.plug();
        }
        EXPECT_EQ(cryptoki.info(0).flags & CKF_TOKEN_INITIALIZED, CK_FLAGS{CKF_TOKEN_INITIALIZED});
    };
    live();
    const std::size_t descriptors = count_descriptors();
    for (int i = 0; i < 10; ++i) live();
    EXPECT_EQ(count_descriptors(), descriptors);
}

int exit_code_of(const std::function<void()>& child_work) {
    const pid_t child = fork();
    if (child == 0) {
        child_work();
        _exit(99);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(VirtualFork, AChildInitialisesAnew) {
    const VirtualToken token("plain-softhsm");
    const Cryptoki cryptoki(VirtualToken::module());
    const CK_SESSION_HANDLE session = cryptoki.open(0);
    ASSERT_EQ(cryptoki.login(session, token.pin()), CKR_OK);
    const int code = exit_code_of([&] {
        CK_SESSION_INFO info{};
        if (cryptoki->C_GetSessionInfo(session, &info) != CKR_CRYPTOKI_NOT_INITIALIZED) _exit(1);
        if (cryptoki->C_Finalize(nullptr) != CKR_CRYPTOKI_NOT_INITIALIZED) _exit(2);
        if (cryptoki->C_Initialize(nullptr) != CKR_OK) _exit(3);
        const CK_SESSION_HANDLE mine = cryptoki.open(0);
        if (cryptoki->C_GetSessionInfo(mine, &info) != CKR_OK || info.state != CKS_RO_PUBLIC_SESSION)
            _exit(4);
        if (cryptoki.login(mine, token.pin()) != CKR_OK) _exit(5);
        if (!verifies(token,
                      sign_digest_info(cryptoki, mine, cryptoki.find(mine, CKO_PRIVATE_KEY).at(0), token)))
            _exit(6);
        if (cryptoki->C_Finalize(nullptr) != CKR_OK) _exit(7);
        _exit(0);
    });
    EXPECT_EQ(code, 0);
    EXPECT_TRUE(verifies(
        token, sign_digest_info(cryptoki, session, cryptoki.find(session, CKO_PRIVATE_KEY).at(0), token)));
}

// A process that leaves in the middle of its work leaves what that work holds.
bool leaves_in_the_middle = false;

}  // namespace
}  // namespace ctlsign::testing

extern "C" int __lsan_is_turned_off();   // NOLINT: its name
extern "C" int __lsan_is_turned_off() {  // NOLINT
    return ctlsign::testing::leaves_in_the_middle ? 1 : 0;
}

namespace ctlsign::testing {
namespace {

// exit() with threads that sign: SoftHSM2 alone crashes there.
TEST(VirtualExit, LeavesInTheMiddleOfSignatures) {
    const VirtualToken token("plain-softhsm");
    const std::string module = VirtualToken::module();
    for (int turn = 0; turn < 5; ++turn) {
        const int code = exit_code_of([&] {
            leaves_in_the_middle = true;
            const auto* cryptoki = new Cryptoki(module);
            // Here, and not in a thread: glibc keeps a note of dlopen() for each, and a leak checker finds
            // it.
            if (cryptoki->tokens().empty()) _exit(98);
            std::atomic<int> running = 0;
            for (int i = 0; i < 2; ++i) {
                std::thread([&, cryptoki]() {
                    try {
                        const CK_SESSION_HANDLE session = cryptoki->open(0);
                        const CK_RV rv = cryptoki->login(session, token.pin());
                        if (rv != CKR_USER_ALREADY_LOGGED_IN) Cryptoki::must(rv, "C_Login");
                        const CK_OBJECT_HANDLE key = cryptoki->find(session, CKO_PRIVATE_KEY).at(0);
                        Bytes signature;
                        while (sign_once(*cryptoki, session, key, signature) == CKR_OK) ++running;
                    } catch (const std::runtime_error&) {
                        // The process ends before this thread has come to sign.
                    }
                }).detach();
            }
            while (running < 4) std::this_thread::sleep_for(std::chrono::milliseconds(1));
            std::exit(7);
        });
        EXPECT_EQ(code, 7);
    }
}

}  // namespace
}  // namespace ctlsign::testing
