#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>

#include <ctlsign/error.hpp>
#include <ctlsign/phone/preflight.hpp>
#include <ctlsign/trustlist/show.hpp>
#include <tests/unit/phone/cluster_lists.hpp>

namespace ctlsign::phone::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

const std::string kMd5(32, 'A'), kSha1(40, 'b');

Inventory decode_text(const std::string& text) {
    return Inventory::decode(text, "phones.csv");
}

std::string complaint(const std::string& text) {
    try {
        decode_text(text);
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Errc::Malformed);
        return e.what();
    }
    return "accepted";
}

TEST(Inventory, CsvWithTheHeadingsThatExportsHave) {
    const Inventory inventory = decode_text(
        "\xEF\xBB\xBF"
        "Device Name,Description,Product,Load,CTL checksum,itl,Device Pool,TVS\r\n"
        "SEP001,\"Smith, \"\"Jo\"\"\nfloor 2\",CP-8861,sip88xx,\"aa:aa aaaa" +
        std::string(24, 'a') + "\"," + kSha1 + ",Krakow,cucm1 cucm2\r\n" +
        "\n"
        "SEP002,,7960,,none,?,,\n"
        "SEP003,,7960,,none,?,,");
    ASSERT_EQ(inventory.phones().size(), 3U);
    EXPECT_EQ(inventory.traits_of(inventory.phones()[0]),
              (Traits{"CP-8861", "sip88xx", kMd5, std::string(40, 'B'), "Krakow", "cucm1 cucm2"}));
    EXPECT_EQ(inventory.traits_of(inventory.phones()[1]), (Traits{"7960", "", "", "?", "", ""}));
    EXPECT_EQ(inventory.traits().size(), 2U) << "the same traits are kept once";
}

TEST(Inventory, JsonLines) {
    const Inventory inventory = decode_text(R"({"device": "SEP001", "model": "8861", "ctl": ")" + kSha1 +
                                            R"(", "tvs": ["a", "b"], "owner": 7}
{"name": "SEP002", "itl": null}
)");
    ASSERT_EQ(inventory.phones().size(), 2U);
    EXPECT_EQ(inventory.traits_of(inventory.phones()[0]).tvs, "a b");
    EXPECT_EQ(inventory.phones()[1].name, "SEP002");
    EXPECT_EQ(inventory.traits_of(inventory.phones()[0]).itl, kNotKnown) << "no word of it";
    EXPECT_EQ(inventory.traits_of(inventory.phones()[1]).itl, kNotKnown) << "null says nothing either";
}

TEST(Inventory, ListsOfWhichThereIsNoWordAreNotKnown) {
    const Inventory inventory = decode_text("device,model,itl\nSEP1,7960,\nSEP2,7960,none\n");
    for (const auto& phone : inventory.phones()) {
        EXPECT_EQ(inventory.traits_of(phone).ctl, kNotKnown) << "there is no such column";
        EXPECT_EQ(inventory.traits_of(phone).itl, "") << "the cell says that there is none";
    }
}

TEST(Inventory, SaysWhatIsWrongAndWhere) {
    EXPECT_THAT(complaint(""), HasSubstr("no heading 'device'"));
    EXPECT_THAT(complaint("model\n8861\n"), HasSubstr("no heading 'device'"));
    EXPECT_THAT(complaint("device,ctl\nSEP1,12\n"), HasSubstr("line 2: '12' is no checksum"));
    EXPECT_THAT(complaint("device,ctl\nSEP1\n"), HasSubstr("line 2: 1 cells under 2 headings"));
    EXPECT_THAT(complaint("device\nSEP1\nSEP1\n"), HasSubstr("line 3: 'SEP1' comes twice"));
    EXPECT_THAT(complaint("device,model\n,8861\n"), HasSubstr("a phone without a name"));
    EXPECT_THAT(complaint("device,model\nSEP1,\"8861\n"), HasSubstr("a quote is not closed"));
    EXPECT_THAT(complaint("device,ctl,CTL Checksum\nSEP1,,\n"), HasSubstr("line 1: 'ctl' is there twice"));
    EXPECT_THAT(
        complaint("{\"device\": \"a\"}\n{\"device\": \"b\", \"itl\": null, \"itl-checksum\": \"\"}\n"),
        HasSubstr("line 2: 'itl' is there twice"));
    EXPECT_THAT(complaint("{\"device\": \"a\", \"ctl\": \"\", \"ctl\": \"?\"}\n"),
                HasSubstr("line 1: 'ctl' is there twice"));
    EXPECT_THAT(complaint("device,\"model,ctl\nSEP1,8861\n"), HasSubstr("line 1: a quote is not closed"));
    EXPECT_THAT(complaint("device,model\rSEP1,8861\r"), HasSubstr("line 1: lines end with CR alone"));
    EXPECT_THAT(complaint("device,\rSEP1,\r"), HasSubstr("line 1: lines end with CR alone"));
    for (const char* name : {"\"SEP1\nHost: x\"", "SEP1\x1b[31m", "../SEP1"})
        EXPECT_THAT(complaint("device\n" + std::string(name) + "\n"), HasSubstr("is no name of a phone"));
    EXPECT_THAT(complaint("device\nSEPB000\nsepb000\n"), HasSubstr("line 3: 'SEPB000' comes twice"));
    EXPECT_THAT(complaint("{\"device\": 1}\n"), HasSubstr("line 1: 'device' is a text"));
    EXPECT_THAT(complaint("{\"device\": \"a\"}\n{oops\n"), HasSubstr("line 2: expected a JSON object"));
    EXPECT_THAT(complaint("{\"device\": \"a\", \"tvs\": [1]}\n"), HasSubstr("a TVS server is a text"));
}

TEST(Inventory, BlanksAroundACellAreNotPartOfIt) {
    const Inventory inventory = decode_text(
        "device,model,pool\nSEP1, \"8861\",\" far \"\nSEP2,8861 ,far\nSEP3,\t8861,\"far\t\" \r\n");
    ASSERT_EQ(inventory.phones().size(), 3U);
    EXPECT_EQ(inventory.traits().size(), 1U);
    EXPECT_EQ(inventory.traits()[0].model, "8861");
}

TEST(Inventory, ComesBackFromItsOwnCsv) {
    Inventory inventory = decode_text("device,model,pool\nSEP2,\"a,\"\"b\",p\nSEP1,7960,\n");
    const std::string text = inventory.encode();
    EXPECT_EQ(decode_text(text).encode(), text);
    EXPECT_THAT(text, HasSubstr("SEP1,7960,,?,?,,\nSEP2,\"a,\"\"b\",,?,?,p,\n"));
}

TEST(Inventory, MergesNewerOnes) {
    Inventory inventory = decode_text("device,model\nSEP1,7960\nSEP2,7960\n");
    inventory.merge(decode_text("device,model\nSEP2,8861\nSEP3,8861\n"));
    ASSERT_EQ(inventory.phones().size(), 3U);
    EXPECT_EQ(inventory.traits_of(inventory.phones()[0]).model, "7960");
    EXPECT_EQ(inventory.traits_of(inventory.phones()[1]).model, "8861");
    EXPECT_EQ(inventory.phones()[2].name, "SEP3");
}

TEST(Inventory, MergingKeepsWhatTheNewerHasNoWordOf) {
    Inventory inventory = decode_text("device,model,firmware,ctl,itl,pool,tvs\nSEP1,7960,," + kMd5 + "," +
                                      kMd5 + ",far,\nSEP2,7960,,,,far,\n");
    inventory.merge(
        decode_text("{\"device\": \"SEP1\", \"model\": \"8861\", \"itl\": \"\", \"ctl\": null}\n"
                    "{\"device\": \"SEP2\", \"ctl\": \"?\", \"pool\": \"\"}\n"));
    EXPECT_EQ(inventory.traits_of(inventory.phones()[0]), (Traits{"8861", "", kMd5, "", "far", ""}));
    EXPECT_EQ(inventory.traits_of(inventory.phones()[1]), (Traits{"7960", "", "?", "", "", ""}));
}

// --- preflight --------------------------------------------------------------------------------------------

// As an inventory is decoded: upper case.
std::string upper(std::string text) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
}
std::string md5_of(const TrustList& list) {
    return upper(checksums(list.octets()).md5);
}
std::string sha1_of(const TrustList& list) {
    return upper(checksums(list.octets()).sha1);
}

struct Office {
    KnownLists known;
    std::vector<TvsServer> servers{tvs_server(Signer::InTvsDatabase)};
    Office() {
        known.add(old_ctl(), "CTLFile.tlv");
        known.add(old_itl(), "ITLFile.tlv");
    }
    Preflight ask(const Inventory& inventory, Signer signer, Digest digest = Digest::Sha1,
                  ListKind kind = ListKind::Ctl) const {
        return preflight(
            inventory, *new_list(signer, digest), kind, known, ModelTable::shipped(),
            [this](const Traits& traits) {
                return traits.pool == "far" ? std::vector<TvsServer>() : servers;
            },
            kNow);
    }
};

TEST(KnownLists, AreFoundByEitherChecksum) {
    const Office office;
    EXPECT_EQ(office.known.find(md5_of(*old_ctl()))->name, "CTLFile.tlv");
    EXPECT_EQ(office.known.find(sha1_of(*old_itl()))->name, "ITLFile.tlv");
    EXPECT_EQ(office.known.find(kMd5), nullptr);
}

TEST(Preflight, CountsPhonesByWhatDecides) {
    const Office office;
    const std::string ctl = sha1_of(*old_ctl()), itl = md5_of(*old_itl());
    const Inventory inventory = decode_text(
        "device,model,ctl,itl,pool\n"
        "SEP1,8861," +
        ctl + "," + itl +
        ",near\n"
        "SEP2,8861," +
        ctl + "," + itl +
        ",near\n"
        "SEP3,8851," +
        ctl + "," + itl +
        ",near\n"
        "SEP4,8861," +
        ctl + "," + itl +
        ",far\n"
        "SEP5,7960," +
        ctl +
        ",,near\n"
        "SEP6,8861,,,near\n"
        "SEP7,8861," +
        kMd5 + "," + itl +
        ",near\n"
        "SEP8,8899," +
        ctl + "," + itl +
        ",near\n"
        "SEP9,Polycom," +
        ctl + "," + itl + ",near\n");
    const Preflight result = office.ask(inventory, Signer::InTvsDatabase);
    EXPECT_THAT(result.by_rule(), ElementsAre(Pair(Rule::FirstList, 1), Pair(Rule::Tvs, 4),
                                              Pair(Rule::NoSecurityByDefault, 1), Pair(Rule::TvsDown, 1),
                                              Pair(Rule::ModelUnknown, 1), Pair(Rule::ListsUnknown, 1)));
    EXPECT_EQ(result.count(Outcome::Accepts), 5U);
    EXPECT_EQ(result.count(Outcome::Refuses), 2U);
    EXPECT_EQ(result.count(Outcome::NotKnown), 2U);
    EXPECT_EQ(result.unlisted_models, 2U);
    EXPECT_EQ(result.ways().at({Remedy::DeleteListByHand}), 2U);
    EXPECT_EQ(result.ways().at({Remedy::FindLists}), 1U);
    EXPECT_EQ(result.group(inventory.phones()[4]).verdict.rule, Rule::NoSecurityByDefault);
    EXPECT_LT(result.groups.size(), inventory.traits().size() + 1);
}

TEST(Preflight, AnUnknownItlMattersOnlyWhereItCouldDecide) {
    const Office office;
    const Inventory inventory =
        decode_text("device,model,ctl,itl\nSEP1,8861," + sha1_of(*old_ctl()) + "," + kMd5 + "\nSEP2,8861," +
                    sha1_of(*old_ctl()) + ",?\nSEP3,8861,,?\n");
    EXPECT_THAT(office.ask(inventory, Signer::InCtl).by_rule(),
                ElementsAre(Pair(Rule::InstalledCtl, 2), Pair(Rule::ListsUnknown, 1)));
    EXPECT_THAT(office.ask(inventory, Signer::InItl).by_rule(), ElementsAre(Pair(Rule::ListsUnknown, 3)));
}

TEST(Preflight, WhatNoListWouldChangeIsTold) {
    Office office;
    office.known.add(old_itl(ItlState::Rollback), "rollback.tlv");
    const auto rule_of = [&](const std::string& row, Signer signer, Digest digest, ListKind kind) {
        return office.ask(decode_text("device,model,ctl,itl\nSEP1," + row + "\n"), signer, digest, kind)
            .by_rule()
            .begin()
            ->first;
    };
    const std::string ctl = sha1_of(*old_ctl()), itl = sha1_of(*old_itl()),
                      emptied = sha1_of(*old_itl(ItlState::Rollback));
    // It cannot compute the digest, whatever it has.
    for (const std::string& lists : {kMd5 + ",", kMd5 + "," + itl, std::string("?,?"), ctl + "," + kMd5})
        EXPECT_EQ(rule_of("7960," + lists, Signer::InCtl, Digest::Sha512, ListKind::Ctl), Rule::DigestUnknown)
            << lists;
    EXPECT_EQ(rule_of("7960," + kMd5 + ",", Signer::InCtl, Digest::Sha1, ListKind::Ctl), Rule::ListsUnknown);
    EXPECT_THAT(office
                    .ask(decode_text("device,model,ctl,itl\nSEP1,7960," + kMd5 + "," + itl + "\n"),
                         Signer::InCtl, Digest::Sha512)
                    .ways(),
                ElementsAre(Pair(Way{Remedy::SignWithSha1}, 1)));
    // Behind an emptied ITL it takes any ITL.
    EXPECT_EQ(rule_of("8861," + kMd5 + "," + emptied, Signer::Unknown, Digest::Sha1, ListKind::Itl),
              Rule::AfterRollback);
    EXPECT_EQ(rule_of("8861," + kMd5 + "," + emptied, Signer::Unknown, Digest::Sha1, ListKind::Ctl),
              Rule::ListsUnknown);
    EXPECT_EQ(rule_of("8861," + kMd5 + "," + itl, Signer::Unknown, Digest::Sha1, ListKind::Itl),
              Rule::ListsUnknown);
    // An ITL that it has already, whatever its CTL is.
    const auto same = [&](const std::string& lists) {
        return preflight(
                   decode_text("device,model,ctl,itl\nSEP1,8861," + lists + "\n"), *old_itl(), ListKind::Itl,
                   office.known, ModelTable::shipped(),
                   [](const Traits&) { return std::vector<TvsServer>(); }, kNow)
            .by_rule()
            .begin()
            ->first;
    };
    EXPECT_EQ(same(kMd5 + "," + itl), Rule::AlreadyInstalled);
    EXPECT_EQ(same(kMd5 + "," + kMd5), Rule::ListsUnknown);
}

TEST(Preflight, ABadSignatureIsRefusedUnlessTheItlMayBeEmptied) {
    Office office;
    const auto good = new_list(Signer::InCtl);
    Bytes octets(good->octets().begin(), good->octets().end());
    octets[good->signature_position() + 3] ^= 1U;
    const TrustList bad = decode_list(std::move(octets));
    const Inventory inventory =
        decode_text("device,model,ctl,itl\nSEP1,8861," + sha1_of(*old_ctl()) + "," + kMd5 + "\n");
    const auto judged = [&](ListKind kind) {
        return preflight(
                   inventory, bad, kind, office.known, ModelTable::shipped(),
                   [](const Traits&) { return std::vector<TvsServer>(); }, kNow)
            .by_rule()
            .begin()
            ->first;
    };
    EXPECT_EQ(judged(ListKind::Ctl), Rule::SignatureRefused);
    EXPECT_EQ(judged(ListKind::Itl), Rule::ListsUnknown);
}

}  // namespace
}  // namespace ctlsign::phone::testing
