#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include <pkcs11/bytes.hpp>
#include <pkcs11/error.hpp>
#include <sast/certificate.hpp>
#include <sast/limits.hpp>
#include <sast/pin_source.hpp>
#include <sast/public_key.hpp>
#include <sast/signer.hpp>

namespace ctlsign::sast {

class KeyFile;
class PrivateKey;

/// The publisher's CallManager key in a file: PEM (PKCS#8 or PKCS#1, encrypted or not) or PKCS#12, old ones
/// included. The passphrase is asked for at most once: by the first signature, or when opened if the only
/// certificate is inside the encrypted part of a PKCS#12 file.
class PublisherSigner final : public Signer {
  public:
    static constexpr std::size_t kMaxFileSize = limits::kKeyFile;

    /// From a file's octets; NAME stands for it in errors. CERTIFICATES take the place of those in CONTENT;
    /// of several the one that fits the key is used, and the first while the key is encrypted. PASSPHRASES is
    /// borrowed and must outlive the signer. Throws Errc::NoKey, NoCertificate, KeyMismatch, UnsupportedKey,
    /// MalformedKey, WrongPassphrase.
    static std::unique_ptr<PublisherSigner> decode(ByteView content, const std::string& name,
                                                   std::span<const Certificate> certificates,
                                                   PinSource& passphrases);
    /// From the file at PATH. Unless CERTIFICATE is given or the file holds one, it is looked for beside it:
    /// the same name with .pem, .crt, .cer or .der. Also throws the system's code for a file that cannot be
    /// read.
    static std::unique_ptr<PublisherSigner> open(const std::string& path,
                                                 const std::optional<Certificate>& certificate,
                                                 PinSource& passphrases);
    ~PublisherSigner() override;

    /// Borrowed; known without the passphrase.
    const Facts& facts() const noexcept override { return facts_; }
    /// Asks for the passphrase when the key is still encrypted. Called by the first sign(); a refusal is
    /// final.
    void unlock();
    /// See Signer::sign. Throws what unlock() throws, each time again.
    Bytes sign(Digest digest, ByteView message) override;

  private:
    PublisherSigner(KeyFile file, Certificate certificate, std::string name, PinSource& passphrases);

    Facts facts_;
    PublicKey public_key_;
    std::unique_ptr<KeyFile> file_;
    PinSource& passphrases_;
    std::optional<Error> refusal_;
};

}  // namespace ctlsign::sast
