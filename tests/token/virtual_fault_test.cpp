#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/cryptoki.hpp>
#include <tests/support/text_file.hpp>
#include <tests/support/virtual_signing.hpp>

// The fault script and the call log.
namespace ctlsign::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class VirtualFault : public ::testing::Test {
  protected:
    void open() {
        session = cryptoki->open(0);
        Cryptoki::must(cryptoki->login(session, token.pin()), "C_Login");
        key = cryptoki->find(session, CKO_PRIVATE_KEY).at(0);
    }
    CK_RV sign() {
        Bytes message(20);
        signature.assign(256, 0);
        CK_ULONG size = signature.size();
        if (const CK_RV rv = cryptoki->sign_init(session, CKM_RSA_PKCS, key); rv != CKR_OK) return rv;
        return (*cryptoki)->C_Sign(session, message.data(), message.size(), signature.data(), &size);
    }
    CK_RV token_info() {
        CK_TOKEN_INFO info{};
        return (*cryptoki)->C_GetTokenInfo(0, &info);
    }
    std::string script() const { return load_text(home / "faults"); }

    VirtualToken token{"plain-softhsm", "A"};
    fs::path home = token.folder().parent_path().parent_path();
    std::optional<Cryptoki> cryptoki{VirtualToken::module()};
    CK_SESSION_HANDLE session = 0;
    CK_OBJECT_HANDLE key = 0;
    Bytes signature;
};

TEST_F(VirtualFault, ReturnsWhatItSays) {
    open();
    token.fault("on C_Sign #3 return CKR_DEVICE_ERROR");
    EXPECT_EQ(sign(), CKR_OK);
    EXPECT_EQ(script(), "on C_Sign #2 return CKR_DEVICE_ERROR\n");
    EXPECT_EQ(sign(), CKR_OK);
    EXPECT_EQ(sign(), CKR_DEVICE_ERROR);
    EXPECT_EQ(script(), "");
    EXPECT_EQ(token_info(), CKR_OK);
}

TEST_F(VirtualFault, ComeInOrder) {
    open();
    std::ofstream(home / "faults") << "# first\n\non C_Sign return CKR_DEVICE_MEMORY\n"
                                      "on C_GetTokenInfo return CKR_DEVICE_ERROR\non C_Sign corrupt\n";
    EXPECT_EQ(token_info(), CKR_OK) << "the second waits for the first";
    EXPECT_EQ(sign(), CKR_DEVICE_MEMORY);
    EXPECT_EQ(token_info(), CKR_DEVICE_ERROR);
    EXPECT_EQ(token_info(), CKR_OK);
    EXPECT_EQ(script(), "on C_Sign corrupt\n");
}

TEST_F(VirtualFault, CorruptsOneSignature) {
    open();
    EXPECT_EQ(sign(), CKR_OK);
    const Bytes right = signature;
    token.fault("on C_Sign corrupt");
    CK_ULONG size = 0;
    Bytes message(20);
    ASSERT_EQ(cryptoki->sign_init(session, CKM_RSA_PKCS, key), CKR_OK);
    EXPECT_EQ((*cryptoki)->C_Sign(session, message.data(), message.size(), nullptr, &size), CKR_OK);
    EXPECT_EQ((*cryptoki)->C_Sign(session, message.data(), message.size(), signature.data(), &size), CKR_OK);
    EXPECT_NE(signature, right) << "the query of the size before is no signature";
    EXPECT_EQ(sign(), CKR_OK);
    EXPECT_EQ(signature, right);
}

TEST_F(VirtualFault, DelaysAndAPullEndsTheDelay) {
    open();
    token.fault("on C_Sign delay 50ms");
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(sign(), CKR_OK);
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(50));
    // The clock of the second starts when the first has happened.
    token.fault("on C_Sign delay 3600s");
    token.fault("at 50ms unplug A");
    EXPECT_EQ(sign(), CKR_DEVICE_REMOVED);
    EXPECT_EQ(token_info(), CKR_TOKEN_NOT_PRESENT);
}

TEST_F(VirtualFault, PullsAndPlugsByTheClock) {
    CK_SLOT_ID slot = 99;
    token.fault("at 20ms unplug A");
    token.fault("at 20ms plug A");
    EXPECT_EQ((*cryptoki)->C_WaitForSlotEvent(0, &slot, nullptr), CKR_OK);
    EXPECT_EQ(slot, 0U);
    for (const auto end = std::chrono::steady_clock::now() + kLongTime;
         !(script().empty() && fs::is_symlink(home / "readers/0/token")) &&
         std::chrono::steady_clock::now() < end;) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(token_info(), CKR_OK);
    EXPECT_EQ(script(), "");
}

TEST_F(VirtualFault, PullsAfterSignatures) {
    open();
    token.fault("after 3 signatures unplug A");
    EXPECT_EQ(sign(), CKR_OK);
    EXPECT_EQ(sign(), CKR_OK);
    EXPECT_EQ(script(), "after 1 signatures unplug A\n");
    EXPECT_EQ(sign(), CKR_OK) << "the last one is still delivered";
    EXPECT_EQ(sign(), CKR_SESSION_HANDLE_INVALID);
    EXPECT_FALSE(fs::is_symlink(home / "readers/0/token"));
}

TEST_F(VirtualFault, PullsInACall) {
    open();
    token.fault("on C_Sign unplug A");
    EXPECT_EQ(sign(), CKR_DEVICE_REMOVED);
}

TEST_F(VirtualFault, KeepsTheModuleFromStarting) {
    cryptoki.reset();
    token.fault("on C_Initialize return CKR_DEVICE_ERROR");
    EXPECT_THROW(Cryptoki broken(VirtualToken::module()), std::runtime_error);
    cryptoki.emplace(VirtualToken::module());
    EXPECT_EQ(token_info(), CKR_OK);
}

TEST_F(VirtualFault, CrashesTheProcess) {
    cryptoki.reset();
    token.fault("on C_Login crash");
    const pid_t child = fork();
    if (child == 0) {
        const Cryptoki mine(VirtualToken::module());
        mine.login(mine.open(0), token.pin());
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGABRT);
    EXPECT_EQ(script(), "") << "it happens once";
}

TEST_F(VirtualFault, HangsForEver) {
    cryptoki.reset();
    token.fault("on C_Finalize hang");
    const pid_t child = fork();
    if (child == 0) {
        { const Cryptoki mine(VirtualToken::module()); }
        _exit(0);
    }
    for (const auto end = std::chrono::steady_clock::now() + kLongTime;
         !script().empty() && std::chrono::steady_clock::now() < end;) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(script(), "");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(waitpid(child, nullptr, WNOHANG), 0);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
}

TEST_F(VirtualFault, ALineThatIsNoneFailsEveryCall) {
    std::ofstream(home / "faults") << "on C_Sign explode\n";
    EXPECT_EQ(token_info(), CKR_GENERAL_ERROR);
    EXPECT_EQ(token_info(), CKR_GENERAL_ERROR);
    fs::remove(home / "faults");
    EXPECT_EQ(token_info(), CKR_OK);
}

TEST_F(VirtualFault, AreSharedAmongProcesses) {
    token.fault("on C_GetTokenInfo #3 return CKR_DEVICE_ERROR");
    EXPECT_EQ(token_info(), CKR_OK);
    const pid_t child = fork();
    if (child == 0) {
        const Cryptoki mine(VirtualToken::module());
        CK_TOKEN_INFO info{};
        _exit(mine->C_GetTokenInfo(0, &info) == CKR_OK ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(token_info(), CKR_DEVICE_ERROR);
    EXPECT_EQ(token_info(), CKR_OK);
}

TEST(VirtualLog, OneLineACallWithoutSecrets) {
    const VirtualToken token("etoken-5110", "A");
    const fs::path home = token.folder().parent_path().parent_path();
    std::ofstream(home / "log").close();
    token.settle();
    {
        const Cryptoki cryptoki(VirtualToken::module());
        const CK_SESSION_HANDLE session = cryptoki.open(0, CKF_RW_SESSION);
        EXPECT_EQ(cryptoki.login(session, "a-very-wrong-pin"), CKR_PIN_INCORRECT);
        ASSERT_EQ(cryptoki.login(session, token.pin()), CKR_OK);
        std::string before = token.pin(), after = "the-new-secret";
        ASSERT_EQ(cryptoki->C_SetPIN(session, reinterpret_cast<CK_UTF8CHAR*>(before.data()), before.size(),
                                     reinterpret_cast<CK_UTF8CHAR*>(after.data()), after.size()),
                  CKR_OK);
        EXPECT_EQ(
            cryptoki.sign_init(session, CKM_SHA1_RSA_PKCS, cryptoki.find(session, CKO_PRIVATE_KEY).at(0)),
            CKR_ARGUMENTS_BAD);
    }
    const std::string log = load_text(home / "log");
    EXPECT_THAT(log, HasSubstr(" C_Initialize() CKR_OK "));
    EXPECT_THAT(log, HasSubstr(" C_OpenSession(0) CKR_OK "));
    EXPECT_THAT(log, HasSubstr(" C_Login(1) CKR_PIN_INCORRECT "));
    EXPECT_THAT(log, HasSubstr(" C_SetPIN(1) CKR_OK "));
    EXPECT_THAT(log, HasSubstr(" C_SignInit(1, CKM_SHA1_RSA_PKCS) CKR_ARGUMENTS_BAD "));
    EXPECT_THAT(log, HasSubstr(" C_Finalize() CKR_OK "));
    for (const char* secret : {"a-very-wrong-pin", "etoken-test-pin", "the-new-secret"})
        EXPECT_THAT(log, Not(HasSubstr(secret)));
    EXPECT_EQ(std::ranges::count(log, '\n'), 10);
}

TEST(VirtualLog, IsNotWrittenUnasked) {
    const VirtualToken token("plain-softhsm");
    { const Cryptoki cryptoki(VirtualToken::module()); }
    EXPECT_FALSE(fs::exists(token.folder().parent_path().parent_path() / "log"));
}

}  // namespace
}  // namespace ctlsign::testing
