#include <dlfcn.h>
#include <libp11.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <mutex>
#include <span>

#include <bindings/openssl/token_key.hpp>
#include <pkcs11/free_with.hpp>
#include <pkcs11/installation.hpp>
#include <pkcs11/openssl_error.hpp>
#include <sast/error.hpp>

namespace ctlsign::openssl {

namespace {

// What a key of libp11's works with, in the order in which it is made.
struct Libp11Key {
    explicit Libp11Key(pkcs11::Session open) : session(std::move(open)) {}
    ~Libp11Key() {
        const pkcs11::NativeCalls calls(*session.token().module());
        if (list != nullptr) PKCS11_release_all_slots(context.get(), list, count);
        if (loaded) PKCS11_CTX_unload(context.get());
    }
    Libp11Key(const Libp11Key&) = delete;
    Libp11Key& operator=(const Libp11Key&) = delete;

    pkcs11::Session session;
    std::unique_ptr<PKCS11_CTX, FreeWith<PKCS11_CTX_free>> context{PKCS11_CTX_new()};
    PKCS11_SLOT* list = nullptr;
    unsigned count = 0;
    bool loaded = false;
};

// Where an EVP_PKEY keeps it: OpenSSL calls back when the key's last holder lets go.
int libp11_key_index() {
    static const int index = CRYPTO_get_ex_new_index(
        CRYPTO_EX_INDEX_EVP_PKEY, 0, nullptr, nullptr, nullptr,
        [](void* /*key*/, void* owned, CRYPTO_EX_DATA* /*data*/, int /*index*/, long /*argument*/,
           void* /*pointer*/) { delete static_cast<Libp11Key*>(owned); });
    return index;
}

// Another EVP_PKEY for the same key. libp11 holds its own one until its slots are released: were that to own
// the slots, neither would ever go.
KeyPtr share(EVP_PKEY* key) {
    KeyPtr shared(EVP_PKEY_new());
    const bool is_rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    if (!shared ||
        (is_rsa ? EVP_PKEY_set1_RSA(shared.get(), const_cast<RSA*>(EVP_PKEY_get0_RSA(key)))
                : EVP_PKEY_set1_EC_KEY(shared.get(), const_cast<EC_KEY*>(EVP_PKEY_get0_EC_KEY(key)))) != 1)
        fail_openssl("EVP_PKEY_set1", "a token's key");
    return shared;
}

constexpr std::string_view kForwardModule = "libctlsign-forward.so";

[[noreturn]] void fail(std::string_view function, const pkcs11::Token& token) {
    (void)token.module()->info();  // throws when the module has ended
    const int rv = ERR_get_CKR_code();
    if (rv != 0)
        throw Error(pkcs11::make_rv(static_cast<unsigned>(rv)), function, token.text(),
                    "see: ctlsign token doctor");
    throw Error(sast::Errc::NoKey, function, token.text(), "see: ctlsign token doctor");
}

// Makes CONTEXT use the module that TOKEN was found with.
void load_forwarded(PKCS11_CTX* context, const pkcs11::Token& token) {
    const auto path = find_installed_module(kForwardModule);
    if (!path)
        throw Error(pkcs11::Errc::ModuleNotLoaded, "loading", kForwardModule,
                    "it belongs to the installation of ctlsign");
    // Stays loaded: the function lists that it hands out live in it.
    void* library = dlopen(path->c_str(), RTLD_NOW | RTLD_LOCAL);
    const auto forward_to = library != nullptr
                                ? reinterpret_cast<void* (*)(void*)>(dlsym(library, "ctlsign_forward_to"))
                                : nullptr;
    if (forward_to == nullptr) {
        const char* reason = dlerror();
        throw Error(pkcs11::Errc::ModuleNotLoaded, "loading", path->string(),
                    reason != nullptr ? reason : "");
    }
    static std::mutex choosing;  // the choice and the load that follows it belong together
    const std::scoped_lock lock(choosing);
    if (forward_to(token.module()->native_function_list()) == nullptr) {
        throw Error(pkcs11::Errc::ModuleNotLoaded, "loading", path->string(),
                    "it forwards to too many modules already");
    }
    if (PKCS11_CTX_load(context, path->c_str()) != 0) fail("PKCS11_CTX_load", token);
}

}  // namespace

TokenKey::TokenKey(pkcs11::Session session, ByteView key_id) : token_(session.token()) {
    auto owned = std::make_unique<Libp11Key>(std::move(session));
    if (!owned->context) throw std::bad_alloc();
    const pkcs11::NativeCalls calls(*token_.module());
    load_forwarded(owned->context.get(), token_);
    owned->loaded = true;
    if (PKCS11_enumerate_slots(owned->context.get(), &owned->list, &owned->count) != 0)
        fail("PKCS11_enumerate_slots", token_);
    const std::span slots(owned->list, owned->count);
    const auto slot = std::ranges::find_if(slots, [&](PKCS11_SLOT& candidate) {
        return PKCS11_get_slotid_from_slot(&candidate) == static_cast<unsigned long>(token_.slot());
    });
    if (slot == slots.end() || slot->token == nullptr) fail("PKCS11_enumerate_slots", token_);
    PKCS11_KEY* list = nullptr;
    unsigned count = 0;
    if (PKCS11_enumerate_keys(slot->token, &list, &count) != 0) fail("PKCS11_enumerate_keys", token_);
    const std::span keys(list, count);
    const auto key = std::ranges::find_if(keys, [&](const PKCS11_KEY& candidate) {
        return equal(ByteView(candidate.id, candidate.id_len), key_id);
    });
    if (key == keys.end())
        throw Error(sast::Errc::NoKey, "finding the private key", token_.text(), "id " + to_hex(key_id));
    const KeyPtr libp11s(PKCS11_get_private_key(&*key));
    if (!libp11s) fail("PKCS11_get_private_key", token_);
    key_ = share(libp11s.get());
    if (EVP_PKEY_set_ex_data(key_.get(), libp11_key_index(), owned.get()) != 1) throw std::bad_alloc();
    static_cast<void>(owned.release());
}

void FreeKey::operator()(evp_pkey_st* key) const noexcept {
    EVP_PKEY_free(key);
}

}  // namespace ctlsign::openssl
