#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/sgn.hpp>

namespace ctlsign {

namespace {

constexpr std::size_t kMostPads = 3;

enum class Kind : std::uint8_t { Unknown, Octets, Number, Text, Container, Pad };

// What the format says of a tag.
struct Known {
    Kind kind = Kind::Unknown;
    std::uint8_t container = 0;      // the tag around it; 0: none
    std::uint8_t size = 0;           // exact; 0: any
    std::uint8_t low = 0, high = 0;  // of a Number
};
constexpr std::size_t kKnownTags = 29;
using TagTable = std::array<Known, kKnownTags>;

constexpr TagTable kHeader = [] {
    TagTable table{};
    table[1] = table[2] = table[28] = {Kind::Octets, 0, 2};
    table[3] = {Kind::Container};
    table[4] = table[6] = {Kind::Text, 3};
    table[5] = {Kind::Octets, 3};
    table[7] = {Kind::Container, 0, 15};
    table[8] = {Kind::Number, 7, 1, 1, 3};
    table[9] = {Kind::Container, 7, 8};
    table[10] = {Kind::Number, 9, 1, 0, 0};
    table[11] = {Kind::Number, 9, 1, 0, 3};
    table[12] = {Kind::Octets};
    table[13] = {Kind::Pad};
    table[14] = {Kind::Text};
    table[15] = {Kind::Octets, 0, 4};
    return table;
}();
constexpr HeaderTag kMandatory[] = {
    HeaderTag::SignerId,           HeaderTag::SignerName,
    HeaderTag::SerialNumber,       HeaderTag::CaName,
    HeaderTag::SignatureInfo,      HeaderTag::DigestAlgorithm,
    HeaderTag::SignatureAlgorithm, HeaderTag::SignatureModulus,
    HeaderTag::Filename,           HeaderTag::Timestamp,
};

constexpr TagTable kRecord = [] {
    TagTable table{};
    table[1] = table[4] = {Kind::Octets, 0, 2};
    table[2] = table[3] = table[5] = {Kind::Text};
    for (const std::size_t tag : {6U, 7U, 8U, 9U, 10U, 11U}) table[tag] = {Kind::Octets};
    table[12] = {Kind::Octets, 0, 1};
    return table;
}();

template <typename Tag>
std::string tag_text(std::uint8_t tag) {
    const std::string_view name = to_text(static_cast<Tag>(tag));
    return name == "UNKNOWN" ? fmt::format("tag {}", tag) : fmt::format("{} (tag {})", name, tag);
}

[[noreturn]] void fail(std::size_t position, const std::string& problem) {
    throw DecodeError(position, problem);
}

std::size_t number_of(ByteView value) noexcept {
    return static_cast<std::size_t>(value[0]) << 8U | value[1];
}

// A known element against its row. SEEN has a bit for each known tag that came before.
template <typename Tag>
void check(const Known& known, const Element& element, std::uint8_t container, std::uint32_t seen) {
    const auto refuse = [&](const std::string& problem) {
        fail(element.position, tag_text<Tag>(element.tag) + " " + problem);
    };
    const ByteView value = element.value;
    if ((seen & 1U << element.tag) != 0) refuse("stands there a second time");
    if (known.container != container || known.kind == Kind::Pad) refuse("stands in the wrong place");
    if (known.size != 0 && known.size != value.size()) {
        refuse(fmt::format("holds {} octets, must hold {}", value.size(), known.size));
    }
    if (known.kind == Kind::Number && (value[0] < known.low || value[0] > known.high)) {
        refuse(fmt::format("is {}, a number that the format does not know", value[0]));
    }
    if (known.kind == Kind::Text) {
        // A text ends at its first NUL; octets behind it would be another name to another reader.
        const void* nul = value.empty() ? nullptr : std::memchr(value.data(), 0, value.size());
        if (nul == nullptr) refuse("does not end with NUL");
        if (nul != &value.back()) refuse("goes on behind its NUL");
    }
}

}  // namespace

DecodeError::DecodeError(std::size_t position, std::string_view problem)
    : Error(Errc::Malformed, "decoding", {}, fmt::format("octet {}: {}", position, problem)),
      position_(position) {}

// Builds the index of one file. The position in an error is that of the element at fault.
class Decoder {
  public:
    enum class Form { Signed, Unsigned };

    static TrustList list(Bytes octets, Form form) {
        TrustList list;
        Decoder decoder(list, std::move(octets), form);
        decoder.read_header();
        decoder.read_records();
        list.records_ = decoder.index_records();
        return list;
    }

    static SgnFile sgn(Bytes octets, Form form) {
        SgnFile file;
        Decoder(file, std::move(octets), form).read_header();
        return file;
    }

  private:
    Decoder(SignedFile& file, Bytes octets, Form form) : file_(file), elements_(file.elements_), form_(form) {
        if (octets.size() > kMaxFileSize) {
            throw Error(Errc::Oversized, "decoding", {},
                        fmt::format("{} octets, at most {} are read", octets.size(), kMaxFileSize));
        }
        file_.octets_ = std::move(octets);
        octets_ = file_.octets_;
        // Enough for a real file at once; a file of thousands of tiny records may grow.
        elements_.reserve(std::min<std::size_t>(32 + octets_.size() / 64, 1024));
    }

    // The element at AT, and those inside it; all must end before END. Gives the position behind it.
    template <typename Tag>
    std::size_t read(const TagTable& table, std::size_t at, std::size_t end, std::uint8_t container,
                     std::uint8_t depth) {
        const std::uint8_t tag = octets_[at];
        if (end - at < kElementHeadSize) fail(at, tag_text<Tag>(tag) + " is cut off");
        const std::size_t size = number_of(octets_.subspan(at + 1, 2));
        const std::size_t begin = at + kElementHeadSize;
        if (size > end - begin) {
            fail(at, fmt::format("{} is {} octets long, {} are left", tag_text<Tag>(tag), size, end - begin));
        }
        // Written where it stays: a copy of something just written stalls for longer than all the rest.
        Element& element = elements_.emplace_back();
        element.value = octets_.subspan(begin, size);
        element.position = static_cast<std::uint32_t>(at);
        element.tag = tag;
        element.depth = depth;
        if (tag >= kKnownTags || table[tag].kind == Kind::Unknown) return begin + size;
        check<Tag>(table[tag], element, container, seen_);
        seen_ |= 1U << tag;
        if (table[tag].kind == Kind::Container) {
            for (std::size_t inner = begin; inner < begin + size;) {
                inner = read<Tag>(table, inner, begin + size, tag, static_cast<std::uint8_t>(depth + 1));
            }
        }
        return begin + size;
    }

    const Element& expect(HeaderTag tag, std::size_t at) {
        if (at >= octets_.size()) fail(at, fmt::format("the file ends before {}", to_text(tag)));
        if (octets_[at] != static_cast<std::uint8_t>(tag)) {
            fail(at, at == 0 ? fmt::format("this is no trust list: it begins with tag {}", octets_[at])
                             : fmt::format("tag {} instead of {}", octets_[at], to_text(tag)));
        }
        read<HeaderTag>(kHeader, at, octets_.size(), 0, 0);
        return elements_.back();
    }

    bool seen(HeaderTag tag) const noexcept { return (seen_ & 1U << static_cast<unsigned>(tag)) != 0; }

    void read_header() {
        // These two come first: without the length nothing else has a bound.
        const std::size_t after_version = expect(HeaderTag::Version, 0).value.size() + kElementHeadSize;
        const Element length = expect(HeaderTag::HeaderLength, after_version);
        file_.header_length_ = number_of(length.value);
        std::size_t at = length.position + kElementHeadSize + length.value.size();
        std::size_t end = file_.header_length_;
        const auto check_end = [&] {
            if (end < at)
                fail(length.position, fmt::format("HEADERLENGTH is {}: too little", file_.header_length_));
            if (end > octets_.size()) {
                fail(length.position,
                     fmt::format("the header needs {} octets, the file ends after {}", end, octets_.size()));
            }
        };
        if (form_ == Form::Unsigned) end = std::min(end, octets_.size());
        check_end();
        while (at < end && octets_[at] != static_cast<std::uint8_t>(HeaderTag::Pad)) {
            const std::size_t index = elements_.size();
            at = read<HeaderTag>(kHeader, at, end, 0, 0);
            file_.header_count_ = elements_.size();
            const auto tag = static_cast<HeaderTag>(elements_[index].tag);
            if (tag == HeaderTag::Signature) {
                file_.signature_element_ = elements_[index].position;
                file_.signature_position_ = file_.signature_element_ + kElementHeadSize;
                file_.signature_size_ = elements_[index].value.size();
            } else if (tag == HeaderTag::SignatureInfo && form_ == Form::Unsigned &&
                       seen(HeaderTag::SignatureModulus)) {
                // HEADERLENGTH counts the signature that is not there yet.
                file_.signature_element_ = file_.signature_position_ = at;
                end = file_.header_length_ -
                      std::min(file_.header_length_, kElementHeadSize + signature_length());
                check_end();
            }
        }
        read_pads(at, end);
        file_.header_count_ = elements_.size();
        file_.header_end_ = end;
        check_header(end);
    }

    void read_pads(std::size_t at, std::size_t end) {
        if (end - at > kMostPads) fail(at, fmt::format("{} octets of padding, at most 3 may be", end - at));
        for (; at < end; ++at) {
            const std::uint8_t tag = octets_[at];
            if (tag != static_cast<std::uint8_t>(HeaderTag::Pad)) fail(at, "an element behind the padding");
            elements_.push_back({{}, static_cast<std::uint32_t>(at), tag, 0});
        }
    }

    std::size_t signature_length() const { return file_.key_bits() / 8; }

    void check_header(std::size_t end) const {
        for (const HeaderTag tag : kMandatory) {
            if (!seen(tag)) fail(end, fmt::format("the header has no {}", to_text(tag)));
        }
        if (file_.signer_serial().empty()) fail(end, "the header has an empty SERIALNUMBER");
        if (form_ == Form::Unsigned) {
            if (seen(HeaderTag::Signature))
                fail(file_.signature_element_, "a SIGNATURE in a file that waits for it");
            return;
        }
        if (!seen(HeaderTag::Signature)) fail(end, "the header has no SIGNATURE");
        if (file_.signature_size_ != signature_length()) {
            fail(file_.signature_element_, fmt::format("SIGNATURE holds {} octets, SIGNATUREMODULUS says {}",
                                                       file_.signature_size_, signature_length()));
        }
    }

    void read_records() {
        for (std::size_t at = file_.header_end_; at < octets_.size();) {
            seen_ = 0;
            const std::size_t begin = at;
            if (octets_[at] != static_cast<std::uint8_t>(RecordTag::RecordLength)) {
                fail(at, fmt::format("tag {} instead of RECORDLENGTH", octets_[at]));
            }
            at = read<RecordTag>(kRecord, at, octets_.size(), 0, 0);
            const std::size_t length = number_of(elements_.back().value);
            if (length < at - begin) fail(begin, fmt::format("RECORDLENGTH is {}: too little", length));
            if (length > octets_.size() - begin) {
                fail(begin,
                     fmt::format("the record needs {} octets, {} are left", length, octets_.size() - begin));
            }
            while (at < begin + length) at = read<RecordTag>(kRecord, at, begin + length, 0, 0);
            ++record_count_;
        }
    }

    // Once the elements have their final place.
    std::vector<Record> index_records() const {
        std::vector<Record> records;
        records.reserve(record_count_);
        const std::span<const Element> elements = elements_;
        for (std::size_t first = file_.header_count_; first < elements.size();) {
            std::size_t last = first + 1;
            while (last < elements.size() &&
                   elements[last].tag != static_cast<std::uint8_t>(RecordTag::RecordLength)) {
                ++last;
            }
            const std::size_t end = last < elements.size() ? elements[last].position : octets_.size();
            const std::size_t begin = elements[first].position;
            records.emplace_back(octets_.subspan(begin, end - begin), elements.subspan(first, last - first));
            first = last;
        }
        return records;
    }

    SignedFile& file_;
    std::vector<Element>& elements_;
    const Form form_;
    ByteView octets_;
    std::uint32_t seen_ = 0;  // a bit for each known tag of this header or record
    std::size_t record_count_ = 0;
};

TrustList decode_list(Bytes octets) {
    return Decoder::list(std::move(octets), Decoder::Form::Signed);
}
TrustList decode_list(ByteView octets) {
    return decode_list(Bytes(octets.begin(), octets.end()));
}
TrustList decode_unsigned_list(ByteView octets) {
    return Decoder::list(Bytes(octets.begin(), octets.end()), Decoder::Form::Unsigned);
}
SgnFile decode_sgn(Bytes octets) {
    return Decoder::sgn(std::move(octets), Decoder::Form::Signed);
}
std::variant<TrustList, SgnFile> decode_any(Bytes octets) {
    SgnFile file = decode_sgn(ByteView(octets));
    if (file.version() == kSgnVersion && !file.filename().ends_with(".tlv")) return file;
    return decode_list(std::move(octets));
}

SgnFile decode_sgn(ByteView octets) {
    return decode_sgn(Bytes(octets.begin(), octets.end()));
}
SgnFile decode_unsigned_sgn(ByteView octets) {
    return Decoder::sgn(Bytes(octets.begin(), octets.end()), Decoder::Form::Unsigned);
}

}  // namespace ctlsign
