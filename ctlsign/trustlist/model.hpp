#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/limits.hpp>
#include <pkcs11/bytes.hpp>
#include <pkcs11/digest.hpp>

namespace ctlsign {

inline constexpr std::size_t kMaxFileSize = limits::kFile;  ///< readers refuse more, as oversized
inline constexpr std::size_t kPhoneFileLimit = 64U << 10U;  ///< phones are known to fail above: a warning

/// What a record's certificate is for (tag 4). Other numbers exist and are kept.
enum class Role : std::uint16_t {
    Sast = 0,
    Ccm = 1,
    CcmTftp = 2,
    Tftp = 3,
    Capf = 4,
    AppServer = 7,
    Tvs = 21
};

/// As `show ctl` prints it: "System Administrator Security Token", "CCM+TFTP"; an unknown role's number.
std::string to_text(Role role);
/// As manifests write it: "SAST", "CCM+TFTP"; an unknown role's number.
std::string role_name(Role role);
/// Reads what role_name writes, numbers included. Nothing when it is neither a name nor a number below 65536.
std::optional<Role> find_role(std::string_view name) noexcept;

enum class HeaderTag : std::uint8_t {
    Version = 1,
    HeaderLength = 2,
    SignerId = 3,
    SignerName = 4,
    SerialNumber = 5,
    CaName = 6,
    SignatureInfo = 7,
    DigestAlgorithm = 8,
    SignatureAlgorithmInfo = 9,
    SignatureAlgorithm = 10,
    SignatureModulus = 11,
    Signature = 12,
    Pad = 13,  ///< one bare octet, without length and value
    Filename = 14,
    Timestamp = 15,
    SignerVersion = 28,
};

enum class RecordTag : std::uint8_t {
    RecordLength = 1,
    DnsName = 2,
    SubjectName = 3,
    Function = 4,
    IssuerName = 5,
    SerialNumber = 6,
    PublicKey = 7,
    Signature = 8,
    Certificate = 9,
    IpAddress = 10,
    CertificateHash = 11,
    HashAlgorithm = 12,
};

/// As `show ctl` prints it, misspellings included; "UNKNOWN" for a tag that is not listed above.
std::string_view to_text(HeaderTag tag) noexcept;
std::string_view to_text(RecordTag tag) noexcept;

struct Version {
    std::uint8_t major = 0, minor = 0;
    // clang-tidy 14 takes the 0 of a defaulted comparison for a pointer.
    friend auto operator<=>(const Version&, const Version&) = default;  // NOLINT(modernize-use-nullptr)
};
/// "1.2".
std::string to_text(Version version);

inline constexpr std::size_t kElementHeadSize = 3;  ///< octets of tag and length

/// One element as it stands in a file. Containers (tags 3, 7, 9 of a header) come before their children,
/// which are one deeper; a container's value spans its children.
struct Element {
    ByteView value;
    std::uint32_t position = 0;  ///< of its tag, from the beginning of the file
    std::uint8_t tag = 0;
    std::uint8_t depth = 0;
};

/// A file under a signed header: the octets, and an index of the header. Everything it hands out is a view
/// that lives as long as the file; moving the file keeps the views alive.
class SignedFile {
  public:
    SignedFile(SignedFile&&) noexcept = default;
    SignedFile& operator=(SignedFile&&) noexcept = default;
    SignedFile(const SignedFile&) = delete;
    SignedFile& operator=(const SignedFile&) = delete;

    ByteView octets() const noexcept { return octets_; }
    /// In the order of the file, pads and unknown tags included.
    std::span<const Element> header() const noexcept { return std::span(elements_).first(header_count_); }
    std::size_t header_length() const noexcept { return header_length_; }  ///< as tag 2 says

    Version version() const noexcept;
    std::optional<Version> signer_version() const noexcept;  ///< tag 28
    std::string_view signer_name() const noexcept;           ///< as stored, without its NUL
    std::string_view signer_issuer() const noexcept;         ///< CANAME, as stored, without its NUL
    ByteView signer_serial() const noexcept;                 ///< as stored
    Digest digest() const noexcept;
    unsigned key_bits() const noexcept;  ///< that SIGNATUREMODULUS stands for: 512, 1024, 2048 or 4096
    std::string_view filename() const noexcept;
    std::uint32_t timestamp() const noexcept;  ///< Unix seconds

    /// Empty in a file that waits for its signature (a .tbs).
    ByteView signature() const noexcept { return octets().subspan(signature_position_, signature_size_); }
    /// Where the SIGNATURE element stands, or belongs.
    std::size_t signature_position() const noexcept { return signature_element_; }
    /// What is signed: the file before the SIGNATURE element, and behind it.
    std::array<ByteView, 2> signed_parts() const noexcept;

  protected:
    SignedFile() = default;
    ~SignedFile() = default;
    /// The value of a header element that decoding made sure of, or that may be absent (empty).
    ByteView find(HeaderTag tag) const noexcept;

    /// What follows the header.
    ByteView body() const noexcept { return octets().subspan(header_end_); }

  private:
    friend class Decoder;
    Bytes octets_;
    std::vector<Element> elements_;  // of the header, then of every record
    std::size_t header_count_ = 0;
    std::size_t header_length_ = 0, header_end_ = 0;
    std::size_t signature_element_ = 0, signature_position_ = 0, signature_size_ = 0;
};

/// One record of a trust list: views of what it holds. An accessor is empty when the element is absent.
class Record {
  public:
    Record(ByteView octets, std::span<const Element> elements) noexcept
        : octets_(octets), elements_(elements) {}

    ByteView octets() const noexcept { return octets_; }                      ///< the whole record
    std::span<const Element> elements() const noexcept { return elements_; }  ///< RECORDLENGTH is the first
    std::size_t position() const noexcept { return elements_.front().position; }
    std::optional<ByteView> find(RecordTag tag) const noexcept;

    std::optional<std::string_view> dns_name() const noexcept;  ///< texts are as stored, without their NUL
    std::optional<std::string_view> subject() const noexcept;
    std::optional<Role> role() const noexcept;
    std::optional<std::string_view> issuer() const noexcept;
    std::optional<ByteView> serial() const noexcept { return find(RecordTag::SerialNumber); }
    std::optional<ByteView> public_key() const noexcept { return find(RecordTag::PublicKey); }
    std::optional<ByteView> signature() const noexcept { return find(RecordTag::Signature); }
    std::optional<ByteView> certificate() const noexcept { return find(RecordTag::Certificate); }
    std::optional<ByteView> ip_address() const noexcept { return find(RecordTag::IpAddress); }
    std::optional<ByteView> certificate_hash() const noexcept { return find(RecordTag::CertificateHash); }
    std::optional<Digest> hash_algorithm() const noexcept;  ///< also empty when its number is unknown

  private:
    ByteView octets_;
    std::span<const Element> elements_;
};

/// A CTL or ITL file. decode_list (ctlsign/trustlist/decode.hpp) makes one.
class TrustList : public SignedFile {
  public:
    std::span<const Record> records() const noexcept { return records_; }  ///< in the order of the file

  private:
    friend class Decoder;
    TrustList() = default;
    std::vector<Record> records_;
};

}  // namespace ctlsign
