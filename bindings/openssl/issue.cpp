#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include <memory>

#include <bindings/openssl/issue.hpp>
#include <pkcs11/free_with.hpp>
#include <pkcs11/openssl_digest.hpp>
#include <pkcs11/openssl_error.hpp>
#include <sast/clear_key.hpp>
#include <sast/error.hpp>
#include <sast/new_certificate.hpp>
#include <sast/subject.hpp>

namespace ctlsign::openssl {

namespace {

using NamePtr = std::unique_ptr<X509_NAME, FreeWith<X509_NAME_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, FreeWith<X509_REQ_free>>;

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

sast::NewCertificatePtr make_template(const X509_NAME* subject, const X509_NAME* issuer, EVP_PKEY* key,
                                      const CertificateTerms& terms) {
    static constexpr sast::NewCertificateFields::Extension kExtensions[] = {
        {NID_basic_constraints, "critical,CA:FALSE"},
        {NID_key_usage, "critical,digitalSignature,nonRepudiation"},
    };
    return sast::make_unsigned_certificate({.subject = subject,
                                            .issuer = issuer,
                                            .key = key,
                                            .not_before = terms.not_before,
                                            .not_after = terms.not_after,
                                            .serial_octets = 10,  // as those that tokens come with
                                            .extensions = kExtensions});
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
    const sast::NewCertificatePtr certificate = make_template(name.get(), name.get(), key.get(), terms);
    return within_calls(key, [&] { return finish(certificate.get(), key.get(), terms.digest); });
}

struct Issuer::Impl {
    std::shared_ptr<EVP_PKEY> key;
    sast::NewCertificatePtr certificate;
};

Issuer::Issuer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Issuer::Issuer(Issuer&&) noexcept = default;
Issuer& Issuer::operator=(Issuer&&) noexcept = default;
Issuer::~Issuer() = default;

Issuer Issuer::decode_pem(std::string_view pem) {
    auto impl = std::make_unique<Impl>();
    impl->key = sast::decode_clear_key(pem);
    require(impl->key != nullptr, "reading the issuer", sast::Errc::MalformedKey,
            "a PEM with its private key, not encrypted, is needed");
    const auto certificates = sast::Certificate::decode_pem(pem);
    require(!certificates.empty(), "reading the issuer", sast::Errc::MalformedCertificate,
            "its certificate is not in the PEM");
    const ByteView der = certificates.front().der();
    const unsigned char* at = der.data();
    impl->certificate.reset(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    require(impl->certificate != nullptr, "reading the issuer", sast::Errc::MalformedCertificate, "");
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
    const sast::NewCertificatePtr certificate =
        make_template(X509_REQ_get_subject_name(request.get()),
                      X509_get_subject_name(impl_->certificate.get()), subject_key.get(), terms);
    return finish(certificate.get(), impl_->key.get(), terms.digest);
}

}  // namespace ctlsign::openssl
