#include <dlfcn.h>
#include <gtest/gtest.h>
#include <p11-kit/pkcs11.h>

#include <softhsm-profiles/gtest/virtual_token.hpp>

using ctlsign::testing::VirtualToken;

TEST(Outsider, SeesATokenComeAndGo) {
    VirtualToken token{"etoken-5110"};
    void* library = dlopen(VirtualToken::module().c_str(), RTLD_NOW);
    ASSERT_NE(library, nullptr) << dlerror();
    CK_FUNCTION_LIST* p11 = nullptr;
    ASSERT_EQ(reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"))(&p11), CKR_OK);
    ASSERT_EQ(p11->C_Initialize(nullptr), CKR_OK);
    CK_TOKEN_INFO info{};
    EXPECT_EQ(p11->C_GetTokenInfo(0, &info), CKR_OK);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(info.manufacturerID), 7), "SafeNet");
    token.unplug();
    EXPECT_EQ(p11->C_GetTokenInfo(0, &info), CKR_TOKEN_NOT_PRESENT);
    token.fault("on C_Finalize return CKR_DEVICE_ERROR");
    EXPECT_EQ(p11->C_Finalize(nullptr), CKR_DEVICE_ERROR);
    EXPECT_EQ(p11->C_Finalize(nullptr), CKR_OK);
}
