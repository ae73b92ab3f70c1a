#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pkcs11/bytes.hpp>
#include <pkcs11/digest.hpp>
#include <sast/certificate.hpp>

struct evp_pkey_st;

namespace ctlsign::sast {

/// Octets of a private key, as a file has them or on their way to another form. Wiped when they go.
class KeyOctets {
  public:
    explicit KeyOctets(Bytes octets) noexcept : octets_(std::move(octets)) {}
    KeyOctets(const KeyOctets&) = delete;
    KeyOctets& operator=(const KeyOctets&) = delete;
    ~KeyOctets();

    const Bytes& octets() const noexcept { return octets_; }
    Bytes& octets() noexcept { return octets_; }

  private:
    Bytes octets_;
};

/// An RSA private key in memory. Its numbers are wiped when it goes.
class PrivateKey {
  public:
    /// From PKCS#8 PrivateKeyInfo, PKCS#1 RSAPrivateKey or another DER that OpenSSL knows. Throws
    /// Errc::MalformedKey; Errc::UnsupportedKey unless it is RSA. NAME stands in errors.
    static PrivateKey decode(ByteView der, const std::string& name);

    /// RSAPublicKey DER, as in the certificate.
    Bytes public_key() const;
    /// RSASSA-PKCS1-v1_5. Throws when OpenSSL refuses, as where a policy forbids the digest.
    Bytes sign(Digest digest, ByteView message) const;

  private:
    struct Free {
        void operator()(evp_pkey_st* key) const noexcept;
    };
    explicit PrivateKey(evp_pkey_st* key) : key_(key) {}
    std::unique_ptr<evp_pkey_st, Free> key_;
};

/// A file with a private key, and perhaps certificates: PEM with PKCS#8 or PKCS#1, either encrypted or not,
/// or PKCS#12 of any age.
class KeyFile {
  public:
    /// What can be read without a passphrase; a PKCS#12 file with an empty one is opened. Throws Errc::NoKey,
    /// MalformedKey, UnsupportedKey, MalformedCertificate.
    static KeyFile decode(ByteView content, const std::string& name);

    /// True until the passphrase was given: key() is empty.
    bool locked() const noexcept { return !key_; }
    /// True when certificates may appear by unlocking (PKCS#12).
    bool hides_certificates() const noexcept { return locked() && kind_ == Kind::Pkcs12; }
    /// Throws Errc::WrongPassphrase; Errc::MalformedKey when the encryption is not one that OpenSSL has.
    void unlock(std::string_view passphrase);

    /// In the file's order; of PKCS#12 those that name their key come first.
    const std::vector<Certificate>& certificates() const noexcept { return certificates_; }
    std::optional<PrivateKey>& key() noexcept { return key_; }

  private:
    enum class Kind { Pkcs8, Traditional, Pkcs12 };
    KeyFile() = default;
    static KeyFile decode_pem(ByteView content, const std::string& name);
    static KeyFile decode_pkcs12(ByteView content, const std::string& name);

    Kind kind_ = Kind::Pkcs8;
    std::string name_;
    Bytes locked_;        ///< encrypted: EncryptedPrivateKeyInfo, the body of a traditional block, or PFX
    std::string header_;  ///< of a traditional block: cipher and initialisation vector
    std::vector<Certificate> certificates_;
    std::optional<PrivateKey> key_;
};

}  // namespace ctlsign::sast
