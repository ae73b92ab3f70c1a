#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <random>

#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/diff.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/extract.hpp>
#include <ctlsign/trustlist/manifest.hpp>
#include <ctlsign/trustlist/text.hpp>
#include <tests/support/data.hpp>

namespace ctlsign {
namespace {

using ::testing::HasSubstr;
using testing::read_data;

const std::vector<std::string> kLists{
    "krakow/CTLFile-tokens.tlv",  "krakow/CTLFile-tokenless.tlv", "krakow/CTLFile-tokenless-sha512.tlv",
    "open-tools/ctl-rsa4096.tlv", "open-tools/itl-sha1-v10.tlv",  "open-tools/itl-sha512-v11-ec.tlv"};

Bytes to_be_signed(const TrustList& list) {
    Bytes octets;
    for (const ByteView part : list.signed_parts()) octets.insert(octets.end(), part.begin(), part.end());
    return octets;
}

// What a person gets who writes the extracted files, and hands them to prepare.
Bytes rebuild(const TrustList& list) {
    const Extracted extracted = extract(list);
    const auto load = [&](const std::string& path) {
        const auto found = std::ranges::find(extracted.certificates, path, &Extracted::File::path);
        if (found == extracted.certificates.end()) throw std::runtime_error("no such file: " + path);
        return sast::Certificate::decode_pem(found->certificate.to_pem()).at(0);
    };
    const Manifest manifest = decode_manifest(encode_manifest(extracted.manifest), "manifest.toml");
    // When the list does not hold the signer's certificate, whoever signs brings it: any of that size will
    // do.
    const std::map<unsigned, std::string> spare{{1024, "krakow/tokens/SAST-ADN008580ef.pem"},
                                                {2048, "open-tools/sast.pem"},
                                                {4096, "open-tools/tvs.pem"}};
    const sast::Certificate signer =
        extracted.signer.empty()
            ? sast::Certificate::decode_pem(testing::read_text(spare.at(list.key_bits()))).at(0)
            : load(extracted.signer);
    ListDraft draft = make_draft(manifest, load, signer, manifest.timestamp.value());
    draft.header.key_bits = list.key_bits();
    return encode(draft).octets;
}

TEST(Extract, GoldenListsNeedNoOverride) {
    for (const std::string& name : kLists) {
        const TrustList list = decode_list(read_data(name));
        EXPECT_EQ(rebuild(list), to_be_signed(list)) << name;
        const std::string manifest = encode_manifest(extract(list).manifest);
        for (const char* key : {"raw", "signer-name", "signer-serial", "\nsubject", "\nserial", "public-key"})
            EXPECT_THAT(manifest, ::testing::Not(HasSubstr(key))) << name;
    }
}

// Whatever decodes is either built again to the octet, or refused: every octet changed in several ways.
TEST(Extract, ChangedListsAreBuiltAgainOrRefused) {
    std::mt19937 random(20150306);
    for (const std::string& name : {kLists[0], kLists[3]}) {
        const Bytes original = read_data(name);
        std::size_t built = 0;
        for (std::size_t at = 0; at < original.size(); at += 7) {
            Bytes changed = original;
            changed[at] = static_cast<std::uint8_t>(random());
            std::optional<TrustList> list;
            try {
                list = decode_list(ByteView(changed));
                EXPECT_EQ(rebuild(*list), to_be_signed(*list)) << name << " octet " << at;
                ++built;
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), list ? Errc::Unencodable : Errc::Malformed)
                    << name << " octet " << at << ": " << error.what();
            }
        }
        EXPECT_GT(built, original.size() / 14) << name;
    }
}

ListDraft draft_with(RecordDraft record) {
    ListDraft draft;
    draft.header.signer = {"CN=signer", "CN=issuer", {1, 2, 3}};
    draft.header.key_bits = 1024;
    draft.header.filename = "CTLFile.tlv";
    draft.header.timestamp = 1;
    draft.records.push_back(std::move(record));
    return draft;
}

TrustList list_with(RecordDraft record) {
    const ToSign to_sign = encode(draft_with(std::move(record)));
    return decode_list(splice(to_sign, Bytes(to_sign.signature_length)));
}

TEST(Extract, RecordsWithoutCertificate) {
    RecordDraft address;
    address.role = Role::CcmTftp;
    address.dns_name = "10.48.47.153";
    address.ip_address = Bytes{10, 48, 47, 153};
    const TrustList list = list_with(address);
    EXPECT_EQ(rebuild(list), to_be_signed(list));
    EXPECT_EQ(encode_manifest(extract(list).manifest),
              "filename = \"CTLFile.tlv\"\ndigest = \"sha1\"\nname-style = \"callmanager\"\n"
              "timestamp = 1970-01-01T00:00:01Z\nsigner-name = \"CN=signer\"\nsigner-issuer = \"CN=issuer\"\n"
              "signer-serial = \"010203\"\n\n[[record]]\nrole = \"CCM+TFTP\"\ndns-name = \"10.48.47.153\"\n"
              "ip-address = \"10.48.47.153\"\n");
}

TEST(Extract, WhatNeedsRaw) {
    RecordDraft hash;
    hash.role = Role::Sast;
    hash.certificate_hash = Bytes(32, 7);
    hash.hash_algorithm = Digest::Sha256;
    RecordDraft half = hash;
    half.hash_algorithm.reset();
    RecordDraft odd_address;
    odd_address.role = static_cast<Role>(300);
    odd_address.ip_address = Bytes{1, 2, 3};
    RecordDraft latin1;
    latin1.subject = "CN=M\xFCller";
    RecordDraft certificate;
    certificate.certificate = Bytes{1, 2, 3};
    RecordDraft key_alone;
    key_alone.public_key = Bytes{4, 5};
    key_alone.subject = "CN=\"quoted\\\", tab\t, bell\a";
    RecordDraft sixteen;
    sixteen.ip_address = Bytes(16, 0x20);
    const std::vector<std::pair<RecordDraft, bool>> cases{
        {hash, false},       {half, true},       {odd_address, true}, {latin1, true},
        {certificate, true}, {key_alone, false}, {sixteen, false},
    };
    for (std::size_t i = 0; i < cases.size(); ++i) {
        const TrustList list = list_with(cases[i].first);
        EXPECT_EQ(rebuild(list), to_be_signed(list)) << i;
        EXPECT_EQ(extract(list).manifest.records.at(0).raw.has_value(), cases[i].second) << i;
    }
}

TEST(Extract, HeaderThatNoManifestCanSay) {
    ListDraft draft = draft_with({});
    draft.header.filename = "\xFF.tlv";
    const ToSign to_sign = encode(draft);
    const TrustList list = decode_list(splice(to_sign, Bytes(to_sign.signature_length)));
    try {
        extract(list);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::Unencodable);
    }
}

TEST(Extract, CertificatesOfOneNameStayApart) {
    const TrustList list = decode_list(read_data("krakow/CTLFile-tokens.tlv"));
    EXPECT_EQ(extract(list).certificates.size(), 5U);
    const TrustList twice = decode_list(read_data("krakow/CTLFile-tokenless.tlv"));
    const auto certificates = extract(twice).certificates;
    EXPECT_EQ(certificates.size(), 3U) << "the publisher's stands in two records";
}

TEST(Manifest, AnyTextDecodesOrIsRefused) {
    const std::string good = testing::read_text("krakow/CTLFile-tokens.toml");
    std::mt19937 random(1);
    for (int i = 0; i < 2000; ++i) {
        std::string text = good;
        for (int j = 0; j < 3; ++j) text[random() % text.size()] = static_cast<char>(random());
        try {
            const Manifest manifest = decode_manifest(text, "m");
            EXPECT_EQ(encode_manifest(decode_manifest(encode_manifest(manifest), "m")),
                      encode_manifest(manifest));
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Errc::Malformed);
            EXPECT_THAT(error.what(), HasSubstr("m:"));
        }
    }
}

TEST(Diff, SameAndSigned) {
    const TrustList a = decode_list(read_data(kLists[0]));
    const TrustList again = decode_list(read_data(kLists[0]));
    EXPECT_TRUE(diff(a, again).empty());
    EXPECT_TRUE(diff(a, decode_unsigned_list(to_be_signed(a))).empty()) << "it waits for its signature";
    Bytes octets = read_data(kLists[0]);
    octets[a.signature_position() + 3] ^= 1;
    const ListDifference difference = diff(a, decode_list(octets));
    ASSERT_EQ(difference.header.size(), 1U);
    EXPECT_EQ(difference.header[0].field, "signature");
}

TEST(Diff, RecordsMovedAndChanged) {
    const TrustList a = decode_list(read_data(kLists[0]));
    ListDraft draft = draft_with({});
    draft.records.clear();
    for (const Record& record : a.records()) {
        RecordDraft copy;
        copy.raw = Bytes(record.octets().begin(), record.octets().end());
        draft.records.push_back(copy);
    }
    std::swap(draft.records[1], draft.records[2]);
    const TrustList moved = decode_unsigned_list(encode(draft).octets);
    const ListDifference difference = diff(a, moved);
    EXPECT_TRUE(difference.records.empty());
    EXPECT_TRUE(difference.signers.empty());
    EXPECT_TRUE(std::ranges::any_of(difference.header, [](const FieldChange& change) {
        return change.field == "order of records" && change.after == "1 3 2 4 5";
    }));

    const std::size_t last = draft.records[3].raw->size() - 1;
    (*draft.records[3].raw)[last] ^= 1;  // of the address 10.48.47.154
    const ListDifference changed = diff(moved, decode_unsigned_list(encode(draft).octets));
    ASSERT_EQ(changed.records.size(), 1U);
    EXPECT_EQ(changed.records[0].change, Change::Changed);
    ASSERT_EQ(changed.records[0].fields.size(), 1U);
    EXPECT_EQ(changed.records[0].fields[0].field, "ip-address");
    EXPECT_THAT(to_text(changed), HasSubstr("~ record 4: CCM+TFTP 10.48.47.154"));
}

TEST(Text, Timestamps) {
    EXPECT_EQ(format_utc(1425667513), "2015-03-06T18:45:13Z");
    EXPECT_EQ(format_utc(-1), "1969-12-31T23:59:59Z");
    EXPECT_EQ(find_timestamp("2015-03-06T18:45:13Z"), 1425667513U);
    EXPECT_EQ(find_timestamp("2015-03-06T19:45:13+01:00"), 1425667513U);
    EXPECT_EQ(find_timestamp("1425667513"), 1425667513U);
    EXPECT_EQ(find_timestamp("0"), 0U);
    EXPECT_EQ(find_timestamp("4294967295"), 4294967295U);
    EXPECT_EQ(find_timestamp("2106-02-07T06:28:15Z"), 4294967295U);
    for (const char* text :
         {"", "-1", "+1", "4294967296", "99999999999999999999", "2106-02-07T06:28:16Z",
          "2015-02-29T00:00:00Z", "1969-12-31T23:59:59Z", "2015-03-06T18:45:13", "2015-03-06T18:45:13.5Z",
          "2015-03-06T24:00:00Z", "2015-03-06 18:45", "1e9", "0x10", "2015-03-06T18:45:13+0100"})
        EXPECT_FALSE(find_timestamp(text)) << text;
}

TEST(Text, Addresses) {
    EXPECT_EQ(find_address("10.48.47.153"), (Bytes{10, 48, 47, 153}));
    EXPECT_EQ(address_text(*find_address("2001:db8::1")), "2001:db8::1");
    for (const char* text : {"", "10.48.47", "10.48.47.256", "10.48.47.153 ", "::g"})
        EXPECT_FALSE(find_address(text)) << text;
    EXPECT_FALSE(address_text(Bytes{1, 2, 3}));
}

}  // namespace
}  // namespace ctlsign
