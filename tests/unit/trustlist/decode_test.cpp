#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/sgn.hpp>
#include <tests/support/data.hpp>
#include <tests/support/tlv.hpp>

namespace ctlsign {
namespace {

using ::testing::HasSubstr;
using testing::join;
using testing::raw_record;
using testing::RawHeader;
using testing::read_data;
using testing::text;
using testing::tlv;

struct Fault {
    std::string name;
    Bytes octets;
    std::size_t position;
    std::string problem;
};

Fault header_fault(std::string name, std::size_t position, std::string problem,
                   const std::function<void(RawHeader&)>& change) {
    RawHeader header;
    change(header);
    return {std::move(name), header.encode(), position, std::move(problem)};
}

// Where the elements of RawHeader begin, behind VERSION and HEADERLENGTH, and where it ends.
constexpr std::size_t kSigner = 10, kInfo = 27, kSignature = 45, kFilename = 112, kTimestamp = 127,
                      kEnd = 134;

Fault record_fault(std::string name, std::size_t position, std::string problem, const Bytes& octets) {
    return {std::move(name), join({RawHeader{}.encode(), octets}), kEnd + position, std::move(problem)};
}

std::vector<Fault> faults() {
    const auto signer = [](const Bytes& inside) {
        return [inside](RawHeader& h) { h.signer = tlv(3, inside); };
    };
    const auto info = [](const Bytes& inside) { return [inside](RawHeader& h) { h.info = tlv(7, inside); }; };
    return {
        {"Empty", Bytes{}, 0, "the file ends before VERSION"},
        {"OtherFile", text("-----BEGIN CERTIFICATE-----"), 0, "no trust list: it begins with tag 45"},
        header_fault("VersionOfThree", 0, "holds 3 octets, must hold 2",
                     [](auto& h) {
                         h.version = tlv(1, {1, 2, 3});
                     }),
        header_fault("LengthBeyondTheFile", 5, "needs 300 octets, the file ends after 134",
                     [](auto& h) { h.length = 300; }),
        header_fault("LengthLessThanItself", 5, "HEADERLENGTH is 9: too little",
                     [](auto& h) { h.length = 9; }),
        header_fault("LengthInsideAnElement", kTimestamp, "is 4 octets long, 3 are left",
                     [](auto& h) { h.length = kEnd - 1; }),
        header_fault("LengthInsideAHead", kTimestamp, "is cut off",
                     [](auto& h) { h.length = kTimestamp + 2; }),
        header_fault("NoTimestamp", kTimestamp, "has no TIMESTAMP", [](auto& h) { h.timestamp.clear(); }),
        header_fault("NoFilename", kEnd - 15, "has no FILENAME", [](auto& h) { h.filename.clear(); }),
        header_fault("NoSigner", kEnd - 17, "has no SIGNERID", [](auto& h) { h.signer.clear(); }),
        header_fault("NoSignatureInfo", kEnd - 18, "has no SIGNATUREINFO", [](auto& h) { h.info.clear(); }),
        header_fault("NoSignature", kEnd - 67, "has no SIGNATURE", [](auto& h) { h.signature.clear(); }),
        header_fault("NoCaName", kEnd - 5, "has no CANAME", signer(join({tlv(4, text("s")), tlv(5, {7})}))),
        header_fault("EmptySerial", kEnd - 1, "empty SERIALNUMBER",
                     signer(join({tlv(4, text("s")), tlv(5, {}), tlv(6, text("i"))}))),
        header_fault("SignerNameTwice", kSigner + 8, "a second time",
                     signer(join({tlv(4, text("s")), tlv(4, text("s")), tlv(5, {7}), tlv(6, text("i"))}))),
        header_fault("SignatureTwice", kSignature + 67, "a second time",
                     [](auto& h) {
                         h.signature = join({h.signature, h.signature});
                     }),
        header_fault("VersionTwice", kTimestamp + 7, "a second time", [](auto& h) { h.tail = h.version; }),
        header_fault("ChildPastItsContainer", kSigner + 12, "CANAME (tag 6) is 9 octets long, 2 are left",
                     signer(join({tlv(4, text("s")), tlv(5, {7}), Bytes{6, 0, 9, 'i', 0}}))),
        header_fault("ChildOutsideItsContainer", kTimestamp + 2,
                     "SIGNERNAME (tag 4) stands in the wrong place",
                     [](auto& h) {
                         h.signer = tlv(3, join({tlv(5, {7}), tlv(6, text("i"))}));
                         h.tail = tlv(4, text("s"));
                     }),
        header_fault("SignatureInsideSigner", kSigner + 17, "SIGNATURE (tag 12) stands in the wrong place",
                     signer(join({tlv(4, text("s")), tlv(5, {7}), tlv(6, text("i")), tlv(12, Bytes(64))}))),
        header_fault("PadInsideSigner", kSigner + 17, "stands in the wrong place",
                     signer(join({tlv(4, text("s")), tlv(5, {7}), tlv(6, text("i")), tlv(13, {})}))),
        header_fault("NameWithoutNul", kSigner + 3, "does not end with NUL",
                     signer(join({tlv(4, {'s'}), tlv(5, {7}), tlv(6, text("i"))}))),
        header_fault("EmptyName", kSigner + 3, "does not end with NUL",
                     signer(join({tlv(4, {}), tlv(5, {7}), tlv(6, text("i"))}))),
        header_fault("NameBehindItsNul", kSigner + 3, "goes on behind its NUL",
                     signer(join({tlv(4, {'s', 0, 'x', 0}), tlv(5, {7}), tlv(6, text("i"))}))),
        header_fault("InfoOfAnotherLength", kInfo, "must hold 15",
                     info(join({tlv(8, {1}), tlv(9, join({tlv(10, {0}), tlv(11, {0}), tlv(99, {})}))}))),
        header_fault("UnknownDigest", kInfo + 3, "is 4, a number",
                     info(join({tlv(8, {4}), tlv(9, join({tlv(10, {0}), tlv(11, {0})}))}))),
        header_fault("UnknownAlgorithm", kInfo + 10, "is 1, a number",
                     info(join({tlv(8, {1}), tlv(9, join({tlv(10, {1}), tlv(11, {0})}))}))),
        header_fault("UnknownModulus", kInfo + 14, "is 4, a number",
                     info(join({tlv(8, {1}), tlv(9, join({tlv(10, {0}), tlv(11, {4})}))}))),
        header_fault("SignatureOfAnotherLength", kSignature, "holds 63 octets, SIGNATUREMODULUS says 64",
                     [](auto& h) { h.signature = tlv(12, Bytes(63)); }),
        header_fault("FilenameWithoutNul", kFilename, "does not end with NUL",
                     [](auto& h) { h.filename = tlv(14, {'f'}); }),
        header_fault("TimestampOfThree", kTimestamp, "must hold 4",
                     [](auto& h) {
                         h.timestamp = tlv(15, {0, 0, 1});
                     }),
        header_fault("FourPads", kEnd, "4 octets of padding", [](auto& h) { h.tail = Bytes(4, 13); }),
        header_fault("ElementBehindThePadding", kEnd + 1, "behind the padding",
                     [](auto& h) {
                         h.tail = {13, 99};
                     }),
        record_fault("NoRecordLength", 0, "tag 2 instead of RECORDLENGTH", tlv(2, text("a"))),
        record_fault("OneOctet", 0, "is cut off", {1}),
        record_fault("RecordLengthOfOne", 0, "must hold 2", tlv(1, {9})),
        record_fault("RecordTooShort", 0, "RECORDLENGTH is 4: too little", tlv(1, {0, 4})),
        record_fault("RecordBeyondTheFile", 0, "needs 6 octets, 5 are left", tlv(1, {0, 6})),
        record_fault("ElementPastItsRecord", 5, "DNSNAME (tag 2) is 2 octets long, 1 are left",
                     join({tlv(1, {0, 9}), tlv(2, text("a"))})),
        record_fault("ElementCutOffByItsRecord", 5, "is cut off", join({tlv(1, {0, 7}), tlv(2, text("a"))})),
        record_fault("DnsNameTwice", 10, "a second time",
                     raw_record(join({tlv(2, text("a")), tlv(2, text("a"))}))),
        record_fault("RecordLengthTwice", 5, "a second time", raw_record(tlv(1, {0, 5}))),
        record_fault("RoleOfOne", 5, "FUNCTION (tag 4) holds 1 octets, must hold 2", raw_record(tlv(4, {0}))),
        record_fault("HashAlgorithmOfTwo", 5, "must hold 1", raw_record(tlv(12, {0, 1}))),
        record_fault("SubjectWithoutNul", 5, "does not end with NUL", raw_record(tlv(3, {'s'}))),
        record_fault("SecondRecord", 5, "tag 0 instead of RECORDLENGTH", join({raw_record({}), Bytes{0}})),
    };
}

class Malformed : public ::testing::TestWithParam<Fault> {};

TEST_P(Malformed, IsRefusedWithItsPosition) {
    const Bytes& octets = GetParam().octets;
    try {
        decode_list(ByteView(octets));
        FAIL() << "decoded";
    } catch (const DecodeError& e) {
        EXPECT_EQ(e.position(), GetParam().position) << e.what();
        EXPECT_EQ(e.code(), Errc::Malformed);
        EXPECT_THAT(e.what(), HasSubstr(GetParam().problem));
        EXPECT_THAT(e.what(), HasSubstr("octet " + std::to_string(GetParam().position)));
    }
}

INSTANTIATE_TEST_SUITE_P(Faults, Malformed, ::testing::ValuesIn(faults()),
                         [](const auto& fault) { return fault.param.name; });

TEST(Decode, TheHandMadeHeaderIsGood) {
    const Bytes octets = RawHeader{}.encode();
    ASSERT_EQ(octets.size(), kEnd);
    const TrustList list = decode_list(ByteView(octets));
    EXPECT_EQ(list.signer_name(), "s");
    EXPECT_EQ(list.signer_issuer(), "i");
    EXPECT_EQ(list.key_bits(), 512U);
    EXPECT_EQ(list.signature_position(), kSignature);
    EXPECT_EQ(list.timestamp(), 1U);
    EXPECT_TRUE(list.records().empty());
    EXPECT_EQ(encode(list), octets);
}

TEST(Decode, AnyOrderInsideTheSigner) {
    const Bytes elements[] = {tlv(4, text("s")), tlv(5, {7}), tlv(6, text("i"))};
    std::array<std::size_t, 3> order{0, 1, 2};
    do {
        RawHeader header;
        header.signer = tlv(3, join({elements[order[0]], elements[order[1]], elements[order[2]]}));
        const Bytes octets = header.encode();
        const TrustList list = decode_list(ByteView(octets));
        EXPECT_EQ(list.signer_name(), "s");
        EXPECT_EQ(list.signer_issuer(), "i");
        EXPECT_TRUE(equal(list.signer_serial(), Bytes{7}));
        EXPECT_EQ(encode(list), octets);
    } while (std::ranges::next_permutation(order).found);
}

TEST(Decode, UnknownTagsAndRolesAreKeptInPlace) {
    RawHeader header;
    header.signer =
        tlv(3, join({tlv(200, {1, 2}), tlv(4, text("s")), tlv(5, {7}), tlv(6, text("i")), tlv(200, {})}));
    header.info = join({tlv(29, {1}), header.info, tlv(29, {})});
    header.tail = {13, 13};
    const Bytes octets =
        join({header.encode(),
              raw_record(join({tlv(13, {9}), tlv(4, {1, 200}), tlv(77, Bytes(300)), tlv(77, {})})),
              raw_record({}), raw_record(tlv(10, Bytes(16)))});
    const TrustList list = decode_list(ByteView(octets));
    EXPECT_EQ(encode(list), octets);
    ASSERT_EQ(list.records().size(), 3U);
    EXPECT_EQ(list.records()[0].role(), static_cast<Role>(456));
    EXPECT_EQ(list.records()[0].elements().size(), 5U);
    EXPECT_FALSE(list.records()[1].role());
    EXPECT_EQ(list.records()[2].ip_address()->size(), 16U);
    const auto in_signer = std::ranges::count(list.header(), 1, &Element::depth);
    EXPECT_EQ(in_signer, 5 + 2);
}

TEST(Decode, ViewsLiveThroughAMove) {
    TrustList list = decode_list(read_data("krakow/CTLFile-tokens.tlv"));
    const std::string_view name = list.signer_name();
    const std::string subject(*list.records()[1].subject());
    const TrustList moved = std::move(list);
    EXPECT_EQ(moved.signer_name().data(), name.data());
    EXPECT_EQ(moved.records()[1].subject(), subject);
    SignedFile& file = list;
    TrustList other = decode_list(read_data("krakow/CTLFile-tokenless.tlv"));
    const std::string_view signer = other.signer_name();
    file = std::move(static_cast<SignedFile&>(other));
    EXPECT_EQ(file.signer_name().data(), signer.data());
}

TEST(Decode, SixteenMebibytesAndNoMore) {
    Bytes octets = RawHeader{}.encode();
    octets.resize(kMaxFileSize + 1);
    try {
        decode_list(ByteView(octets));
        FAIL() << "decoded";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Errc::Oversized);
    }
}

TEST(Decode, ManyTinyRecordsAreNoTrouble) {
    Bytes octets = RawHeader{}.encode();
    const Bytes record = raw_record({});
    while (octets.size() + record.size() <= kMaxFileSize / 16)
        octets.insert(octets.end(), record.begin(), record.end());
    const TrustList list = decode_list(ByteView(octets));
    EXPECT_EQ(list.records().size(), (octets.size() - kEnd) / record.size());
    EXPECT_EQ(encode(list), octets);
}

class Truncated : public ::testing::TestWithParam<const char*> {};

TEST_P(Truncated, IsRefusedAtEveryLengthButBetweenRecords) {
    const Bytes octets = read_data(GetParam());
    const TrustList whole = decode_list(ByteView(octets));
    std::set<std::size_t> ends{whole.header_length()};
    for (const Record& record : whole.records()) ends.insert(record.position() + record.octets().size());
    for (std::size_t size = 0; size < octets.size(); ++size) {
        try {
            decode_list(ByteView(octets).first(size));
            EXPECT_TRUE(ends.contains(size)) << size;
        } catch (const DecodeError& e) {
            EXPECT_FALSE(ends.contains(size)) << size;
            EXPECT_LE(e.position(), size);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Vectors, Truncated,
                         ::testing::Values("krakow/CTLFile-tokenless.tlv", "krakow/CTLFile-tokens.tlv",
                                           "open-tools/ctl-rsa4096.tlv", "open-tools/itl-sha512-v11-ec.tlv"));

TEST(DecodeUnsigned, KnowsWhereTheSignatureBelongs) {
    const TrustList list = decode_list(read_data("open-tools/ctl-rsa4096.tlv"));
    const auto parts = list.signed_parts();
    const Bytes waiting = join({parts[0], parts[1]});
    const TrustList unsigned_list = decode_unsigned_list(waiting);
    EXPECT_EQ(unsigned_list.signature_position(), list.signature_position());
    EXPECT_EQ(unsigned_list.key_bits(), 4096U);
    EXPECT_TRUE(unsigned_list.signature().empty());
    EXPECT_EQ(unsigned_list.header_length(), list.header_length());
    EXPECT_EQ(unsigned_list.records().size(), list.records().size());
    EXPECT_EQ(encode(unsigned_list), waiting);
    EXPECT_EQ(splice({waiting, unsigned_list.signature_position(), 512}, list.signature()),
              Bytes(list.octets().begin(), list.octets().end()));
    EXPECT_THROW(decode_list(ByteView(waiting)), DecodeError);
}

TEST(DecodeUnsigned, ASignedListIsNone) {
    EXPECT_THROW(decode_unsigned_list(read_data("krakow/CTLFile-tokenless.tlv")), DecodeError);
}

TEST(DecodeUnsigned, TruncatedIsRefusedAtEveryLengthOfTheHeader) {
    const TrustList list = decode_list(read_data("krakow/CTLFile-tokenless.tlv"));
    const auto parts = list.signed_parts();
    const Bytes waiting = join({parts[0], parts[1]});
    for (std::size_t size = 0; size < 336 - 131; ++size) {
        EXPECT_THROW(decode_unsigned_list(ByteView(waiting).first(size)), DecodeError) << size;
    }
}

TEST(Roles, NamesAndNumbers) {
    EXPECT_EQ(to_text(Role::Sast), "System Administrator Security Token");
    EXPECT_EQ(to_text(Role::CcmTftp), "CCM+TFTP");
    EXPECT_EQ(to_text(static_cast<Role>(5)), "5");
    EXPECT_EQ(role_name(Role::Sast), "SAST");
    for (const unsigned number : {0U, 1U, 2U, 3U, 4U, 5U, 7U, 21U, 65535U}) {
        EXPECT_EQ(find_role(role_name(static_cast<Role>(number))), static_cast<Role>(number));
    }
    EXPECT_EQ(find_role("21"), Role::Tvs);
    for (const char* name : {"", "sast", "65536", "-1", "1 ", "0x1"}) EXPECT_FALSE(find_role(name)) << name;
}

TEST(Tags, NamesAsShowCtlPrintsThem) {
    EXPECT_EQ(to_text(HeaderTag::DigestAlgorithm), "DIGESTALGORTITHM");
    EXPECT_EQ(to_text(HeaderTag::SignatureAlgorithm), "SIGNATUREALGORTITHM");
    EXPECT_EQ(to_text(RecordTag::IpAddress), "IPADDRESS");
    EXPECT_EQ(to_text(static_cast<HeaderTag>(99)), "UNKNOWN");
}

}  // namespace
}  // namespace ctlsign
