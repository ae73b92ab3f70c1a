#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <pkcs11/bytes.hpp>

namespace ctlsign::sast {

enum class KeyKind { Rsa, Ec, Other };

/// One X.509 certificate: its DER, and views of the parts that a trust list stores. Decoding walks the outer
/// structure (RFC 5280, 4.1) without building a tree: it is cheap enough for every record of a file.
class Certificate {
  public:
    /// Copies DER. Throws sast::Errc::MalformedCertificate on anything but exactly one certificate.
    static Certificate decode(ByteView der);
    /// Every certificate of a PEM text, in order; keys and other blocks are passed over. None found: an empty
    /// list.
    static std::vector<Certificate> decode_pem(std::string_view pem);

    ByteView der() const noexcept { return der_; }
    ByteView serial() const noexcept { return at(serial_); }      ///< content octets, big-endian, as encoded
    ByteView issuer_der() const noexcept { return at(issuer_); }  ///< Name, with its head
    ByteView subject_der() const noexcept { return at(subject_); }    ///< Name, with its head
    ByteView public_key() const noexcept { return at(public_key_); }  ///< RSAPublicKey DER, or the EC point
    ByteView spki_der() const noexcept { return at(spki_); }          ///< SubjectPublicKeyInfo, with its head
    ByteView signature() const noexcept { return at(signature_); }  ///< the certificate's own signature value
    KeyKind key_kind() const noexcept { return key_kind_; }
    unsigned key_bits() const noexcept {
        return key_bits_;
    }  ///< of an RSA modulus or an EC field; 0 when unknown
    std::int64_t not_before() const noexcept { return not_before_; }  ///< Unix seconds
    std::int64_t not_after() const noexcept { return not_after_; }    ///< Unix seconds

    /// "CN=...,O=..." as RFC 2253 writes it, for people; the styles of trust lists are in
    /// ctlsign/trustlist/names.hpp.
    std::string subject_text() const;
    std::string issuer_text() const;
    /// The subject's first common name, empty when it has none.
    std::string common_name() const;
    std::string to_pem() const;

    friend bool operator==(const Certificate& a, const Certificate& b) noexcept { return a.der_ == b.der_; }

  private:
    struct Range {
        std::size_t begin = 0, size = 0;
    };
    ByteView at(Range range) const noexcept { return ByteView(der_).subspan(range.begin, range.size); }

    Bytes der_;
    Range serial_, issuer_, subject_, public_key_, spki_, signature_;
    KeyKind key_kind_ = KeyKind::Other;
    unsigned key_bits_ = 0;
    std::int64_t not_before_ = 0, not_after_ = 0;
};

}  // namespace ctlsign::sast
