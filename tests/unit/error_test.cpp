#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <string>

#include <pkcs11/cryptoki.hpp>
#include <pkcs11/error.hpp>

namespace ctlsign::pkcs11 {
namespace {

// What to do about each CK_RV, by name; a code that is not here calls for nothing in particular.
const std::map<std::string, Recovery> kExpected = {
    {"CKR_DEVICE_REMOVED", Recovery::token_gone},
    {"CKR_TOKEN_NOT_PRESENT", Recovery::token_gone},
    {"CKR_TOKEN_NOT_RECOGNIZED", Recovery::token_gone},
    {"CKR_SLOT_ID_INVALID", Recovery::token_gone},
    {"CKR_SESSION_CLOSED", Recovery::session_lost},
    {"CKR_SESSION_HANDLE_INVALID", Recovery::session_lost},
    {"CKR_CRYPTOKI_NOT_INITIALIZED", Recovery::session_lost},
    {"CKR_OBJECT_HANDLE_INVALID", Recovery::session_lost},
    {"CKR_KEY_HANDLE_INVALID", Recovery::session_lost},
    {"CKR_OPERATION_ACTIVE", Recovery::session_lost},
    {"CKR_OPERATION_NOT_INITIALIZED", Recovery::session_lost},
    {"CKR_USER_NOT_LOGGED_IN", Recovery::login_needed},
    {"CKR_PIN_INCORRECT", Recovery::pin_wrong},
    {"CKR_PIN_INVALID", Recovery::pin_wrong},
    {"CKR_PIN_LEN_RANGE", Recovery::pin_wrong},
    {"CKR_PIN_LOCKED", Recovery::pin_locked},
    {"CKR_PIN_EXPIRED", Recovery::pin_locked},
    {"CKR_USER_PIN_NOT_INITIALIZED", Recovery::pin_locked},
    {"CKR_SESSION_COUNT", Recovery::busy},
    {"CKR_SESSION_EXISTS", Recovery::busy},
    {"CKR_SESSION_READ_ONLY_EXISTS", Recovery::busy},
    {"CKR_SESSION_READ_WRITE_SO_EXISTS", Recovery::busy},
    {"CKR_USER_ANOTHER_ALREADY_LOGGED_IN", Recovery::busy},
    {"CKR_USER_TOO_MANY_TYPES", Recovery::busy},
    {"CKR_FUNCTION_CANCELED", Recovery::busy},
    {"CKR_CANCEL", Recovery::busy},
    {"CKR_MECHANISM_INVALID", Recovery::unsupported},
    {"CKR_MECHANISM_PARAM_INVALID", Recovery::unsupported},
    {"CKR_ARGUMENTS_BAD", Recovery::unsupported},
    {"CKR_KEY_FUNCTION_NOT_PERMITTED", Recovery::unsupported},
    {"CKR_FUNCTION_NOT_SUPPORTED", Recovery::unsupported},
    {"CKR_KEY_TYPE_INCONSISTENT", Recovery::unsupported},
    {"CKR_KEY_SIZE_RANGE", Recovery::unsupported},
    {"CKR_ATTRIBUTE_TYPE_INVALID", Recovery::unsupported},
    {"CKR_CURVE_NOT_SUPPORTED", Recovery::unsupported},
    {"CKR_RANDOM_NO_RNG", Recovery::unsupported},
    {"CKR_RANDOM_SEED_NOT_SUPPORTED", Recovery::unsupported},
    {"CKR_SESSION_PARALLEL_NOT_SUPPORTED", Recovery::unsupported},
    {"CKR_FUNCTION_NOT_PARALLEL", Recovery::unsupported},
    {"CKR_STATE_UNSAVEABLE", Recovery::unsupported},
    {"CKR_DOMAIN_PARAMS_INVALID", Recovery::unsupported},
    {"CKR_DATA_LEN_RANGE", Recovery::unsupported},
    {"CKR_ACTION_PROHIBITED", Recovery::unsupported},
    {"CKR_DEVICE_ERROR", Recovery::device_failed},
    {"CKR_DEVICE_MEMORY", Recovery::device_failed},
    {"CKR_GENERAL_ERROR", Recovery::device_failed},
    {"CKR_FUNCTION_FAILED", Recovery::device_failed},
    {"CKR_HOST_MEMORY", Recovery::device_failed},
    {"CKR_FIPS_SELF_TEST_FAILED", Recovery::device_failed},
    {"CKR_LIBRARY_LOAD_FAILED", Recovery::device_failed},
    {"CKR_NEED_TO_CREATE_THREADS", Recovery::device_failed},
    {"CKR_CANT_LOCK", Recovery::device_failed},
    {"CKR_MUTEX_BAD", Recovery::device_failed},
    {"CKR_MUTEX_NOT_LOCKED", Recovery::device_failed},
};

constexpr Recovery kAll[] = {Recovery::token_gone,  Recovery::session_lost, Recovery::login_needed,
                             Recovery::pin_wrong,   Recovery::pin_locked,   Recovery::busy,
                             Recovery::unsupported, Recovery::device_failed};

// The codes and names are those of the PKCS#11 header that the library is built with.
std::map<std::string, unsigned long> codes_of_header() {
    std::map<std::string, unsigned long> codes;
    std::ifstream header(CTLSIGN_PKCS11_HEADER);
    const std::regex define(R"(#define\s+(CKR_\w+)\s+\((0x[0-9a-fA-F]+|[0-9]+)UL\).*)");
    for (std::string line; std::getline(header, line);) {
        std::smatch match;
        if (std::regex_match(line, match, define)) codes[match[1]] = std::stoul(match[2], nullptr, 0);
    }
    codes.erase("CKR_VENDOR_DEFINED");
    return codes;
}

TEST(RvCategory, EveryCodeOfTheHeaderHasItsNameAndItsRecovery) {
    const auto codes = codes_of_header();
    ASSERT_GE(codes.size(), 90U);
    for (const auto& [name, value] : codes) {
        const std::error_code code = make_rv(value);
        EXPECT_EQ(code.message(), name);
        const auto expected = kExpected.find(name);
        for (const Recovery recovery : kAll) {
            const bool wanted = expected != kExpected.end() && expected->second == recovery;
            EXPECT_EQ(code == recovery, wanted) << name << " as " << make_error_condition(recovery).message();
        }
    }
    for (const auto& [name, recovery] : kExpected) EXPECT_TRUE(codes.contains(name)) << name;
}

TEST(RvCategory, UnknownAndVendorCodesAreShownAsNumbers) {
    EXPECT_EQ(make_rv(0x1234).message(), "CKR_0x1234");
    EXPECT_EQ(make_rv(0x80000042).message(), "CKR_VENDOR_DEFINED+0x42");
    for (const Recovery recovery : kAll) EXPECT_FALSE(make_rv(0x80000042) == recovery);
}

TEST(Category, OwnCodesHaveTheirRecovery) {
    EXPECT_TRUE(make_error_code(Errc::Forked) == Recovery::session_lost);
    EXPECT_TRUE(make_error_code(Errc::NoMechanism) == Recovery::unsupported);
    EXPECT_TRUE(make_error_code(Errc::PinRefused) == Recovery::pin_wrong);
    EXPECT_TRUE(make_error_code(Errc::ModuleNotLoaded) == Recovery::device_failed);
    EXPECT_FALSE(make_error_code(Errc::FinalTryRefused) == Recovery::pin_wrong);
}

TEST(Advice, AnExpiredPinIsNoLockedOne) {
    EXPECT_THAT(advice_for(make_rv(CKR_PIN_EXPIRED)), ::testing::HasSubstr("has expired"));
    EXPECT_THAT(advice_for(make_rv(CKR_PIN_LOCKED)), ::testing::HasSubstr("administrator"));
}

TEST(Error, IsOneLine) {
    const Error e(make_rv(0xA0), "C_Login", "token A\nB (serial 1)", "check the PIN");
    EXPECT_STREQ(e.what(), "C_Login on token A B (serial 1): CKR_PIN_INCORRECT; check the PIN");
    EXPECT_TRUE(e.code() == Recovery::pin_wrong);
}

TEST(Error, ATokenCannotTalkToTheTerminal) {
    const Error e(make_rv(0xA0), "C_Login", "token \x1b]0;A\a", "");
    EXPECT_STREQ(e.what(), "C_Login on token \\x1B]0;A\\x07: CKR_PIN_INCORRECT");
}

}  // namespace
}  // namespace ctlsign::pkcs11
