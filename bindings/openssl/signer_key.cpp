// RSA_METHOD is of OpenSSL 1.1; a provider of its own would be ten times as much for one key.
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <mutex>

#include <bindings/openssl/signer_key.hpp>
#include <pkcs11/free_with.hpp>
#include <pkcs11/openssl_error.hpp>
#include <sast/error.hpp>

namespace ctlsign::openssl {

namespace {

struct HeldSigner {
    HeldSigner(std::unique_ptr<sast::PinSource> source, std::unique_ptr<sast::TokenSigner> token)
        : pins(std::move(source)), signer(std::move(token)) {}
    std::unique_ptr<sast::PinSource> pins;
    std::unique_ptr<sast::TokenSigner> signer;
    std::mutex mutex;
};

int held_signer_index() {
    static const int index = RSA_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

// What was signed, out of the signature: a token that signs wrongly would give away its key.
bool undoes(const Bytes& signature, ByteView input, RSA* rsa, int padding) {
    Bytes recovered(signature.size());
    const int size = RSA_public_decrypt(static_cast<int>(signature.size()), signature.data(),
                                        recovered.data(), rsa, padding);
    return size >= 0 && equal(ByteView(recovered).first(static_cast<std::size_t>(size)), input);
}

// What a module leaves on OpenSSL's queue of errors, which it may share with us, is none of TLS's: there it
// would end a handshake that succeeds.
class ModuleErrors {
  public:
    ModuleErrors() noexcept { ERR_set_mark(); }
    ~ModuleErrors() { ERR_pop_to_mark(); }
    ModuleErrors(const ModuleErrors&) = delete;
    ModuleErrors& operator=(const ModuleErrors&) = delete;
};

Bytes sign_checked(HeldSigner& owned, ByteView input, RSA* rsa, int padding) {
    const ModuleErrors errors;
    const std::scoped_lock lock(owned.mutex);
    Bytes signature = owned.signer->sign_encoded(
        padding == RSA_PKCS1_PADDING ? pkcs11::InputForm::DigestInfo : pkcs11::InputForm::PaddedBlock, input);
    if (!undoes(signature, input, rsa, padding)) {
        throw Error(sast::Errc::WrongSignature, "signing", owned.signer->facts().description,
                    "check the token before it is used again: ctlsign token doctor");
    }
    return signature;
}

// RSA_METHOD's rsa_priv_enc: PADDING tells a DigestInfo from a block that OpenSSL has padded.
int sign(int size, const unsigned char* octets, unsigned char* to, RSA* rsa, int padding) noexcept {
    try {
        auto& owned = *static_cast<HeldSigner*>(RSA_get_ex_data(rsa, held_signer_index()));
        const ByteView input(octets, static_cast<std::size_t>(size));
        if (padding != RSA_PKCS1_PADDING && padding != RSA_NO_PADDING) {
            ERR_raise(ERR_LIB_RSA, RSA_R_UNKNOWN_PADDING_TYPE);
            return -1;
        }
        const Bytes signature = sign_checked(owned, input, rsa, padding);
        std::ranges::copy(signature, to);
        return static_cast<int>(signature.size());
    } catch (const std::exception& e) {
        ERR_raise_data(ERR_LIB_RSA, ERR_R_OPERATION_FAIL, "%s", e.what());
        return -1;
    }
}

int finish(RSA* rsa) noexcept {
    delete static_cast<HeldSigner*>(RSA_get_ex_data(rsa, held_signer_index()));
    return RSA_meth_get_finish(RSA_PKCS1_OpenSSL())(rsa);
}

const RSA_METHOD* method() {
    static const RSA_METHOD* const instance = [] {
        RSA_METHOD* made = RSA_meth_dup(RSA_PKCS1_OpenSSL());
        if (made == nullptr || RSA_meth_set1_name(made, "ctlsign") != 1 ||
            RSA_meth_set_priv_enc(made, sign) != 1 || RSA_meth_set_finish(made, finish) != 1 ||
            RSA_meth_set_flags(made, RSA_FLAG_EXT_PKEY) != 1)
            fail_openssl("RSA_meth_dup", "");
        return made;
    }();
    return instance;
}

}  // namespace

KeyPtr make_key(std::unique_ptr<sast::TokenSigner> signer, std::unique_ptr<sast::PinSource> pins) {
    const ByteView number = signer->facts().certificate.public_key();
    const unsigned char* at = number.data();
    std::unique_ptr<RSA, FreeWith<RSA_free>> rsa(
        d2i_RSAPublicKey(nullptr, &at, static_cast<long>(number.size())));
    if (!rsa) {
        throw Error(sast::Errc::MalformedKey, "d2i_RSAPublicKey", signer->facts().description,
                    take_openssl_reason());
    }
    KeyPtr key(EVP_PKEY_new());
    auto owned = std::make_unique<HeldSigner>(std::move(pins), std::move(signer));
    if (!key || RSA_set_ex_data(rsa.get(), held_signer_index(), owned.get()) != 1 ||
        RSA_set_method(rsa.get(), method()) != 1)
        fail_openssl("RSA_set_method", "");
    static_cast<void>(owned.release());
    RSA_set_flags(rsa.get(), RSA_FLAG_EXT_PKEY);
    // Last, as OpenSSL looks now at whose method it is.
    if (EVP_PKEY_assign_RSA(key.get(), rsa.get()) != 1) fail_openssl("EVP_PKEY_assign_RSA", "");
    static_cast<void>(rsa.release());
    return key;
}

}  // namespace ctlsign::openssl
