#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <pkcs11/error.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <softhsm-profiles/softhsm_module.hpp>
#include <tests/support/cryptoki.hpp>

// plain-softhsm restricts nothing: the same calls give the same answers and octets with and without the
// module between, call by call. What is the module's own, readers and slots, is not compared.
namespace ctlsign::testing {
namespace {

class Transcript {
  public:
    void add(const std::string& what, CK_RV rv) {
        lines.push_back(what + ": " + pkcs11::make_rv(rv).message());
    }
    void add(const std::string& what, CK_RV rv, const void* octets, std::size_t size) {
        lines.push_back(what + ": " + pkcs11::make_rv(rv).message() + " " +
                        to_hex({static_cast<const std::uint8_t*>(octets), size}));
    }
    std::vector<std::string> lines;
};

// A result of unknown length: its size first, then a buffer one octet too small, then the right one.
template <typename Call>
Bytes fetch(Transcript& out, const std::string& what, Call call) {
    CK_ULONG size = 0;
    out.add(what + " size", call(nullptr, &size), &size, sizeof size);
    Bytes result(size);
    if (size > 1) {
        CK_ULONG small = size - 1;
        out.add(what + " too small", call(result.data(), &small), &small, sizeof small);
    }
    const CK_RV rv = call(result.data(), &size);
    result.resize(std::min<std::size_t>(size, result.size()));
    out.add(what, rv, result.data(), result.size());
    return result;
}

class Player {
  public:
    Player(const Cryptoki& cryptoki, std::string pin) : cryptoki_(cryptoki), pin_(std::move(pin)) {
        slot_ = cryptoki.tokens().at(0);
    }

    std::vector<std::string> play() {
        token();
        mechanisms();
        sessions();
        session_ = cryptoki_.open(slot_, CKF_RW_SESSION);
        logins();
        objects();
        signatures();
        digests();
        secret_keys();
        wrong_calls();
        out_.add("C_Logout", cryptoki_->C_Logout(session_));
        out_.add("C_Logout again", cryptoki_->C_Logout(session_));
        out_.add("C_CloseAllSessions", cryptoki_->C_CloseAllSessions(slot_));
        out_.add("C_CloseSession of a closed one", cryptoki_->C_CloseSession(session_));
        return out_.lines;
    }

  private:
    void token() {
        CK_TOKEN_INFO info{};
        const CK_RV rv = cryptoki_->C_GetTokenInfo(slot_, &info);
        std::memset(info.utcTime, 0, sizeof info.utcTime);
        out_.add("C_GetTokenInfo", rv, &info, sizeof info);
        out_.add("C_GetTokenInfo(null)", cryptoki_->C_GetTokenInfo(slot_, nullptr));
        out_.add("C_GetTokenInfo of no slot", cryptoki_->C_GetTokenInfo(4711, &info));
    }

    void mechanisms() {
        CK_ULONG count = 0;
        out_.add("C_GetMechanismList size", cryptoki_->C_GetMechanismList(slot_, nullptr, &count), &count,
                 sizeof count);
        std::vector<CK_MECHANISM_TYPE> types(count);
        CK_ULONG small = count - 1;
        out_.add("C_GetMechanismList too small", cryptoki_->C_GetMechanismList(slot_, types.data(), &small),
                 &small, sizeof small);
        out_.add("C_GetMechanismList", cryptoki_->C_GetMechanismList(slot_, types.data(), &count));
        out_.add("types", CKR_OK, types.data(), types.size() * sizeof types[0]);
        types.push_back(CKM_VENDOR_DEFINED);
        for (const CK_MECHANISM_TYPE type : types) {
            CK_MECHANISM_INFO info{};
            out_.add("C_GetMechanismInfo", cryptoki_->C_GetMechanismInfo(slot_, type, &info), &info,
                     sizeof info);
        }
        out_.add("C_GetMechanismInfo(null)", cryptoki_->C_GetMechanismInfo(slot_, CKM_RSA_PKCS, nullptr));
    }

    void sessions() {
        CK_SESSION_HANDLE session = 0;
        out_.add("parallel session", cryptoki_->C_OpenSession(slot_, 0, nullptr, nullptr, &session));
        out_.add("session to nowhere",
                 cryptoki_->C_OpenSession(slot_, CKF_SERIAL_SESSION, nullptr, nullptr, nullptr));
        session = cryptoki_.open(slot_);
        CK_SESSION_INFO info{};
        const CK_RV rv = cryptoki_->C_GetSessionInfo(session, &info);
        info.slotID = 0;
        out_.add("C_GetSessionInfo", rv, &info, sizeof info);
        out_.add("C_GetSessionInfo(null)", cryptoki_->C_GetSessionInfo(session, nullptr));
        CK_ULONG size = 0;
        out_.add("C_GetOperationState", cryptoki_->C_GetOperationState(session, nullptr, &size));
        out_.add("C_GetFunctionStatus", cryptoki_->C_GetFunctionStatus(session));
        out_.add("C_CancelFunction", cryptoki_->C_CancelFunction(session));
        out_.add("C_CloseSession", cryptoki_->C_CloseSession(session));
    }

    void logins() {
        out_.add("wrong PIN", cryptoki_.login(session_, "wrong"));
        out_.add("PIN of two octets", cryptoki_.login(session_, "no"));
        CK_TOKEN_INFO info = cryptoki_.info(slot_);
        out_.add("flags", CKR_OK, &info.flags, sizeof info.flags);
        out_.add("no PIN", cryptoki_->C_Login(session_, CKU_USER, nullptr, 0));
        out_.add("no such user", cryptoki_.login(session_, pin_, 77));
        out_.add("for no operation", cryptoki_.login(session_, pin_, CKU_CONTEXT_SPECIFIC));
        out_.add("C_InitPIN as nobody",
                 cryptoki_->C_InitPIN(session_, reinterpret_cast<CK_UTF8CHAR*>(pin_.data()), 4));
        out_.add("C_Login", cryptoki_.login(session_, pin_));
        out_.add("C_Login again", cryptoki_.login(session_, pin_));
        info = cryptoki_.info(slot_);
        out_.add("flags", CKR_OK, &info.flags, sizeof info.flags);
    }

    void objects() {
        out_.add("C_FindObjects at no time", cryptoki_->C_FindObjects(session_, nullptr, 0, nullptr));
        out_.add("C_FindObjectsInit", cryptoki_->C_FindObjectsInit(session_, nullptr, 0));
        out_.add("C_FindObjectsInit again", cryptoki_->C_FindObjectsInit(session_, nullptr, 0));
        std::vector<CK_OBJECT_HANDLE> objects(16);
        CK_ULONG count = 0;
        out_.add("C_FindObjects", cryptoki_->C_FindObjects(session_, objects.data(), 2, &count), &count,
                 sizeof count);
        CK_ULONG more = 0;
        out_.add("C_FindObjects", cryptoki_->C_FindObjects(session_, objects.data() + count, 14, &more),
                 &more, sizeof more);
        out_.add("C_FindObjectsFinal", cryptoki_->C_FindObjectsFinal(session_));
        objects.resize(count + more);
        // SoftHSM2 finds its objects in no order: here by class, of which each has one.
        std::ranges::sort(
            objects, {}, [&](CK_OBJECT_HANDLE object) { return cryptoki_.get(session_, object, CKA_CLASS); });
        for (const CK_OBJECT_HANDLE object : objects) {
            CK_ULONG size = 0;
            out_.add("C_GetObjectSize", cryptoki_->C_GetObjectSize(session_, object, &size), &size,
                     sizeof size);
            for (CK_ATTRIBUTE_TYPE type = 0; type < 0x220; ++type) attribute(object, type);
            for (const CK_ATTRIBUTE_TYPE type :
                 {CK_ATTRIBUTE_TYPE{0x40000600}, CK_ATTRIBUTE_TYPE{0x80001110}})
                attribute(object, type);
        }
        key_ = cryptoki_.find(session_, CKO_PRIVATE_KEY).at(0);
        public_key_ = cryptoki_.find(session_, CKO_PUBLIC_KEY).at(0);
        out_.add("hardware features", CKR_OK, nullptr, cryptoki_.find(session_, CKO_HW_FEATURE).size());
        attribute(0x80005002, CKA_CLASS);
    }

    void attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
        std::uint8_t buffer[2048]{};
        CK_ATTRIBUTE attribute{type, buffer, sizeof buffer};
        const CK_RV rv = cryptoki_->C_GetAttributeValue(session_, object, &attribute, 1);
        const std::size_t size =
            attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION ? 0 : attribute.ulValueLen;
        out_.add("attribute " + std::to_string(type), rv, buffer, std::min(size, sizeof buffer));
    }

    void signatures() {
        Bytes message(100, 7);
        for (const CK_MECHANISM_TYPE type :
             {CKM_RSA_PKCS, CKM_SHA1_RSA_PKCS, CKM_SHA256_RSA_PKCS, CKM_SHA512_RSA_PKCS, CKM_RSA_X_509,
              CKM_ECDSA, CKM_VENDOR_DEFINED}) {
            out_.add("C_SignInit", cryptoki_.sign_init(session_, type, key_));
            const Bytes signature = fetch(out_, "C_Sign", [&](CK_BYTE* result, CK_ULONG* size) {
                return cryptoki_->C_Sign(session_, message.data(), message.size(), result, size);
            });
            CK_MECHANISM mechanism{type, nullptr, 0};
            out_.add("C_VerifyInit", cryptoki_->C_VerifyInit(session_, &mechanism, public_key_));
            Bytes copy = signature;
            out_.add("C_Verify",
                     cryptoki_->C_Verify(session_, message.data(), message.size(), copy.data(), copy.size()));
        }
        out_.add("C_SignInit", cryptoki_.sign_init(session_, CKM_SHA256_RSA_PKCS, key_));
        out_.add("C_SignInit again", cryptoki_.sign_init(session_, CKM_SHA256_RSA_PKCS, key_));
        out_.add("C_SignUpdate", cryptoki_->C_SignUpdate(session_, message.data(), message.size()));
        fetch(out_, "C_SignFinal", [&](CK_BYTE* result, CK_ULONG* size) {
            return cryptoki_->C_SignFinal(session_, result, size);
        });
        out_.add("C_SignInit without mechanism", cryptoki_->C_SignInit(session_, nullptr, key_));
        out_.add("C_SignInit without key", cryptoki_.sign_init(session_, CKM_RSA_PKCS, 4711));
        out_.add("C_SignInit with a public key", cryptoki_.sign_init(session_, CKM_RSA_PKCS, public_key_));
        out_.add("C_SignUpdate at no time",
                 cryptoki_->C_SignUpdate(session_, message.data(), message.size()));
        CK_MECHANISM mechanism{CKM_RSA_PKCS, nullptr, 0};
        out_.add("C_DecryptInit", cryptoki_->C_DecryptInit(session_, &mechanism, key_));
        out_.add("C_SignRecoverInit", cryptoki_->C_SignRecoverInit(session_, &mechanism, key_));
    }

    void digests() {
        Bytes message(1000, 3);
        for (const CK_MECHANISM_TYPE type : {CKM_SHA_1, CKM_SHA256, CKM_SHA512, CKM_MD5, CKM_MD2}) {
            CK_MECHANISM mechanism{type, nullptr, 0};
            out_.add("C_DigestInit", cryptoki_->C_DigestInit(session_, &mechanism));
            fetch(out_, "C_Digest", [&](CK_BYTE* result, CK_ULONG* size) {
                return cryptoki_->C_Digest(session_, message.data(), message.size(), result, size);
            });
        }
        CK_BYTE random[4];
        out_.add("C_GenerateRandom", cryptoki_->C_GenerateRandom(session_, random, sizeof random));
        out_.add("C_SeedRandom", cryptoki_->C_SeedRandom(session_, random, sizeof random));
    }

    void secret_keys() {
        CK_OBJECT_CLASS kind = CKO_SECRET_KEY;
        CK_KEY_TYPE key_type = CKK_AES;
        CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
        Bytes value(16, 9), iv(16, 1), plain(32, 5);
        CK_ATTRIBUTE attributes[] = {
            {CKA_CLASS, &kind, sizeof kind}, {CKA_KEY_TYPE, &key_type, sizeof key_type},
            {CKA_TOKEN, &no, sizeof no},     {CKA_ENCRYPT, &yes, sizeof yes},
            {CKA_DECRYPT, &yes, sizeof yes}, {CKA_VALUE, value.data(), value.size()},
            {CKA_SENSITIVE, &no, sizeof no}, {CKA_EXTRACTABLE, &yes, sizeof yes}};
        CK_OBJECT_HANDLE key = 0;
        out_.add("C_CreateObject",
                 cryptoki_->C_CreateObject(session_, attributes, std::size(attributes), &key));
        out_.add("C_CreateObject of nothing", cryptoki_->C_CreateObject(session_, attributes, 1, &key));
        CK_MECHANISM mechanism{CKM_AES_CBC_PAD, iv.data(), iv.size()};
        out_.add("C_EncryptInit", cryptoki_->C_EncryptInit(session_, &mechanism, key));
        Bytes hidden = fetch(out_, "C_Encrypt", [&](CK_BYTE* result, CK_ULONG* size) {
            return cryptoki_->C_Encrypt(session_, plain.data(), plain.size(), result, size);
        });
        out_.add("C_DecryptInit", cryptoki_->C_DecryptInit(session_, &mechanism, key));
        fetch(out_, "C_Decrypt", [&](CK_BYTE* result, CK_ULONG* size) {
            return cryptoki_->C_Decrypt(session_, hidden.data(), hidden.size(), result, size);
        });
        CK_ATTRIBUTE label{CKA_LABEL, value.data(), value.size()};
        out_.add("C_SetAttributeValue", cryptoki_->C_SetAttributeValue(session_, key, &label, 1));
        CK_OBJECT_HANDLE copy = 0;
        out_.add("C_CopyObject", cryptoki_->C_CopyObject(session_, key, nullptr, 0, &copy));
        out_.add("C_DestroyObject", cryptoki_->C_DestroyObject(session_, key));
        out_.add("C_DestroyObject again", cryptoki_->C_DestroyObject(session_, key));
        CK_MECHANISM generate{CKM_GENERIC_SECRET_KEY_GEN, nullptr, 0};
        out_.add("C_GenerateKey of nothing", cryptoki_->C_GenerateKey(session_, &generate, nullptr, 0, &key));
    }

    void wrong_calls() {
        std::uint8_t data[8]{};
        CK_ULONG size = sizeof data;
        const CK_SESSION_HANDLE none = 4711;
        out_.add("C_Sign at no time", cryptoki_->C_Sign(session_, data, size, data, &size));
        out_.add("C_Sign nowhere", cryptoki_->C_Sign(none, data, size, data, &size));
        out_.add("C_Digest at no time", cryptoki_->C_Digest(session_, data, size, data, &size));
        out_.add("C_Verify at no time", cryptoki_->C_Verify(session_, data, size, data, size));
        out_.add("C_Encrypt at no time", cryptoki_->C_Encrypt(session_, data, size, data, &size));
        out_.add("C_FindObjectsFinal at no time", cryptoki_->C_FindObjectsFinal(session_));
        out_.add("C_SignRecover", cryptoki_->C_SignRecover(session_, data, size, data, &size));
        out_.add("C_DigestEncryptUpdate",
                 cryptoki_->C_DigestEncryptUpdate(session_, data, size, data, &size));
        out_.add("C_CloseSession nowhere", cryptoki_->C_CloseSession(none));
        out_.add("C_Logout nowhere", cryptoki_->C_Logout(none));
        out_.add("C_CloseAllSessions nowhere", cryptoki_->C_CloseAllSessions(4711));
    }

    const Cryptoki& cryptoki_;
    std::string pin_;
    CK_SLOT_ID slot_ = 0;
    CK_SESSION_HANDLE session_ = 0;
    CK_OBJECT_HANDLE key_ = 0, public_key_ = 0;
    Transcript out_;
};

TEST(VirtualPassthrough, TheSameCallByCall) {
    const VirtualToken token("plain-softhsm");
    std::vector<std::string> alone, through;
    {
        const Cryptoki cryptoki(softhsm::find_softhsm_module(), token.folder() / "softhsm/softhsm2.conf");
        alone = Player(cryptoki, token.pin()).play();
    }
    {
        const Cryptoki cryptoki(VirtualToken::module());
        through = Player(cryptoki, token.pin()).play();
    }
    ASSERT_GT(alone.size(), 1000U);
    for (std::size_t i = 0; i < std::min(alone.size(), through.size()); ++i) EXPECT_EQ(through[i], alone[i]);
    EXPECT_EQ(through.size(), alone.size());
}

TEST(VirtualPassthrough, TheProgramsOwnSoftHsmIsAnother) {
    const VirtualToken token("plain-softhsm");
    const VirtualToken own("plain-softhsm", "own");
    const Cryptoki alone(softhsm::find_softhsm_module(), own.folder() / "softhsm/softhsm2.conf");
    const CK_SESSION_HANDLE session = alone.open(alone.tokens().at(0));
    ASSERT_EQ(alone.login(session, own.pin()), CKR_OK);
    {
        const Cryptoki cryptoki(VirtualToken::module());
        ASSERT_EQ(cryptoki.login(cryptoki.open(0), token.pin()), CKR_OK);
        EXPECT_EQ(alone.tokens().size(), 1U);
    }
    EXPECT_EQ(alone.find(session, CKO_PRIVATE_KEY).size(), 1U) << "still logged in";
}

}  // namespace
}  // namespace ctlsign::testing
