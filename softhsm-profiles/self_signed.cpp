#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include <array>
#include <memory>

#include <pkcs11/free_with.hpp>
#include <pkcs11/openssl_error.hpp>
#include <sast/subject.hpp>
#include <softhsm-profiles/self_signed.hpp>

namespace ctlsign::softhsm {

namespace {

using X509Ptr = std::unique_ptr<X509, FreeWith<X509_free>>;
using NamePtr = std::unique_ptr<X509_NAME, FreeWith<X509_NAME_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using BignumPtr = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;

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

void set_names(X509* certificate, const std::string& subject) {
    const Bytes der = sast::encode_subject(subject);
    const unsigned char* at = der.data();
    const NamePtr name(d2i_X509_NAME(nullptr, &at, static_cast<long>(der.size())));
    check(name && X509_set_subject_name(certificate, name.get()) == 1 &&
              X509_set_issuer_name(certificate, name.get()) == 1,
          "naming");
}

void set_serial(X509* certificate) {
    std::array<std::uint8_t, 16> random{};
    check(RAND_bytes(random.data(), static_cast<int>(random.size())) == 1, "drawing the serial number of");
    random[0] = static_cast<std::uint8_t>((random[0] & 0x3FU) | 0x40U);  // positive, always sixteen octets
    const BignumPtr number(BN_bin2bn(random.data(), static_cast<int>(random.size()), nullptr));
    check(number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr,
          "writing the serial number of");
}

}  // namespace

Bytes encode_rsa_public_key(ByteView modulus, ByteView exponent) {
    return element(V_ASN1_SEQUENCE, true, join({integer(modulus), integer(exponent)}));
}

sast::Certificate make_self_signed(const std::string& subject, ByteView rsa_public_key,
                                   const std::function<Bytes(ByteView)>& sign) {
    const unsigned char* at = rsa_public_key.data();
    const KeyPtr key(d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, static_cast<long>(rsa_public_key.size())));
    const X509Ptr certificate(X509_new());
    check(key && certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
              X509_set_pubkey(certificate.get(), key.get()) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0) != nullptr &&
              X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kSecondsOfTwentyYears) != nullptr,
          "making");
    set_names(certificate.get(), subject);
    set_serial(certificate.get());

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
