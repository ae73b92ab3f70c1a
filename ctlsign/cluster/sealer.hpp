#pragma once

#include <array>
#include <optional>
#include <string_view>

#include <pkcs11/bytes.hpp>
#include <pkcs11/pin.hpp>

namespace ctlsign::cluster {

/// Encrypts secrets with a passphrase: scrypt (RFC 7914), AES-256-GCM. Throws Error where OpenSSL has not got
/// these.
class Sealer {
  public:
    /// Stretching takes a good part of a second.
    Sealer(const pkcs11::Pin& passphrase, ByteView salt);
    Sealer(const Sealer&) = delete;
    Sealer& operator=(const Sealer&) = delete;
    ~Sealer();

    static Bytes make_salt();

    /// NAME is not hidden, and cannot be changed unnoticed.
    Bytes seal(std::string_view name, ByteView secret) const;
    /// Nothing when the passphrase is another, or a thing was changed. The caller wipes what it gets.
    std::optional<Bytes> find_secret(std::string_view name, ByteView sealed) const;

  private:
    std::array<unsigned char, 32> key_{};
};

}  // namespace ctlsign::cluster
