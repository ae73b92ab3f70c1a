#pragma once

#include <memory>

#include <pkcs11/session.hpp>

struct evp_pkey_st;

namespace ctlsign::openssl {

/// A private key on a token as OpenSSL's EVP_PKEY, through libp11: for certificate requests, CMS and TLS. It
/// uses the module that this process has already opened, and holds module and session while it lives.
class TokenKey {
  public:
    /// SESSION must be logged in. KEY_ID is the key's CKA_ID. Throws sast::Errc::NoKey, or
    /// pkcs11::Errc::ModuleNotLoaded when the forwarding module is not installed.
    TokenKey(pkcs11::Session session, ByteView key_id);
    TokenKey(TokenKey&&) noexcept;
    TokenKey& operator=(TokenKey&&) noexcept;
    ~TokenKey();

    /// Borrowed: valid as long as this object.
    evp_pkey_st* get() const noexcept;
    const pkcs11::Token& token() const noexcept { return session_.token(); }

  private:
    struct Libp11;
    pkcs11::Session session_;
    std::unique_ptr<Libp11> libp11_;
};

}  // namespace ctlsign::openssl
