#include <gtest/gtest.h>
#include <p11-kit/pkcs11.h>

#include <cerrno>
#include <future>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <cli/exit_code.hpp>
#include <ctlsign/error.hpp>
#include <pkcs11/error.hpp>
#include <sast/error.hpp>
#include <softhsm-profiles/error.hpp>

// The numbers are those of the manual pages; scripts of users have them.
namespace ctlsign::cli {
namespace {

int exit_of(const std::exception& error) {
    return static_cast<int>(exit_code(error));
}
int exit_of(std::error_code code) {
    return exit_of(Error(code, "doing", "it", ""));
}

TEST(ExitCodes, WhoeverFails) {
    EXPECT_EQ(exit_of(NotValid("")), 1);
    EXPECT_EQ(exit_of(UsageError("")), 2);
    const std::pair<std::error_code, int> rows[] = {
        {Errc::NotVerified, 1},
        {Errc::DigestMismatch, 1},
        {pkcs11::Errc::NotAnUri, 2},
        {pkcs11::Errc::PinInUri, 2},
        {softhsm::Errc::BadName, 2},
        {softhsm::Errc::UnknownProfile, 2},
        {softhsm::Errc::MalformedFault, 2},
        {Errc::Malformed, 3},
        {Errc::Oversized, 3},
        {Errc::Unencodable, 3},
        {pkcs11::Errc::MalformedQuirks, 3},
        {sast::Errc::MalformedCertificate, 3},
        {sast::Errc::MalformedKey, 3},
        {softhsm::Errc::MalformedProfile, 3},
        {Errc::RuleRefused, 4},
        {pkcs11::make_rv(CKR_PIN_INCORRECT), 5},
        {pkcs11::Errc::PinRefused, 5},
        {sast::Errc::NoKey, 5},
        {Errc::InUse, 6},
        {Errc::NodeFailed, 6},
        {Errc::Unfinished, 6},
        {softhsm::Errc::NoSoftHsm, 6},
        {std::make_error_code(std::errc::no_space_on_device), 6},
        {std::error_code(ENOSPC, std::system_category()), 6},
    };
    for (const auto& [code, expected] : rows) EXPECT_EQ(exit_of(code), expected) << code.message();
}

TEST(ExitCodes, WhatNobodyExpectsIsAFaultOfTheProgram) {
    EXPECT_EQ(exit_of(std::logic_error("")), 70);
    EXPECT_EQ(exit_of(std::make_error_code(std::future_errc::no_state)), 70);
    EXPECT_EQ(exit_of(std::error_code(0, ctlsign::category())), 70);
}

}  // namespace
}  // namespace ctlsign::cli
