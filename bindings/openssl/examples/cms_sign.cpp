// usage: cms_sign TOKEN PIN_SOURCE < FILE > FILE.p7s
// A CMS signature (RFC 5652, DER, detached) by the key of a token, which a PKCS#11 URI names.
#include <openssl/cms.h>
#include <openssl/x509.h>

#include <cstdio>
#include <memory>

#include <bindings/openssl/examples/open.hpp>
#include <bindings/openssl/token_key.hpp>
#include <pkcs11/free_with.hpp>

int main(int argc, char** argv) try {
    using namespace ctlsign;
    if (argc != 3) throw std::runtime_error("usage: cms_sign TOKEN PIN_SOURCE < FILE > FILE.p7s");
    const auto identity = examples::find_identity(argv[1]);
    const openssl::TokenKey key(examples::log_in(identity, argv[2]), identity.key_id);
    const pkcs11::NativeCalls calls(*key.token().module());

    const unsigned char* der = identity.certificate.der().data();
    const auto size = static_cast<long>(identity.certificate.der().size());
    const std::unique_ptr<X509, FreeWith<X509_free>> certificate(d2i_X509(nullptr, &der, size));
    const std::unique_ptr<BIO, FreeWith<BIO_free>> in(BIO_new_fp(stdin, BIO_NOCLOSE));
    const std::unique_ptr<BIO, FreeWith<BIO_free>> out(BIO_new_fp(stdout, BIO_NOCLOSE));
    const std::unique_ptr<CMS_ContentInfo, FreeWith<CMS_ContentInfo_free>> signature(
        CMS_sign(certificate.get(), key.get(), nullptr, in.get(), CMS_BINARY | CMS_DETACHED));
    if (!signature || i2d_CMS_bio(out.get(), signature.get()) != 1)
        throw std::runtime_error("OpenSSL made no signature");
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "cms_sign: %s\n", e.what());
    return 1;
}
