#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>

#include <pkcs11/digest.hpp>
#include <pkcs11/error.hpp>
#include <pkcs11/openssl_error.hpp>

namespace ctlsign {
namespace {

TEST(OpensslError, TellsOpensslsReason) {
    ERR_raise_data(ERR_LIB_EVP, EVP_R_UNSUPPORTED_ALGORITHM, "SCRYPT");
    try {
        fail_openssl("EVP_KDF_derive", "a PIN");
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), std::errc::operation_not_supported);
        EXPECT_EQ(e.failed(), "EVP_KDF_derive");
        EXPECT_EQ(e.subject(), "a PIN");
        EXPECT_EQ(e.advice(), "unsupported algorithm: SCRYPT");
    }
    EXPECT_EQ(ERR_peek_error(), 0U) << "OpenSSL's error queue is left clean";
    EXPECT_THROW(fail_openssl("RAND_bytes", ""), Error) << "without a reason, too";
}

TEST(OpensslError, OnlyMemoryIsMemory) {
    ERR_raise(ERR_LIB_EVP, ERR_R_MALLOC_FAILURE);
    EXPECT_THROW(fail_openssl("EVP_MD_CTX_new", ""), std::bad_alloc);
    EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST(OpensslError, ADigestThatOpensslDoesNotHaveIsNoFaultOfTheProgram) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");  // a new process: what OpenSSL has is asked once
    const auto compute = [] {
        EVP_set_default_properties(nullptr, "provider=none");
        try {
            (void)compute_digest(Digest::Sha256, {});
        } catch (const Error& e) {
            std::fputs(e.what(), stderr);
            std::filesystem::remove(std::getenv("XDG_STATE_HOME"));  // what main() made for this process
            std::_Exit(e.code() == std::errc::operation_not_supported ? 0 : 1);
        }
        std::_Exit(2);
    };
    EXPECT_EXIT(compute(), ::testing::ExitedWithCode(0), "EVP_MD_fetch on SHA-256: .*unsupported");
}

TEST(OpensslError, NoReasonIsEmpty) {
    EXPECT_EQ(take_openssl_reason(), "");
}

}  // namespace
}  // namespace ctlsign
