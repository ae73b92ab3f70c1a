#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <bit>
#include <chrono>
#include <limits>
#include <memory>

#include <pkcs11/free_with.hpp>
#include <sast/certificate.hpp>
#include <sast/error.hpp>

namespace ctlsign::sast {

namespace {

[[noreturn]] void malformed(std::size_t position, std::string_view expected) {
    ERR_clear_error();
    throw Error(Errc::MalformedCertificate, "reading", "a certificate",
                "octet " + std::to_string(position) + ": expected " + std::string(expected));
}

constexpr std::uint8_t kInteger = 0x02, kBitString = 0x03, kObject = 0x06, kSequence = 0x30, kUtcTime = 0x17,
                       kGeneralizedTime = 0x18, kContext0 = 0xA0;

// One element of DER. Positions count from the beginning of the certificate.
struct Element {
    std::uint8_t tag = 0;
    std::size_t begin = 0;  // of its head
    ByteView whole, content;
};

// Walks the elements side by side in PART, which begins at POSITION. X.509 needs tags of one octet and
// lengths of up to four (X.690, 10.1: definite, minimal).
class Walker {
  public:
    Walker(ByteView part, std::size_t position) : part_(part), position_(position) {}
    explicit Walker(const Element& container)
        : Walker(container.content, container.begin + (container.whole.size() - container.content.size())) {}

    bool done() const { return part_.empty(); }
    bool at(std::uint8_t tag) const { return !done() && part_[0] == tag; }
    std::size_t position() const { return position_; }

    Element next(std::string_view what) {
        constexpr std::uint8_t kLongTag = 0x1F, kLongLength = 0x80;
        if (part_.size() < 2 || (part_[0] & kLongTag) == kLongTag) malformed(position_, what);
        std::size_t head = 2;
        std::size_t length = part_[1];
        if (length >= kLongLength) {
            const std::size_t octets = length - kLongLength;
            if (octets == 0 || octets > 4 || part_.size() < head + octets || part_[2] == 0)
                malformed(position_, what);
            length = 0;
            for (; head < 2 + octets; ++head) length = length << 8U | part_[head];
            if (length < kLongLength) malformed(position_, what);
        }
        if (length > part_.size() - head) malformed(position_, what);
        const Element element{part_[0], position_, part_.first(head + length), part_.subspan(head, length)};
        part_ = part_.subspan(head + length);
        position_ += head + length;
        return element;
    }

    Element expect(std::uint8_t tag, std::string_view what) {
        if (!at(tag)) malformed(position_, what);
        return next(what);
    }

  private:
    ByteView part_;
    std::size_t position_;
};

std::int64_t read_time(const Element& element) {
    const bool utc = element.tag == kUtcTime;
    if (!utc && element.tag != kGeneralizedTime) malformed(element.begin, "a time");
    // RFC 5280, 4.1.2.5: YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ, nothing else.
    const ByteView text = element.content;
    const std::size_t year_digits = utc ? 2 : 4;
    if (text.size() != year_digits + 11 || text.back() != 'Z') malformed(element.begin, "a time in UTC");
    const auto two_digits = [&](std::size_t at) {
        const unsigned tens = text[at] - unsigned{'0'}, ones = text[at + 1] - unsigned{'0'};
        if (tens > 9 || ones > 9) malformed(element.begin, "a digit");
        return static_cast<int>(tens * 10 + ones);
    };
    const std::size_t at = year_digits - 2;
    const int century = utc ? (two_digits(at) < 50 ? 20 : 19) : two_digits(0);
    const std::chrono::year_month_day date{std::chrono::year(century * 100 + two_digits(at)),
                                           std::chrono::month(static_cast<unsigned>(two_digits(at + 2))),
                                           std::chrono::day(static_cast<unsigned>(two_digits(at + 4)))};
    if (!date.ok()) malformed(element.begin, "a date");
    const std::chrono::sys_seconds moment =
        std::chrono::sys_days(date) + std::chrono::hours(two_digits(at + 6)) +
        std::chrono::minutes(two_digits(at + 8)) + std::chrono::seconds(two_digits(at + 10));
    return moment.time_since_epoch().count();
}

// Bits of an unsigned big-endian number.
unsigned bit_count(ByteView number) {
    while (!number.empty() && number.front() == 0) number = number.subspan(1);
    if (number.empty()) return 0;
    return static_cast<unsigned>(number.size() - 1) * 8 +
           static_cast<unsigned>(std::bit_width(number.front()));
}

// The octets of a BIT STRING without unused bits.
ByteView bits_of(const Element& element) {
    if (element.content.empty() || element.content[0] != 0) malformed(element.begin, "whole octets");
    return element.content.subspan(1);
}

using NamePtr = std::unique_ptr<X509_NAME, FreeWith<X509_NAME_free>>;

NamePtr decode_name(ByteView der) {
    const unsigned char* at = der.data();
    NamePtr name(d2i_X509_NAME(nullptr, &at, static_cast<long>(der.size())));
    if (!name) malformed(0, "a name");
    return name;
}

std::string name_text(ByteView der) {
    const NamePtr name = decode_name(der);
    const std::unique_ptr<BIO, FreeWith<BIO_free>> out(BIO_new(BIO_s_mem()));
    if (!out || X509_NAME_print_ex(out.get(), name.get(), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0) {
        malformed(0, "a name that can be printed");
    }
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

}  // namespace

CertificateView CertificateView::decode(ByteView der) {
    CertificateView view;
    view.der_ = der;
    Walker outer(der, 0);
    const Element whole = outer.expect(kSequence, "Certificate");
    if (!outer.done()) malformed(outer.position(), "the end");
    Walker parts(whole);
    const Element tbs = parts.expect(kSequence, "TBSCertificate");
    parts.expect(kSequence, "signatureAlgorithm");
    view.signature_ = bits_of(parts.expect(kBitString, "signatureValue"));
    if (!parts.done()) malformed(parts.position(), "the end of Certificate");

    Walker fields(tbs);
    if (fields.at(kContext0)) fields.next("version");
    const Element serial = fields.expect(kInteger, "serialNumber");
    if (serial.content.empty()) malformed(serial.begin, "a serial number");
    view.serial_ = serial.content;
    fields.expect(kSequence, "signature");
    view.issuer_ = fields.expect(kSequence, "issuer").whole;
    Walker times(fields.expect(kSequence, "validity"));
    view.not_before_ = read_time(times.next("notBefore"));
    view.not_after_ = read_time(times.next("notAfter"));
    view.subject_ = fields.expect(kSequence, "subject").whole;
    const Element spki = fields.expect(kSequence, "subjectPublicKeyInfo");
    view.spki_ = spki.whole;

    Walker key_info(spki);
    Walker algorithm(key_info.expect(kSequence, "algorithm"));
    const ByteView oid = algorithm.expect(kObject, "an algorithm").content;
    const Element key = key_info.expect(kBitString, "subjectPublicKey");
    view.public_key_ = bits_of(key);
    constexpr std::uint8_t kRsaEncryption[] = {0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01};
    constexpr std::uint8_t kEcPublicKey[] = {0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01};
    if (equal(oid, kRsaEncryption)) {
        view.key_kind_ = KeyKind::Rsa;
        Walker rsa(view.public_key_, key.begin);
        Walker numbers(rsa.expect(kSequence, "RSAPublicKey"));
        view.key_bits_ = bit_count(numbers.expect(kInteger, "modulus").content);
    } else if (equal(oid, kEcPublicKey)) {
        view.key_kind_ = KeyKind::Ec;
        if (view.public_key_.empty()) malformed(key.begin, "a point");
        const std::size_t coordinate = (view.public_key_.size() - 1) / 2;
        view.key_bits_ = coordinate == 66 ? 521 : static_cast<unsigned>(coordinate * 8);
    }
    return view;
}

Certificate Certificate::decode(ByteView der) {
    auto owner = std::make_shared<const Bytes>(der.begin(), der.end());
    const CertificateView view = CertificateView::decode(*owner);
    return {std::move(owner), view};
}

std::vector<Certificate> Certificate::decode_pem(std::string_view pem) {
    if (pem.size() > std::numeric_limits<int>::max()) malformed(0, "PEM of sane size");
    std::vector<Certificate> certificates;
    const std::unique_ptr<BIO, FreeWith<BIO_free>> in(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    for (;;) {
        char* name = nullptr;
        char* header = nullptr;
        unsigned char* data = nullptr;
        long size = 0;
        if (!in || PEM_read_bio(in.get(), &name, &header, &data, &size) != 1) break;
        // Of what is none, perhaps a private key, no copy is made.
        Bytes certificate;
        if (std::string_view(name) == PEM_STRING_X509 || std::string_view(name) == PEM_STRING_X509_OLD)
            certificate.assign(data, data + size);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, static_cast<std::size_t>(size));
        if (!certificate.empty()) certificates.push_back(decode(certificate));
    }
    ERR_clear_error();
    return certificates;
}

std::vector<Certificate> Certificate::decode_all(ByteView content) {
    if (!content.empty() && content.front() == kSequence) return {decode(content)};
    return decode_pem(as_text(content));
}

std::string CertificateView::subject_text() const {
    return name_text(subject_der());
}
std::string CertificateView::issuer_text() const {
    return name_text(issuer_der());
}

std::string CertificateView::common_name() const {
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

std::string CertificateView::to_pem() const {
    const std::unique_ptr<BIO, FreeWith<BIO_free>> out(BIO_new(BIO_s_mem()));
    if (!out ||
        PEM_write_bio(out.get(), PEM_STRING_X509, "", der_.data(), static_cast<long>(der_.size())) <= 0) {
        throw std::bad_alloc();
    }
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

}  // namespace ctlsign::sast
