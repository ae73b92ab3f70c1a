#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>

#include <bindings/openssl/issue.hpp>
#include <pkcs11/free_with.hpp>
#include <pkcs11/openssl_digest.hpp>
#include <pkcs11/openssl_error.hpp>
#include <sast/error.hpp>
#include <sast/subject.hpp>

namespace ctlsign::openssl {

namespace {

using NamePtr = std::unique_ptr<X509_NAME, FreeWith<X509_NAME_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, FreeWith<X509_REQ_free>>;
using CertificatePtr = std::unique_ptr<X509, FreeWith<X509_free>>;
using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>>;

void require(bool done, std::string_view failed, sast::Errc code, std::string_view advice) {
    if (done) return;
    const std::string reason = take_openssl_reason();
    const char* between = advice.empty() || reason.empty() ? "" : ": ";
    throw Error(code, failed, "", std::string(advice) + between + reason);
}

NamePtr to_native(const std::string& subject) {
    const Bytes der = sast::encode_subject(subject);
    const unsigned char* at = der.data();
    NamePtr name(d2i_X509_NAME(nullptr, &at, static_cast<long>(der.size())));
    require(name != nullptr, "reading the subject", sast::Errc::MalformedCertificate,
            "write it as CN=...,O=...");
    return name;
}

// WORK, in which the token's key signs. Throws pkcs11::Errc::ModuleEnded when that ended its module.
template <typename Work>
auto within_calls(const TokenKey& key, Work work) {
    const pkcs11::Module& module = *key.token().module();
    const pkcs11::NativeCalls calls(module);
    ERR_clear_error();  // reasons are those of WORK
    try {
        return work();
    } catch (const Error&) {
        (void)module.info();
        throw;
    }
}

sast::Certificate finish(X509* certificate, EVP_PKEY* key, Digest digest) {
    require(X509_sign(certificate, key, openssl_digest(digest)) > 0, "signing a certificate",
            sast::Errc::NoKey, "the issuer's key did not sign");
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate, &der);
    require(size > 0, "writing a certificate", sast::Errc::MalformedCertificate, "");
    const Bytes bytes(der, der + size);
    OPENSSL_free(der);
    return sast::Certificate::decode(bytes);
}

CertificatePtr make_template(X509_NAME* subject, X509_NAME* issuer, EVP_PKEY* key,
                             const CertificateTerms& terms) {
    std::array<unsigned char, 10> serial{};
    CertificatePtr certificate(X509_new());
    bool done = certificate && RAND_bytes(serial.data(), static_cast<int>(serial.size())) == 1;
    serial[0] = static_cast<unsigned char>((serial[0] & 0x3FU) | 0x20U);  // positive, and always ten octets
    const NumberPtr number(BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
    done = done && number &&
           BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) != nullptr &&
           X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
           X509_set_subject_name(certificate.get(), subject) == 1 &&
           X509_set_issuer_name(certificate.get(), issuer) == 1 &&
           X509_set_pubkey(certificate.get(), key) == 1 &&
           ASN1_TIME_set(X509_getm_notBefore(certificate.get()), terms.not_before) != nullptr &&
           ASN1_TIME_set(X509_getm_notAfter(certificate.get()), terms.not_after) != nullptr;
    for (const auto& [nid, value] : {std::pair{NID_basic_constraints, "critical,CA:FALSE"},
                                     std::pair{NID_key_usage, "critical,digitalSignature,nonRepudiation"}}) {
        const ExtensionPtr extension(done ? X509V3_EXT_conf_nid(nullptr, nullptr, nid, value) : nullptr);
        done = extension && X509_add_ext(certificate.get(), extension.get(), -1) == 1;
    }
    require(done, "making a certificate", sast::Errc::MalformedCertificate, "OpenSSL refuses its fields");
    return certificate;
}

BioPtr open_text(std::string_view text) {
    BioPtr in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    if (!in) throw std::bad_alloc();
    return in;
}

}  // namespace

Bytes make_certificate_request(const TokenKey& key, const std::string& subject, Digest digest) {
    const NamePtr name = to_native(subject);
    const RequestPtr request(X509_REQ_new());
    within_calls(key, [&] {
        require(request && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
                    X509_REQ_set_subject_name(request.get(), name.get()) == 1 &&
                    X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
                    X509_REQ_sign(request.get(), key.get(), openssl_digest(digest)) > 0,
                "making a certificate request", sast::Errc::NoKey, "the token's key did not sign");
    });
    unsigned char* der = nullptr;
    const int size = i2d_X509_REQ(request.get(), &der);
    require(size > 0, "writing a certificate request", sast::Errc::NoKey, "");
    Bytes bytes(der, der + size);
    OPENSSL_free(der);
    return bytes;
}

sast::Certificate issue_self_signed(const TokenKey& key, const CertificateTerms& terms) {
    const NamePtr name = to_native(terms.subject);
    const CertificatePtr certificate = make_template(name.get(), name.get(), key.get(), terms);
    return within_calls(key, [&] { return finish(certificate.get(), key.get(), terms.digest); });
}

struct Issuer::Impl {
    KeyPtr key;
    CertificatePtr certificate;
};

Issuer::Issuer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Issuer::Issuer(Issuer&&) noexcept = default;
Issuer& Issuer::operator=(Issuer&&) noexcept = default;
Issuer::~Issuer() = default;

Issuer Issuer::decode_pem(std::string_view pem) {
    // No passphrase is asked for here: an encrypted key gives no answer instead of a prompt.
    const auto no_passphrase = [](char*, int, int, void*) { return -1; };
    auto impl = std::make_unique<Impl>();
    impl->key.reset(PEM_read_bio_PrivateKey(open_text(pem).get(), nullptr, no_passphrase, nullptr));
    require(impl->key != nullptr, "reading the issuer", sast::Errc::MalformedKey,
            "a PEM with its private key, not encrypted, is needed");
    impl->certificate.reset(PEM_read_bio_X509(open_text(pem).get(), nullptr, no_passphrase, nullptr));
    require(impl->certificate != nullptr, "reading the issuer", sast::Errc::MalformedCertificate,
            "its certificate is not in the PEM");
    require(X509_check_private_key(impl->certificate.get(), impl->key.get()) == 1, "reading the issuer",
            sast::Errc::KeyMismatch, "");
    return Issuer(std::move(impl));
}

sast::Certificate Issuer::issue(ByteView request_der, const CertificateTerms& terms) const {
    const unsigned char* at = request_der.data();
    const RequestPtr request(d2i_X509_REQ(nullptr, &at, static_cast<long>(request_der.size())));
    const KeyPtr subject_key(request ? X509_REQ_get_pubkey(request.get()) : nullptr);
    require(subject_key && X509_REQ_verify(request.get(), subject_key.get()) == 1,
            "reading a certificate request", sast::Errc::MalformedKey, "it is not signed by its own key");
    const CertificatePtr certificate =
        make_template(X509_REQ_get_subject_name(request.get()),
                      X509_get_subject_name(impl_->certificate.get()), subject_key.get(), terms);
    return finish(certificate.get(), impl_->key.get(), terms.digest);
}

}  // namespace ctlsign::openssl
