#pragma once

#include <cstddef>
#include <string>

#include <pkcs11/bytes.hpp>
#include <pkcs11/digest.hpp>
#include <sast/certificate.hpp>

namespace ctlsign::sast {

/// How the signature is made. Trust lists know one scheme (their tag 10, value 0).
enum class Scheme { RsaPkcs1v15 };

/// Who may sign a trust list: a SAST token, or the publisher's CallManager key from a file or an HSM. One
/// contract for all. The facts are known without a PIN; the one verb spends at most one PIN attempt, at its
/// first call.
class Signer {
  public:
    struct Facts {
        Certificate certificate;
        Scheme scheme = Scheme::RsaPkcs1v15;
        unsigned key_bits = 0;
        std::size_t signature_length = 0;  ///< octets, exact
        std::string description;           ///< for people: token label and serial, or the file; no secret
    };

    virtual ~Signer() = default;
    Signer(const Signer&) = delete;
    Signer& operator=(const Signer&) = delete;

    /// The same for the life of the signer, from which they are borrowed.
    virtual const Facts& facts() const noexcept = 0;
    /// The signature of MESSAGE under DIGEST: exactly facts().signature_length octets, already verified with
    /// the certificate's key. Throws Error: pkcs11 codes from a token, sast::Errc from a file. Not for two
    /// threads at once.
    virtual Bytes sign(Digest digest, ByteView message) = 0;

  protected:
    Signer() = default;
};

/// The facts of a signer whose certificate this is. Throws Errc::UnsupportedKey unless it is RSA with 512,
/// 1024, 2048 or 4096 bits: for other sizes a trust list has no code.
Signer::Facts make_facts(Certificate certificate, std::string description);

}  // namespace ctlsign::sast
