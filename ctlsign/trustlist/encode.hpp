#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/trustlist/model.hpp>

namespace ctlsign {

/// The order of elements: ascending tags, or as the open tools write them (signer 4, 6, 5; record 3, 5, 6, 4,
/// ...).
enum class Layout { Cucm, OpenTools };
std::string_view to_text(Layout layout) noexcept;  ///< "cucm", "open-tools"
std::optional<Layout> find_layout(std::string_view text) noexcept;

/// Who signs, as the file will store it: texts without their NUL.
struct SignerId {
    std::string name, issuer;
    Bytes serial;
};

/// What a header will hold; every length follows from it.
struct HeaderDraft {
    Version version{1, 2};
    std::optional<Version> signer_version{};  ///< writes tag 28
    SignerId signer{};
    Digest digest = Digest::Sha1;
    unsigned key_bits = 0;  ///< of the signer: 512, 1024, 2048 or 4096
    std::string filename{};
    std::uint32_t timestamp = 0;  ///< Unix seconds
    Layout layout = Layout::Cucm;
};

/// What a record will hold; what is empty is left out. Texts are without their NUL: "" writes a lone NUL.
struct RecordDraft {
    std::optional<std::string> dns_name{}, subject{};
    std::optional<Role> role{};
    std::optional<std::string> issuer{};
    std::optional<Bytes> serial{}, public_key{}, signature{}, certificate{}, ip_address{}, certificate_hash{};
    std::optional<Digest> hash_algorithm{};
    std::optional<Bytes> raw{};  ///< the whole record instead: nothing else may be set
};

struct ListDraft {
    HeaderDraft header{};
    std::vector<RecordDraft> records{};
};

/// The octets that are signed, every length final, and where the signature goes.
struct ToSign {
    Bytes octets;
    std::size_t signature_position = 0;  ///< of the SIGNATURE element
    std::size_t signature_length = 0;    ///< octets, exact
};

/// Throws Error with Errc::Unencodable for what the format has no room or code for (a 3072-bit signer, a text
/// past 65,534 octets), DecodeError for a raw record that is none.
ToSign encode(const ListDraft& draft);
/// The same for a signed payload (.sgn).
ToSign encode(const HeaderDraft& header, ByteView payload);
/// Octets of the finished file: UNSIGNED_SIZE, as encode() leaves it, and the SIGNATURE element.
std::size_t signed_size(std::size_t unsigned_size, std::size_t signature_length) noexcept;
/// The finished file. Throws Error with Errc::Malformed on a signature of another length.
Bytes splice(const ToSign& to_sign, ByteView signature);

/// The octets of a decoded file, from its elements: the inverse of decode_list.
Bytes encode(const TrustList& list);

}  // namespace ctlsign
