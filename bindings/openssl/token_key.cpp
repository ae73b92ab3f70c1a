#include <dlfcn.h>
#include <libp11.h>

#include <algorithm>
#include <mutex>
#include <span>
#include <string>

#include <bindings/openssl/token_key.hpp>
#include <pkcs11/installation.hpp>
#include <sast/error.hpp>

namespace ctlsign::openssl {

struct TokenKey::Libp11 {
    struct Slots {
        PKCS11_SLOT* list = nullptr;
        unsigned count = 0;
    };
    std::unique_ptr<PKCS11_CTX, decltype(&PKCS11_CTX_free)> context{PKCS11_CTX_new(), &PKCS11_CTX_free};
    Slots slots;
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{nullptr, &EVP_PKEY_free};
    bool loaded = false;

    Libp11() = default;
    Libp11(const Libp11&) = delete;
    Libp11& operator=(const Libp11&) = delete;
    ~Libp11() {
        key.reset();
        if (slots.list != nullptr) PKCS11_release_all_slots(context.get(), slots.list, slots.count);
        if (loaded) PKCS11_CTX_unload(context.get());
    }
};

namespace {

constexpr std::string_view kForwardModule = "libctlsign-forward.so";

[[noreturn]] void fail(std::string_view function, const pkcs11::Token& token) {
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

TokenKey::TokenKey(pkcs11::Session session, ByteView key_id)
    : session_(std::move(session)), libp11_(std::make_unique<Libp11>()) {
    Libp11& p11 = *libp11_;
    if (!p11.context) throw std::bad_alloc();
    load_forwarded(p11.context.get(), token());
    p11.loaded = true;
    if (PKCS11_enumerate_slots(p11.context.get(), &p11.slots.list, &p11.slots.count) != 0)
        fail("PKCS11_enumerate_slots", token());
    const std::span slots(p11.slots.list, p11.slots.count);
    const auto slot = std::ranges::find_if(slots, [&](PKCS11_SLOT& candidate) {
        return PKCS11_get_slotid_from_slot(&candidate) == static_cast<unsigned long>(token().slot());
    });
    if (slot == slots.end() || slot->token == nullptr) fail("PKCS11_enumerate_slots", token());
    PKCS11_KEY* list = nullptr;
    unsigned count = 0;
    if (PKCS11_enumerate_keys(slot->token, &list, &count) != 0) fail("PKCS11_enumerate_keys", token());
    const std::span keys(list, count);
    const auto key = std::ranges::find_if(keys, [&](const PKCS11_KEY& candidate) {
        return equal(ByteView(candidate.id, candidate.id_len), key_id);
    });
    if (key == keys.end()) {
        throw Error(sast::Errc::NoKey, "finding the private key", token().text(), "id " + to_hex(key_id));
    }
    p11.key.reset(PKCS11_get_private_key(&*key));
    if (!p11.key) fail("PKCS11_get_private_key", token());
}

TokenKey::TokenKey(TokenKey&&) noexcept = default;
TokenKey& TokenKey::operator=(TokenKey&&) noexcept = default;
TokenKey::~TokenKey() = default;

evp_pkey_st* TokenKey::get() const noexcept {
    return libp11_->key.get();
}

}  // namespace ctlsign::openssl
