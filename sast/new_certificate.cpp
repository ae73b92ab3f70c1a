#include <openssl/bn.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <pkcs11/bytes.hpp>
#include <pkcs11/free_with.hpp>
#include <pkcs11/openssl_error.hpp>
#include <sast/error.hpp>
#include <sast/new_certificate.hpp>

namespace ctlsign::sast {

namespace {

using NumberPtr = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>>;

constexpr const char* kWhat = "a new certificate";

void accept_fields(bool accepted) {
    if (accepted) return;
    const std::string reason = take_openssl_reason();
    throw Error(Errc::MalformedCertificate, "making a certificate", "",
                reason.empty() ? "OpenSSL refuses its fields" : reason);
}

void set_serial(X509* certificate, std::size_t octets) {
    Bytes serial(octets);
    if (RAND_bytes(serial.data(), static_cast<int>(serial.size())) != 1) fail_openssl("RAND_bytes", kWhat);
    // Positive, and not shorter.
    serial.at(0) = static_cast<std::uint8_t>((serial.at(0) & 0x3FU) | 0x40U);
    const NumberPtr number(BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
    if (!number || BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr)
        fail_openssl("BN_to_ASN1_INTEGER", kWhat);
}

}  // namespace

void FreeX509::operator()(x509_st* certificate) const noexcept {
    X509_free(certificate);
}

NewCertificatePtr make_unsigned_certificate(const NewCertificateFields& fields) {
    NewCertificatePtr certificate(X509_new());
    if (!certificate) fail_openssl("X509_new", kWhat);
    set_serial(certificate.get(), fields.serial_octets);
    accept_fields(X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
                  X509_set_subject_name(certificate.get(), fields.subject) == 1 &&
                  X509_set_issuer_name(certificate.get(), fields.issuer) == 1 &&
                  X509_set_pubkey(certificate.get(), fields.key) == 1 &&
                  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), fields.not_before) != nullptr &&
                  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), fields.not_after) != nullptr);
    for (const auto& [nid, value] : fields.extensions) {
        const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, nullptr, nid, value));
        accept_fields(extension && X509_add_ext(certificate.get(), extension.get(), -1) == 1);
    }
    return certificate;
}

}  // namespace ctlsign::sast
