#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pkcs11/bytes.hpp>

namespace ctlsign::sast {

/// What kind of public key a certificate holds; Other is one that nothing here reads.
enum class KeyKind { Rsa, Ec, Other };

/// Views of the parts of an X.509 certificate that a trust list stores. Decoding walks the outer structure
/// (RFC 5280, 4.1) and copies nothing: it is cheap enough for every record of a file. Lives as long as the
/// DER.
class CertificateView {
  public:
    /// Throws sast::Errc::MalformedCertificate on anything but exactly one certificate.
    static CertificateView decode(ByteView der);

    /// Whole, as it was given. Like all views here it lives as long as the DER.
    ByteView der() const noexcept { return der_; }
    ByteView serial() const noexcept { return serial_; }          ///< content octets, big-endian, as encoded
    ByteView issuer_der() const noexcept { return issuer_; }      ///< Name, with its head
    ByteView subject_der() const noexcept { return subject_; }    ///< Name, with its head
    ByteView public_key() const noexcept { return public_key_; }  ///< RSAPublicKey DER, or the EC point
    ByteView spki_der() const noexcept { return spki_; }          ///< SubjectPublicKeyInfo, with its head
    ByteView signature() const noexcept { return signature_; }    ///< the certificate's own signature value
    KeyKind key_kind() const noexcept { return key_kind_; }
    unsigned key_bits() const noexcept {
        return key_bits_;
    }  ///< of an RSA modulus or an EC field; 0 when unknown
    std::int64_t not_before() const noexcept { return not_before_; }  ///< Unix seconds
    std::int64_t not_after() const noexcept { return not_after_; }    ///< Unix seconds

    /// "CN=...,O=..." as RFC 2253 writes it, for people; the styles of trust lists are in
    /// ctlsign/trustlist/names.hpp.
    std::string subject_text() const;
    /// The same of the issuer.
    std::string issuer_text() const;
    /// The subject's first common name, empty when it has none.
    std::string common_name() const;
    /// The certificate as PEM (RFC 7468), with the line end behind it.
    std::string to_pem() const;

  private:
    ByteView der_, serial_, issuer_, subject_, public_key_, spki_, signature_;
    KeyKind key_kind_ = KeyKind::Other;
    unsigned key_bits_ = 0;
    std::int64_t not_before_ = 0, not_after_ = 0;
};

/// One X.509 certificate that owns its DER. Copies share it.
class Certificate : public CertificateView {
  public:
    /// None: its DER is empty, and so is every part.
    Certificate() = default;
    /// Copies DER. Throws sast::Errc::MalformedCertificate on anything but exactly one certificate.
    static Certificate decode(ByteView der);
    /// Every certificate of a PEM text, in order; keys and other blocks are passed over. None found: an empty
    /// list.
    static std::vector<Certificate> decode_pem(std::string_view pem);
    /// Every certificate of PEM, or the one of DER. None found: an empty list.
    static std::vector<Certificate> decode_all(ByteView content);

    /// Whether both are the same DER.
    friend bool operator==(const Certificate& a, const Certificate& b) noexcept {
        return equal(a.der(), b.der());
    }

  private:
    Certificate(std::shared_ptr<const Bytes> owner, const CertificateView& view)
        : CertificateView(view), owner_(std::move(owner)) {}
    std::shared_ptr<const Bytes> owner_;
};

}  // namespace ctlsign::sast
