#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <bit>
#include <limits>
#include <memory>
#include <optional>

#include <sast/certificate.hpp>
#include <sast/error.hpp>

namespace ctlsign::sast {

namespace {

constexpr int kContext0 = 0, kContext3 = 3;

[[noreturn]] void malformed(std::size_t position, std::string_view expected) {
    ERR_clear_error();
    throw Error(Errc::MalformedCertificate, "reading", "a certificate",
                "octet " + std::to_string(position) + ": expected " + std::string(expected));
}

// Walks the elements of one DER value. Heads are read by OpenSSL.
class Walker {
  public:
    Walker(ByteView whole, std::size_t begin, std::size_t end) : whole_(whole), at_(begin), end_(end) {}

    struct Found {
        int tag = 0, tag_class = 0;
        std::size_t begin = 0;    // of the head
        std::size_t content = 0;  // behind the head
        std::size_t end = 0;
    };

    bool done() const { return at_ == end_; }

    Found next(std::string_view what) {
        const unsigned char* p = whole_.data() + at_;
        long length = 0;
        Found found;
        const int head =
            ASN1_get_object(&p, &length, &found.tag, &found.tag_class, static_cast<long>(end_ - at_));
        if ((head & 0x81) != 0) malformed(at_, what);  // an error, or indefinite length, which is not DER
        found.begin = at_;
        found.content = static_cast<std::size_t>(p - whole_.data());
        found.end = found.content + static_cast<std::size_t>(length);
        at_ = found.end;
        return found;
    }

    Found expect(int tag, std::string_view what) {
        const std::size_t before = at_;
        const Found found = next(what);
        if (found.tag != tag || found.tag_class != V_ASN1_UNIVERSAL) malformed(before, what);
        return found;
    }

    bool at_context(int number) const {
        // Context-specific, constructed: the explicit tags of TBSCertificate.
        return !done() && whole_[at_] == (0xA0U | static_cast<unsigned>(number));
    }

  private:
    ByteView whole_;
    std::size_t at_, end_;
};

std::int64_t read_time(ByteView der, const Walker::Found& found) {
    const bool utc = found.tag == V_ASN1_UTCTIME;
    if ((!utc && found.tag != V_ASN1_GENERALIZEDTIME) || found.tag_class != V_ASN1_UNIVERSAL) {
        malformed(found.begin, "a time");
    }
    // RFC 5280, 4.1.2.5: YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ, nothing else.
    const std::string_view text = as_text(der.subspan(found.content, found.end - found.content));
    const std::size_t year_digits = utc ? 2 : 4;
    if (text.size() != year_digits + 11 || text.back() != 'Z') malformed(found.begin, "a time in UTC");
    const auto number = [&](std::size_t at, std::size_t digits) {
        int value = 0;
        for (std::size_t i = at; i < at + digits; ++i) {
            if (text[i] < '0' || text[i] > '9') malformed(found.content + i, "a digit");
            value = value * 10 + (text[i] - '0');
        }
        return value;
    };
    int year = number(0, year_digits);
    if (utc) year += year < 50 ? 2000 : 1900;
    const int month = number(year_digits, 2), day = number(year_digits + 2, 2);
    if (month < 1 || month > 12 || day < 1 || day > 31) malformed(found.content, "a date");
    // Days since 1970-01-01 in the proleptic Gregorian calendar, with years that begin in March.
    const std::int64_t y = month <= 2 ? year - 1 : year;
    const std::int64_t m = month <= 2 ? month + 9 : month - 3;
    const std::int64_t days =
        365 * y + (y >= 0 ? y : y - 3) / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
    return days * 86400 + number(year_digits + 4, 2) * 3600 + number(year_digits + 6, 2) * 60 +
           number(year_digits + 8, 2);
}

// Bits of an unsigned big-endian number.
unsigned bit_count(ByteView number) {
    while (!number.empty() && number.front() == 0) number = number.subspan(1);
    if (number.empty()) return 0;
    return static_cast<unsigned>(number.size() - 1) * 8 +
           static_cast<unsigned>(std::bit_width(number.front()));
}

using NamePtr = std::unique_ptr<X509_NAME, decltype(&X509_NAME_free)>;

NamePtr decode_name(ByteView der) {
    const unsigned char* at = der.data();
    NamePtr name(d2i_X509_NAME(nullptr, &at, static_cast<long>(der.size())), &X509_NAME_free);
    if (!name) malformed(0, "a name");
    return name;
}

std::string name_text(ByteView der) {
    const NamePtr name = decode_name(der);
    const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), &BIO_free);
    if (!out || X509_NAME_print_ex(out.get(), name.get(), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0) {
        malformed(0, "a name that can be printed");
    }
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

}  // namespace

Certificate Certificate::decode(ByteView der) {
    if (der.size() > std::numeric_limits<int>::max()) malformed(0, "a certificate of sane size");
    Certificate certificate;
    certificate.der_.assign(der.begin(), der.end());
    const ByteView bytes = certificate.der_;

    Walker outer(bytes, 0, bytes.size());
    const auto whole = outer.expect(V_ASN1_SEQUENCE, "Certificate");
    if (!outer.done()) malformed(whole.end, "the end");
    Walker parts(bytes, whole.content, whole.end);
    const auto tbs = parts.expect(V_ASN1_SEQUENCE, "TBSCertificate");
    parts.expect(V_ASN1_SEQUENCE, "signatureAlgorithm");
    const auto signature = parts.expect(V_ASN1_BIT_STRING, "signatureValue");
    if (!parts.done()) malformed(signature.end, "the end of Certificate");

    const auto bit_string = [&](const Walker::Found& found) {
        if (found.content == found.end || bytes[found.content] != 0) malformed(found.content, "whole octets");
        return Range{found.content + 1, found.end - found.content - 1};
    };
    const auto with_head = [](const Walker::Found& found) {
        return Range{found.begin, found.end - found.begin};
    };

    Walker fields(bytes, tbs.content, tbs.end);
    if (fields.at_context(kContext0)) fields.next("version");
    const auto serial = fields.expect(V_ASN1_INTEGER, "serialNumber");
    fields.expect(V_ASN1_SEQUENCE, "signature");
    const auto issuer = fields.expect(V_ASN1_SEQUENCE, "issuer");
    const auto validity = fields.expect(V_ASN1_SEQUENCE, "validity");
    const auto subject = fields.expect(V_ASN1_SEQUENCE, "subject");
    const auto spki = fields.expect(V_ASN1_SEQUENCE, "subjectPublicKeyInfo");
    if (serial.content == serial.end) malformed(serial.begin, "a serial number");

    Walker times(bytes, validity.content, validity.end);
    certificate.not_before_ = read_time(bytes, times.next("notBefore"));
    certificate.not_after_ = read_time(bytes, times.next("notAfter"));

    Walker key_info(bytes, spki.content, spki.end);
    const auto algorithm = key_info.expect(V_ASN1_SEQUENCE, "algorithm");
    const auto key = key_info.expect(V_ASN1_BIT_STRING, "subjectPublicKey");

    certificate.serial_ = {serial.content, serial.end - serial.content};
    certificate.issuer_ = with_head(issuer);
    certificate.subject_ = with_head(subject);
    certificate.spki_ = with_head(spki);
    certificate.public_key_ = bit_string(key);
    certificate.signature_ = bit_string(signature);

    Walker oids(bytes, algorithm.content, algorithm.end);
    const auto oid = oids.expect(V_ASN1_OBJECT, "an algorithm");
    const ByteView oid_value = bytes.subspan(oid.content, oid.end - oid.content);
    constexpr std::uint8_t kRsaEncryption[] = {0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01};
    constexpr std::uint8_t kEcPublicKey[] = {0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01};
    if (equal(oid_value, kRsaEncryption)) {
        certificate.key_kind_ = KeyKind::Rsa;
        const Range range = certificate.public_key_;
        Walker rsa(bytes, range.begin, range.begin + range.size);
        const auto sequence = rsa.expect(V_ASN1_SEQUENCE, "RSAPublicKey");
        Walker numbers(bytes, sequence.content, sequence.end);
        const auto modulus = numbers.expect(V_ASN1_INTEGER, "modulus");
        certificate.key_bits_ = bit_count(bytes.subspan(modulus.content, modulus.end - modulus.content));
    } else if (equal(oid_value, kEcPublicKey)) {
        certificate.key_kind_ = KeyKind::Ec;
        const std::size_t coordinate = (certificate.public_key_.size - 1) / 2;
        certificate.key_bits_ = coordinate == 66 ? 521 : static_cast<unsigned>(coordinate * 8);
    }
    return certificate;
}

std::vector<Certificate> Certificate::decode_pem(std::string_view pem) {
    if (pem.size() > std::numeric_limits<int>::max()) malformed(0, "PEM of sane size");
    std::vector<Certificate> certificates;
    const std::unique_ptr<BIO, decltype(&BIO_free)> in(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
    for (;;) {
        char* name = nullptr;
        char* header = nullptr;
        unsigned char* data = nullptr;
        long size = 0;
        if (!in || PEM_read_bio(in.get(), &name, &header, &data, &size) != 1) break;
        const bool is_certificate =
            std::string_view(name) == PEM_STRING_X509 || std::string_view(name) == PEM_STRING_X509_OLD;
        const Bytes der(data, data + size);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, static_cast<std::size_t>(size));
        if (is_certificate) certificates.push_back(decode(der));
    }
    ERR_clear_error();
    return certificates;
}

std::string Certificate::subject_text() const {
    return name_text(subject_der());
}
std::string Certificate::issuer_text() const {
    return name_text(issuer_der());
}

std::string Certificate::common_name() const {
    const NamePtr name = decode_name(subject_der());
    const int at = X509_NAME_get_index_by_NID(name.get(), NID_commonName, -1);
    if (at < 0) return {};
    unsigned char* text = nullptr;
    const int size =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name.get(), at)));
    if (size < 0) return {};
    std::string value(as_text({text, static_cast<std::size_t>(size)}));
    OPENSSL_free(text);
    return value;
}

std::string Certificate::to_pem() const {
    const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), &BIO_free);
    if (!out ||
        PEM_write_bio(out.get(), PEM_STRING_X509, "", der_.data(), static_cast<long>(der_.size())) <= 0) {
        throw std::bad_alloc();
    }
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

}  // namespace ctlsign::sast
