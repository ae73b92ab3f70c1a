#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tests/unit/phone/cluster_lists.hpp>

// What the table of combinations does not reach.
namespace ctlsign::phone::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

Device holding_both() {
    return {modern(), {old_ctl(), old_itl(), {}}};
}

Verdict decide_with(const TrustList& list, ListKind kind, const Device& device, const TvsServer& server) {
    return decide(list, kind, device, std::span(&server, 1), kNow);
}

Verdict decide_with(Signer signer, const Device& device, const TvsServer& server) {
    return decide_with(*new_list(signer), ListKind::Ctl, device, server);
}

TEST(Decision, TheVeryListThatIsInstalled) {
    EXPECT_EQ(decide(*old_ctl(), ListKind::Ctl, holding_both(), std::nullopt, kNow).rule,
              Rule::AlreadyInstalled);
}

TEST(Decision, AnItlIsCheckedAgainstAFreshCtlWithoutTvs) {
    Device device{modern(), {old_ctl(), old_itl(), {}}};
    const auto ctl = new_list(Signer::InTvsDatabase);
    const TvsServer server = tvs_server(Signer::InTvsDatabase);
    ASSERT_EQ(decide_with(*ctl, ListKind::Ctl, device, server).rule, Rule::Tvs);
    device.installed.take(ctl, ListKind::Ctl);
    const auto itl = sign(draft_by(Signer::InTvsDatabase, {record_of(tvs().certificate, Role::Tvs)}),
                          open_signer(Signer::InTvsDatabase));
    EXPECT_EQ(decide(*itl, ListKind::Itl, device, std::span<const TvsServer>(), kNow).rule,
              Rule::InstalledCtl);
}

TEST(Decision, AfterARollbackAnyItlIsTaken) {
    Device device{modern(), {old_ctl(), old_itl(ItlState::Rollback), {}}};
    EXPECT_EQ(decide(*new_list(Signer::Unknown), ListKind::Itl, device, std::nullopt, kNow).rule,
              Rule::AfterRollback);
    device.model.security_by_default = false;
    EXPECT_EQ(decide(*new_list(Signer::Unknown), ListKind::Itl, device, std::nullopt, kNow).rule,
              Rule::AfterRollback);
    EXPECT_EQ(decide(*new_list(Signer::InCtl), ListKind::Itl, device, std::nullopt, kNow).rule,
              Rule::InstalledCtl);
    device.installed.itl = old_itl();
    EXPECT_EQ(decide(*new_list(Signer::Unknown), ListKind::Itl, device, std::nullopt, kNow).rule,
              Rule::NoSecurityByDefault);
}

TEST(Decision, AKnownSignersBadSignatureIsRefusedWithoutTvs) {
    const auto good = new_list(Signer::InCtl);
    Bytes octets(good->octets().begin(), good->octets().end());
    octets[good->signature_position() + 3] ^= 1U;
    const Verdict verdict =
        decide_with(decode_list(std::move(octets)), ListKind::Ctl, holding_both(), tvs_server(Signer::InCtl));
    EXPECT_EQ(verdict.rule, Rule::SignatureRefused);
    EXPECT_EQ(verdict.signature->rule, ctlsign::Rule::SignatureWrong);
    EXPECT_THAT(to_text(verdict), HasSubstr("signature-wrong"));
}

TEST(Decision, ARecordWithAnotherKeySignsForNobody) {
    auto draft = draft_by(Signer::InCtl, {record_of(certificate_of(Signer::InCtl), Role::Sast)});
    draft.records[0].public_key =
        Bytes(stranger().certificate.public_key().begin(), stranger().certificate.public_key().end());
    const Device device{modern(), {sign(draft, open_signer(Signer::InCtl)), old_itl(), {}}};
    const Verdict verdict = decide_with(Signer::InCtl, device, tvs_server(Signer::InCtl));
    EXPECT_EQ(verdict.rule, Rule::SignatureRefused);
    EXPECT_EQ(verdict.signature->rule, ctlsign::Rule::RecordKeyDiffers);
}

TEST(Decision, AHashMustMatchWhatTvsReturns) {
    TvsServer server = tvs_server(Signer::HashOnly);
    EXPECT_EQ(decide_with(Signer::HashOnly, holding_both(), server).rule, Rule::Tvs);
    server.answer.certificate = certificate_of(Signer::InTvsDatabase);
    EXPECT_EQ(decide_with(Signer::HashOnly, holding_both(), server).rule, Rule::TvsCertificateUnfit);
}

TEST(Decision, TvsMustReturnTheSignersOwnCertificate) {
    TvsServer server = tvs_server(Signer::InTvsDatabase);
    server.answer.certificate = stranger().certificate;
    EXPECT_EQ(decide_with(Signer::InTvsDatabase, holding_both(), server).rule, Rule::TvsCertificateUnfit);
}

TEST(Decision, WithoutTheRoleOfASastTvsDoesNotVouch) {
    TvsServer server = tvs_server(Signer::InTvsDatabase);
    server.answer.roles = {Role::CcmTftp};
    EXPECT_EQ(decide_with(Signer::InTvsDatabase, holding_both(), server).rule, Rule::TvsNotSast);
    EXPECT_EQ(remedies(Rule::TvsNotSast).front(), Remedy::PutSignerIntoPhoneSastTrust);
}

// --- what would change it ---------------------------------------------------------------------------------

TEST(Ways, OfAnOldDigestSayWhatIsNeededBesides) {
    Device device = holding_both();
    device.model.sha1_only = true;
    const auto ways = [&](Signer signer) {
        const Verdict verdict = decide(*new_list(signer, Digest::Sha512), ListKind::Ctl, device,
                                       std::vector{tvs_server(signer)}, kNow);
        EXPECT_EQ(verdict.rule, Rule::DigestUnknown);
        return verdict.ways;
    };
    EXPECT_THAT(ways(Signer::InCtl), ElementsAre(Way{Remedy::SignWithSha1}));
    EXPECT_THAT(ways(Signer::InTvsDatabase), ElementsAre(Way{Remedy::SignWithSha1}));
    EXPECT_THAT(ways(Signer::Unknown),
                ElementsAre(Way{Remedy::SignWithSha1, Remedy::PutSignerIntoPhoneSastTrust},
                            Way{Remedy::SignWithSha1, Remedy::SignWithInstalledSast},
                            Way{Remedy::SignWithSha1, Remedy::DeleteListByHand}));
    device.model.tls10_only = true;
    EXPECT_EQ(ways(Signer::Unknown).front(),
              (Way{Remedy::SignWithSha1, Remedy::AllowTls10, Remedy::PutSignerIntoPhoneSastTrust}));
    device.model.security_by_default = false;
    EXPECT_THAT(ways(Signer::InTvsDatabase),
                ElementsAre(Way{Remedy::SignWithSha1, Remedy::SignWithInstalledSast},
                            Way{Remedy::SignWithSha1, Remedy::DeleteListByHand}));
    EXPECT_THAT(to_text(decide(*new_list(Signer::InTvsDatabase, Digest::Sha512), ListKind::Ctl, device,
                               std::nullopt, kNow)),
                HasSubstr("; to change it: sign with SHA-1, and sign with a token or key that the installed "
                          "lists hold as a SAST, or sign with SHA-1, and delete"));
}

TEST(Ways, OfAnOldTlsSayWhatIsNeededBesides) {
    Device device = holding_both();
    device.model.tls10_only = true;
    const auto ways = [&](Signer signer) {
        return decide(*new_list(signer), ListKind::Ctl, device, std::vector{tvs_server(signer)}, kNow).ways;
    };
    EXPECT_THAT(ways(Signer::InTvsDatabase),
                ElementsAre(Way{Remedy::AllowTls10}, Way{Remedy::SignWithInstalledSast},
                            Way{Remedy::DeleteListByHand}));
    EXPECT_THAT(ways(Signer::Unknown),
                ElementsAre(Way{Remedy::AllowTls10, Remedy::PutSignerIntoPhoneSastTrust},
                            Way{Remedy::SignWithInstalledSast}, Way{Remedy::DeleteListByHand}));
    TvsServer foreign = tvs_server(Signer::InTvsDatabase);
    foreign.certificate = stranger().certificate;
    const Verdict verdict =
        decide(*new_list(Signer::InTvsDatabase), ListKind::Ctl, device, std::vector{foreign}, kNow);
    EXPECT_EQ(verdict.rule, Rule::TvsTlsTooNew);
    EXPECT_EQ(verdict.ways.front(), (Way{Remedy::AllowTls10, Remedy::RestoreItl}));
}

TEST(Ways, OfAPhoneWithoutAnItlSayWhatTvsWouldAnswer) {
    const Device device{modern(), {old_ctl(), nullptr, {}}};
    const auto second = [&](Signer signer) {
        return decide(*new_list(signer), ListKind::Ctl, device, std::vector{tvs_server(signer)}, kNow)
            .ways[1];
    };
    EXPECT_EQ(second(Signer::InTvsDatabase), (Way{Remedy::RestoreItl}));
    EXPECT_EQ(second(Signer::Unknown), (Way{Remedy::RestoreItl, Remedy::PutSignerIntoPhoneSastTrust}));
}

TEST(Ways, OfARefusedItlDoNotAskForAnItl) {
    const Device device{modern(), {old_ctl(), nullptr, {}}};
    const Verdict verdict = decide(*new_list(Signer::InTvsDatabase), ListKind::Itl, device,
                                   std::vector{tvs_server(Signer::InTvsDatabase)}, kNow);
    EXPECT_EQ(verdict.rule, Rule::NoItl);
    EXPECT_THAT(verdict.ways, ElementsAre(Way{Remedy::SignWithInstalledSast}, Way{Remedy::PublishCtlFirst}));
    EXPECT_THAT(to_text(verdict), HasSubstr("holds the ITL's signer as a SAST"));
    // It does help: with that CTL the ITL is taken.
    Device later = device;
    later.installed.ctl = new_list(Signer::InTvsDatabase);
    EXPECT_EQ(decide(*new_list(Signer::InTvsDatabase), ListKind::Itl, later, std::nullopt, kNow).rule,
              Rule::InstalledCtl);
}

TEST(Ways, OfASignerThatIsKnownByItsHash) {
    Device device = holding_both();
    device.model.security_by_default = false;
    const auto list = new_list(Signer::HashOnly);
    const Verdict verdict = decide(*list, ListKind::Ctl, device, std::nullopt, kNow);
    EXPECT_EQ(verdict.rule, Rule::HashOnly);
    EXPECT_EQ(verdict.outcome, Outcome::Refuses);
    EXPECT_THAT(verdict.ways, ElementsAre(Way{Remedy::SignWithSastInFull}, Way{Remedy::DeleteListByHand}));
    EXPECT_THAT(to_text(verdict), HasSubstr("hold a hash of the signer, which gives no key"));
    device = {modern(), {old_ctl(), nullptr, {}}};
    const auto ways =
        decide(*list, ListKind::Ctl, device, std::vector{tvs_server(Signer::HashOnly)}, kNow).ways;
    EXPECT_THAT(ways, ElementsAre(Way{Remedy::SignWithSastInFull}, Way{Remedy::RestoreItl},
                                  Way{Remedy::DeleteListByHand}));
    TvsServer down = tvs_server(Signer::HashOnly);
    down.state = TvsServer::State::Down;
    const Verdict unanswered = decide_with(*list, ListKind::Ctl, holding_both(), down);
    EXPECT_EQ(unanswered.rule, Rule::TvsDown);
    EXPECT_THAT(to_text(unanswered), HasSubstr("give no key of the signer"));
    EXPECT_THAT(unanswered.ways, ElementsAre(Way{Remedy::RestoreTvs}, Way{Remedy::SignWithSastInFull},
                                             Way{Remedy::DeleteListByHand}));
}

TEST(Ways, DoNotAskForWhatIsDone) {
    TvsServer server = tvs_server(Signer::InCtlCacheOnly);
    const auto first = [&] {
        const Verdict verdict = decide_with(Signer::InCtlCacheOnly, holding_both(), server);
        EXPECT_EQ(verdict.rule, Rule::TvsInvalid);
        return verdict.ways.front();
    };
    EXPECT_EQ(first(), Way{Remedy::PutSignerIntoPhoneSastTrust});
    server.answer.holds_signer = true;
    EXPECT_EQ(first(), Way{Remedy::PutSignerIntoTvsCtl});
}

// --- servers in turn --------------------------------------------------------------------------------------

TEST(Servers, TheFirstThatIsTrustedDecides) {
    TvsServer down = tvs_server(Signer::InTvsDatabase), foreign = down, good = down, denying = down;
    down.state = TvsServer::State::Down;
    foreign.certificate = stranger().certificate;
    denying.answer = {};
    const auto ask = [&](std::vector<TvsServer> servers) {
        return decide(*new_list(Signer::InTvsDatabase), ListKind::Ctl, holding_both(), servers, kNow);
    };
    const Verdict third = ask({down, foreign, good});
    EXPECT_EQ(third.rule, Rule::Tvs);
    EXPECT_EQ(third.server, 2U);
    EXPECT_EQ(ask({denying, good}).rule, Rule::TvsInvalid);
    EXPECT_EQ(ask({foreign, down}).rule, Rule::TvsNotTrusted);
    EXPECT_EQ(ask({down, down}).rule, Rule::TvsDown);
    EXPECT_FALSE(ask({down, down}).server);
    EXPECT_EQ(ask({}).rule, Rule::TvsDown);
}

TEST(Decision, IsNotKnownBehindATvsServerThatIsNot) {
    const auto list = new_list(Signer::InTvsDatabase);
    TvsServer unknown, down;
    unknown.state = TvsServer::State::NotKnown;
    const TvsServer good = tvs_server(Signer::InTvsDatabase);
    EXPECT_EQ(decide(*list, ListKind::Ctl, holding_both(), std::vector{unknown, good}, kNow).rule,
              Rule::TvsUnknown);
    EXPECT_EQ(decide(*list, ListKind::Ctl, holding_both(), std::vector{down, unknown}, kNow).outcome,
              Outcome::NotKnown);
    EXPECT_EQ(decide(*list, ListKind::Ctl, holding_both(), std::vector{good, unknown}, kNow).rule, Rule::Tvs);
}

TEST(Servers, NotAskedYet) {
    const Verdict verdict =
        decide(*new_list(Signer::InTvsDatabase), ListKind::Ctl, holding_both(), std::nullopt, kNow);
    EXPECT_EQ(verdict.rule, Rule::AskTvs);
    EXPECT_EQ(verdict.outcome, Outcome::NotKnown);
}

TEST(Servers, AModelOfTls10NeedsAServerThatSpeaksIt) {
    Device device = holding_both();
    device.model.tls10_only = true;
    TvsServer server = tvs_server(Signer::InTvsDatabase);
    EXPECT_EQ(decide_with(Signer::InTvsDatabase, device, server).rule, Rule::TvsTlsTooNew);
    server.speaks_tls10 = true;
    EXPECT_EQ(decide_with(Signer::InTvsDatabase, device, server).rule, Rule::Tvs);
}

TEST(Servers, AHashInTheItlTrustsThemToo) {
    auto record = record_of(tvs().certificate, Role::Tvs);
    const std::array<ByteView, 1> whole{tvs().certificate.der()};
    record.certificate_hash = compute_digest(Digest::Sha256, whole);
    record.hash_algorithm = Digest::Sha256;
    record.certificate.reset();
    Device device = holding_both();
    device.installed.itl = sign(draft_by(Signer::InItl, {record}), open_signer(Signer::InItl));
    EXPECT_TRUE(device.installed.trusts_tvs(tvs().certificate));
    EXPECT_FALSE(device.installed.trusts_tvs(stranger().certificate));
    EXPECT_EQ(decide_with(Signer::InTvsDatabase, device, tvs_server(Signer::InTvsDatabase)).rule, Rule::Tvs);
}

// --- what a phone keeps for a day -------------------------------------------------------------------------

TEST(Cache, HoldsForItsTimeAndGoesWithTheList) {
    Device device = holding_both();
    const auto list = new_list(Signer::InTvsDatabase);
    const Verdict first = decide_with(*list, ListKind::Ctl, device, tvs_server(Signer::InTvsDatabase));
    ASSERT_TRUE(first.learned);
    EXPECT_EQ(first.learned->expires, kNow + 24h);
    device.installed.cache.push_back(*first.learned);
    EXPECT_EQ(decide(*list, ListKind::Ctl, device, std::nullopt, kNow + 24h - 1s).rule, Rule::CachedSigner);
    EXPECT_EQ(decide(*list, ListKind::Ctl, device, std::nullopt, kNow + 24h).rule, Rule::AskTvs);
    EXPECT_EQ(decide(*new_list(Signer::Unknown), ListKind::Ctl, device, std::nullopt, kNow).rule,
              Rule::AskTvs);
    device.installed.take(new_list(Signer::InCtl), ListKind::Ctl);
    EXPECT_THAT(device.installed.cache, IsEmpty());
    EXPECT_EQ(decide(*list, ListKind::Ctl, device, std::nullopt, kNow).rule, Rule::AskTvs);
}

TEST(Cache, DoesNotHelpAModelThatAsksNobody) {
    Device device = holding_both();
    const auto list = new_list(Signer::InTvsDatabase);
    device.installed.cache.push_back(
        *decide_with(*list, ListKind::Ctl, device, tvs_server(Signer::InTvsDatabase)).learned);
    device.model.security_by_default = false;
    EXPECT_EQ(decide(*list, ListKind::Ctl, device, std::nullopt, kNow).rule, Rule::NoSecurityByDefault);
}

// --- models -----------------------------------------------------------------------------------------------

TEST(Decision, AModelOfSha1TakesNoOtherDigest) {
    Device device = holding_both();
    device.model.sha1_only = true;
    EXPECT_EQ(
        decide(*new_list(Signer::InCtl, Digest::Sha512), ListKind::Ctl, device, std::nullopt, kNow).rule,
        Rule::DigestUnknown);
    EXPECT_EQ(decide(*new_list(Signer::InCtl), ListKind::Ctl, device, std::nullopt, kNow).rule,
              Rule::InstalledCtl);
    device.installed = {};
    EXPECT_EQ(
        decide(*new_list(Signer::InCtl, Digest::Sha512), ListKind::Ctl, device, std::nullopt, kNow).rule,
        Rule::DigestUnknown);
}

TEST(Decision, ANewerHeaderIsTakenWithAWarning) {
    Device device = holding_both();
    device.model.newest_header = {1, 1};
    const Verdict verdict = decide(*new_list(Signer::InCtl), ListKind::Ctl, device, std::nullopt, kNow);
    EXPECT_EQ(verdict.outcome, Outcome::Accepts);
    EXPECT_TRUE(verdict.newer_header);
}

TEST(Decision, OfAnUnknownModelOnlyWhatItsListsSayIsKnown) {
    Device device = holding_both();
    device.model = {};
    EXPECT_EQ(decide_with(Signer::InCtl, device, tvs_server(Signer::InCtl)).outcome, Outcome::Accepts);
    const Verdict vouched = decide_with(Signer::InTvsDatabase, device, tvs_server(Signer::InTvsDatabase));
    EXPECT_EQ(vouched.rule, Rule::ModelUnknown);
    EXPECT_EQ(vouched.outcome, Outcome::NotKnown);
    EXPECT_EQ(decide_with(Signer::Unknown, device, tvs_server(Signer::Unknown)).rule, Rule::TvsInvalid);
}

TEST(Models, ByTheNamesThatInventoriesHave) {
    const ModelTable& table = ModelTable::shipped();
    for (const char* name :
         {"8861", "CP-8861", "Cisco 8861", "Cisco Unified IP Phone 8861", "Cisco IP Phone 8861"}) {
        const Model model = table.find(name, "");
        EXPECT_TRUE(model.listed) << name;
        EXPECT_EQ(model.security_by_default, true) << name;
        EXPECT_FALSE(model.sha1_only || model.tls10_only) << name;
    }
    const Model old = table.find("Cisco 7960", "P00308010200");
    EXPECT_TRUE(old.listed && old.sha1_only && old.tls10_only);
    EXPECT_EQ(old.security_by_default, false);
    EXPECT_EQ(old.newest_header, (Version{1, 1}));
    const Model middle = table.find("CP-7962G", "");
    EXPECT_TRUE(middle.listed && middle.tls10_only);
    EXPECT_EQ(middle.security_by_default, true);
    EXPECT_EQ(table.find("Cisco Jabber for Desktop", "").security_by_default, false);
}

TEST(Models, AreGuessedAndSaidToBe) {
    const Model guessed = ModelTable::shipped().find("CP-8899", "");
    EXPECT_FALSE(guessed.listed);
    EXPECT_EQ(guessed.security_by_default, true);
    EXPECT_THAT(guessed.reasons, ElementsAre(HasSubstr("by the name")));
    const Model unknown = ModelTable::shipped().find("Polycom VVX", "");
    EXPECT_FALSE(unknown.listed);
    EXPECT_FALSE(unknown.security_by_default);
    EXPECT_THAT(unknown.reasons, IsEmpty());
}

TEST(Models, OfThe7940And7960AskNobodyHoweverTheyAreSpelt) {
    for (const char* name : {"CP-7960G=", "CP-7960G-CH1", "Cisco 7960G SCCP", "7940-A", "Cisco 7960 ",
                             " cisco 7960", "cp-7940g", "CISCO UNIFIED IP PHONE 7940"}) {
        const Model model = ModelTable::shipped().find(name, "");
        EXPECT_EQ(model.security_by_default, false) << name;
        EXPECT_TRUE(model.listed) << name;
    }
    EXPECT_TRUE(ModelTable::shipped().find("cisco 8861", "").listed);
    EXPECT_TRUE(ModelTable::shipped().find("cp-8861", "").listed);
    for (const char* name : {"7905", "Cisco 7912", "6921"})
        EXPECT_EQ(ModelTable::shipped().find(name, "").security_by_default, std::nullopt) << name;
}

TEST(Models, LaterRowsCountMore) {
    ModelTable table = ModelTable::shipped();
    table.append(
        ModelTable::decode("[[model]]\nwhy = \"seen\"\nname = \"8861\"\nfirmware = [\"sip88xx.10*\"]\n"
                           "newest-header = \"1.1\"\n",
                           "mine.toml"));
    EXPECT_EQ(table.find("CP-8861", "sip88xx.10-2-1").newest_header, (Version{1, 1}));
    EXPECT_EQ(table.find("CP-8861", "sip88xx.12-5-1").newest_header, (Version{1, 2}));
}

TEST(Models, SayWhatIsWrongWithARow) {
    const auto complaint = [](const std::string& toml) -> std::string {
        try {
            ModelTable::decode(toml, "mine.toml");
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), Errc::Malformed);
            return e.what();
        }
        return "accepted";
    };
    const std::string row = "[[model]]\nwhy = \"a\"\nname = \"1\"\n";
    EXPECT_THAT(complaint("[[models]]\n"), HasSubstr("line 1: expected [[model]]"));
    EXPECT_THAT(complaint("model = 1\n"), HasSubstr("expected [[model]]"));
    EXPECT_THAT(complaint("model = [1]\n"), HasSubstr("expected a row"));
    EXPECT_THAT(complaint("[[model]]\nname = \"1\"\n"), HasSubstr("does not say why"));
    EXPECT_THAT(complaint("[[model]]\nwhy = \"a\"\n"), HasSubstr("does not say what it is for"));
    EXPECT_THAT(complaint(row + "guess = 1\n"), HasSubstr("line 4: expected true or false"));
    EXPECT_THAT(complaint(row + "firmware = []\n"), HasSubstr("matches nothing"));
    EXPECT_THAT(complaint(row + "newest-header = \"1.20\"\n"), HasSubstr("expected a version"));
    EXPECT_THAT(complaint(row + "sha1 = true\n"), HasSubstr("no row has the key 'sha1'"));
    EXPECT_THAT(complaint("[[model\n"), HasSubstr("mine.toml"));
}

// --- what else is told ------------------------------------------------------------------------------------

TEST(Registration, IsSignedWithATftpCertificateOnly) {
    EXPECT_EQ(registration_of(*old_ctl()), Registration::Signed);
    const auto bare = sign(draft_by(Signer::InCtl, {record_of(certificate_of(Signer::InCtl), Role::Sast),
                                                    krakow::bare_record("pub", krakow::kPublisherAddress)}),
                           open_signer(Signer::InCtl));
    EXPECT_EQ(registration_of(*bare), Registration::Unsecured);
}

TEST(Verdicts, SayTheRuleAndWhatWouldChangeThem) {
    Device device = holding_both();
    device.model.security_by_default = false;
    const Verdict verdict =
        decide(*new_list(Signer::InTvsDatabase), ListKind::Ctl, device, std::nullopt, kNow);
    EXPECT_EQ(to_text(verdict),
              "refuses: its lists do not know the signer, and the model does not ask TVS (rule 5); to change "
              "it: sign "
              "with a token or key that the installed lists hold as a SAST, or delete the trust list on each "
              "of these "
              "phones by hand");
    EXPECT_EQ(
        to_text(decide(*new_list(Signer::Unknown), ListKind::Ctl, Device{modern(), {}}, std::nullopt, kNow)),
        "accepts: nothing is installed: the first list is taken on faith (rule 1)");
}

}  // namespace
}  // namespace ctlsign::phone::testing
