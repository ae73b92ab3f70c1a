#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include <cstdint>
#include <ctime>
#include <memory>

#include <pkcs11/free_with.hpp>
#include <pkcs11/openssl_error.hpp>
#include <sast/new_certificate.hpp>
#include <sast/subject.hpp>
#include <softhsm-profiles/self_signed.hpp>

namespace ctlsign::softhsm {

namespace {

using NamePtr = std::unique_ptr<X509_NAME, FreeWith<X509_NAME_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;

constexpr long kSecondsOfTwentyYears = 20L * 365 * 24 * 3600;

void check(bool done, const char* failed) {
    if (!done) fail_openssl(failed, "a self-signed certificate");
}

// One DER element: head and content.
Bytes element(int tag, bool constructed, ByteView content) {
    const int size = static_cast<int>(content.size());
    Bytes out(static_cast<std::size_t>(ASN1_object_size(constructed, size, tag)));
    unsigned char* at = out.data();
    ASN1_put_object(&at, constructed, size, tag, V_ASN1_UNIVERSAL);
    std::copy(content.begin(), content.end(), at);
    return out;
}

Bytes join(std::initializer_list<ByteView> parts) {
    Bytes out;
    for (const ByteView part : parts) out.insert(out.end(), part.begin(), part.end());
    return out;
}

Bytes integer(ByteView number) {
    while (number.size() > 1 && number.front() == 0) number = number.subspan(1);
    // DER numbers are signed: a leading one-bit would make this one negative.
    static constexpr std::uint8_t kZero[] = {0};
    const bool negative = !number.empty() && (number.front() & 0x80U) != 0;
    return element(V_ASN1_INTEGER, false, join({negative ? ByteView(kZero) : ByteView(), number}));
}

}  // namespace

Bytes encode_rsa_public_key(ByteView modulus, ByteView exponent) {
    return element(V_ASN1_SEQUENCE, true, join({integer(modulus), integer(exponent)}));
}

sast::Certificate make_self_signed(const std::string& subject, ByteView rsa_public_key,
                                   const std::function<Bytes(ByteView)>& sign) {
    const unsigned char* at = rsa_public_key.data();
    const KeyPtr key(d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, static_cast<long>(rsa_public_key.size())));
    const Bytes name_der = sast::encode_subject(subject);
    at = name_der.data();
    const NamePtr name(d2i_X509_NAME(nullptr, &at, static_cast<long>(name_der.size())));
    check(key && name, "making");
    const std::int64_t now = std::time(nullptr);
    const sast::NewCertificatePtr certificate =
        sast::make_unsigned_certificate({.subject = name.get(),
                                         .issuer = name.get(),
                                         .key = key.get(),
                                         .not_before = now,
                                         .not_after = now + kSecondsOfTwentyYears});

    // OpenSSL signs with keys that it holds; this one is on a token. So the algorithm is written into the
    // part to be signed, and the certificate (RFC 5280, 4.1) is put together from that part, the algorithm
    // and the signature.
    auto* algorithm = const_cast<X509_ALGOR*>(X509_get0_tbs_sigalg(certificate.get()));
    check(X509_ALGOR_set0(algorithm, OBJ_nid2obj(NID_sha256WithRSAEncryption), V_ASN1_NULL, nullptr) == 1,
          "making");
    const auto to_der = [](int size, unsigned char* der) {
        check(size > 0, "encoding");
        Bytes out(der, der + size);
        OPENSSL_free(der);
        return out;
    };
    unsigned char* der = nullptr;
    int size = i2d_re_X509_tbs(certificate.get(), &der);
    const Bytes to_be_signed = to_der(size, der);
    der = nullptr;
    size = i2d_X509_ALGOR(algorithm, &der);
    const Bytes algorithm_der = to_der(size, der);
    static constexpr std::uint8_t kNoUnusedBits[] = {0};
    const Bytes signature = element(V_ASN1_BIT_STRING, false, join({kNoUnusedBits, sign(to_be_signed)}));
    return sast::Certificate::decode(
        element(V_ASN1_SEQUENCE, true, join({to_be_signed, algorithm_der, signature})));
}

}  // namespace ctlsign::softhsm
