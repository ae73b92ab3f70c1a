#pragma once

#include <memory>

#include <pkcs11/session.hpp>

struct evp_pkey_st;

namespace ctlsign::openssl {

struct FreeKey {
    void operator()(evp_pkey_st* key) const noexcept;
};
/// OpenSSL's key. Others may hold it too (EVP_PKEY_up_ref): it goes with the last of them.
using KeyPtr = std::unique_ptr<evp_pkey_st, FreeKey>;

/// A private key on a token as OpenSSL's EVP_PKEY, through libp11: for certificate requests, CMS and TLS. It
/// uses the module that this process has already opened, and holds module and session while anybody holds
/// the EVP_PKEY. A token that is pulled ends it; make_key() of signer_key.hpp has one that lasts. Whoever
/// signs with it stands pkcs11::NativeCalls around that.
class TokenKey {
  public:
    /// SESSION must be logged in. KEY_ID is the key's CKA_ID. Throws sast::Errc::NoKey, or
    /// pkcs11::Errc::ModuleNotLoaded when the forwarding module is not installed.
    TokenKey(pkcs11::Session session, ByteView key_id);

    evp_pkey_st* get() const noexcept { return key_.get(); }
    const pkcs11::Token& token() const noexcept { return token_; }

  private:
    pkcs11::Token token_;
    KeyPtr key_;
};

}  // namespace ctlsign::openssl
