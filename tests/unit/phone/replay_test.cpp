#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include <ctlsign/simulator/simulator.hpp>
#include <ctlsign/tvs/server.hpp>
#include <pkcs11/store.hpp>
#include <tests/support/temporary_folder.hpp>
#include <tests/unit/phone/cluster_lists.hpp>

// What administrators do with clusters, replayed with simulated phones that fetch files and ask TVS over TLS.
namespace ctlsign::phone::testing {
namespace {

using ctlsign::testing::TemporaryFolder;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::Not;

// A cluster of one node: what signs its lists, its TVS server, and the folder that phones fetch from.
class Cluster {
  public:
    Cluster(Signer signer, const MadeSigner& tvs, const std::filesystem::path& folder)
        : signer_(signer), tvs_(tvs), folder_(folder) {
        std::filesystem::create_directories(folder_);
    }

    void publish() {
        store(list(ListKind::Ctl), "CTLFile.tlv");
        store(list(ListKind::Itl), "ITLFile.tlv");
    }

    std::shared_ptr<const TrustList> list(ListKind kind) const {
        const sast::Certificate own = certificate_of(signer_);
        std::vector<RecordDraft> records{record_of(own, Role::Sast), record_of(own, Role::CcmTftp)};
        if (kind == ListKind::Itl) records.push_back(record_of(tvs_.certificate, Role::Tvs));
        auto draft = draft_by(signer_, std::move(records));
        draft.header.filename = kind == ListKind::Ctl ? "CTLFile.tlv" : "ITLFile.tlv";
        return sign(draft, open_signer(signer_));
    }

    // The server vouches for its own certificate, and for those that were put into CallManager-trust and
    // Phone-SAST-trust.
    tvs::Endpoint serve(std::vector<Signer> phone_sast_trust = {}, tvs::OldTls old = tvs::OldTls::Refused) {
        std::vector<tvs::DatabaseEntry> entries{{certificate_of(signer_), {Role::Sast, Role::Tftp}}};
        for (const Signer uploaded : phone_sast_trust)
            entries.push_back({certificate_of(uploaded), {Role::Sast, Role::Tftp}});
        const auto ctl = list(ListKind::Ctl);
        tvs::Server::Options options{{{"127.0.0.1", 0}}, {{tvs_.certificate}, tvs_.key}};
        options.policy = {old, tvs::SmallKeys::Allowed};
        options.limits.per_address = 10000;
        server_ = std::make_unique<tvs::Server>(
            std::move(options), std::make_shared<const tvs::CertificateStore>(entries, ctl.get()),
            [](tvs::Severity, std::string_view) {});
        return server_->endpoints().at(0);
    }
    /// "Prepare cluster for rollback to pre-8.0".
    void empty_itl() {
        auto draft = draft_by(signer_, {record_of(certificate_of(signer_), Role::Sast),
                                        krakow::bare_record("cucm-1051-a-pub", krakow::kPublisherAddress)});
        draft.header.filename = "ITLFile.tlv";
        store(sign(draft, open_signer(signer_)), "ITLFile.tlv");
    }
    tvs::Counters counters() const { return server_->counters(); }
    void become(Signer signer) { signer_ = signer; }
    std::string folder() const { return folder_.string(); }

  private:
    void store(const std::shared_ptr<const TrustList>& list, const std::string& name) const {
        std::filesystem::remove(folder_ / name);
        store_file((folder_ / name).string(), list->octets());
    }

    Signer signer_;
    const MadeSigner& tvs_;
    std::filesystem::path folder_;
    std::unique_ptr<tvs::Server> server_;
};

const MadeSigner& other_tvs() {
    static const MadeSigner kServer = make_signer("TVS-cluster-b", 21);
    return kServer;
}

using Models = std::map<std::string, std::string>;  // by the names of phones

struct Phones {
    std::map<std::string, std::vector<std::string>> logs;
    simulator::State state;

    explicit Phones(const Models& models) {
        for (const auto& [name, model] : models) state.phones.add(name, Traits{model, "", "", "", "", ""});
    }
    simulator::Summary start(const Cluster& cluster, std::vector<tvs::Endpoint> servers) {
        logs.clear();
        simulator::Options options;
        options.source = cluster.folder();
        options.tvs_servers = std::move(servers);
        options.now = kNow;
        return start_phones(state, options, [this](const std::string& name, std::string_view line) {
            logs[name].emplace_back(line);
        });
    }
};

constexpr const char* kModern = "SEPB000B4BA0AEE";
constexpr const char* kOlder = "SEP000000000002";
constexpr const char* kWithoutSbd = "SEP000000000003";

class Replay : public ::testing::Test {
  protected:
    TemporaryFolder folder_;
    Cluster a_{Signer::InCtl, tvs(), folder_ / "a"}, b_{Signer::InTvsDatabase, other_tvs(), folder_ / "b"};
    Phones phones_{Models{{kModern, "8861"}, {kWithoutSbd, "7960"}}};
};

std::vector<std::string> taken_through_tvs(const tvs::Endpoint& server, const TrustList& ctl,
                                           const std::string& device = "CP-8861-SEPB000B4BA0AEE") {
    const auto query = tvs::encode(
        {1001, 0,
         tvs::QueryRequest{device, std::string(ctl.signer_name()), std::string(ctl.signer_issuer()),
                           Bytes(ctl.signer_serial().begin(), ctl.signer_serial().end())}});
    const std::size_t certificate = certificate_of(Signer::InTvsDatabase).der().size();
    return {"Attempting connect to TVS server addr [" + to_text(server) + "]",
            "TCP connect() successful",
            "Role is = 21",
            "Certificate is valid",
            "Handshake successful",
            "processing TVS Query Certificate request",
            "bytes written : " + std::to_string(query.size()),
            "TVS Service receives " + std::to_string(10 + 4 + 3 + certificate + 5 + 7) + " bytes of data",
            "TVS added cert to TVS cache - expires in 24 hours",
            "Hashes match... authentication successful.",
            "AUTH: early exit from parser loop; old version header?",
            "TL parse to table: CTL_SUCCESS",
            "Updating master TL table",
            "TL file verified successfully.",
            "TL file updated.",
            "Trust List updated"};
}

std::vector<std::string> first_lines(const std::vector<std::string>& lines, std::size_t count) {
    return {lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(std::min(count, lines.size()))};
}

TEST_F(Replay, NewPhonesTakeTheFirstListsOnFaith) {
    a_.publish();
    const auto summary = phones_.start(a_, {});
    EXPECT_EQ(summary.taken, 4U);
    EXPECT_EQ(summary.status.at("CTL and ITL installed"), 2U);
    EXPECT_THAT(phones_.logs[kModern], Contains("CTL Installed"));
    EXPECT_THAT(phones_.logs[kModern], Contains("File Not Found <SEPB000B4BA0AEE.cnf.xml.sgn>"));
    EXPECT_EQ(phones_.start(a_, {}).unchanged, 4U);
    EXPECT_EQ(phones_.start(a_, {}).taken, 0U);
}

TEST_F(Replay, NothingToFetchNothingInstalled) {
    const auto summary = phones_.start(a_, {});
    EXPECT_EQ(summary.status.at("No Trust List installed"), 2U);
    EXPECT_THAT(phones_.logs[kModern],
                ElementsAre("File Not Found <CTLFile.tlv>", "File Not Found <ITLFile.tlv>",
                            "File Not Found <SEPB000B4BA0AEE.cnf.xml>"));
}

TEST_F(Replay, AListOfItsOwnComesBeforeTheCommonOne) {
    a_.publish();
    std::filesystem::copy_file(folder_ / "a/CTLFile.tlv",
                               folder_ / "a" / (std::string("CTL") + kModern + ".tlv"));
    std::filesystem::remove(folder_ / "a/CTLFile.tlv");
    phones_.start(a_, {});
    EXPECT_THAT(phones_.logs[kModern], Not(Contains("File Not Found <CTLFile.tlv>")));
    EXPECT_THAT(phones_.logs[kWithoutSbd], Contains("File Not Found <CTLFile.tlv>"));
}

TEST_F(Replay, MigrationFromSecureToSecureCluster) {
    a_.publish();
    b_.publish();
    phones_.start(a_, {});
    // B's CallManager certificate stands in A's Phone-SAST-trust; DHCP points to B, TVS is still A's.
    const auto server = a_.serve({Signer::InTvsDatabase});
    const auto summary = phones_.start(b_, {server});
    const auto expected = taken_through_tvs(server, *b_.list(ListKind::Ctl));
    EXPECT_THAT(first_lines(phones_.logs[kModern], expected.size()), ElementsAreArray(expected));
    EXPECT_EQ(summary.queries, 1U) << "the ITL that follows is checked against the new CTL, without TVS";
    EXPECT_EQ(summary.taken, 2U);
    // A phone that does not ask keeps what it has.
    EXPECT_EQ(summary.refused, 2U);
    EXPECT_THAT(phones_.logs[kWithoutSbd], Contains("Trust List update failed"));
    EXPECT_EQ(a_.counters().valid, 1U);
    // And from now on they are B's.
    const auto at_b = b_.serve();
    EXPECT_EQ(phones_.start(b_, {at_b}).unchanged, 2U);
    EXPECT_EQ(b_.counters().accepted, 0U);
}

TEST_F(Replay, MigrationWithoutTheUploadIsRefused) {
    a_.publish();
    b_.publish();
    phones_.start(a_, {});
    const auto summary = phones_.start(b_, {a_.serve()});
    EXPECT_EQ(summary.taken, 0U);
    EXPECT_EQ(summary.refused, 4U);
    EXPECT_THAT(phones_.logs[kModern],
                Contains(HasSubstr("TL file not verified: TVS says that the signer is not valid")));
    EXPECT_EQ(a_.counters().invalid, 2U) << "for the CTL and for the ITL";
}

TEST_F(Replay, MigrationWithTvsOfTheNewClusterIsRefused) {
    a_.publish();
    b_.publish();
    phones_.start(a_, {});
    const auto summary = phones_.start(b_, {b_.serve()});
    EXPECT_EQ(summary.refused, 4U);
    EXPECT_THAT(phones_.logs[kModern], Contains("Handshake failed: certificate not found in ITL"));
    EXPECT_EQ(b_.counters().valid + b_.counters().invalid, 0U) << "nothing was asked";
}

TEST_F(Replay, PublisherCertificateRegenerated) {
    a_.publish();
    phones_.start(a_, {});
    a_.become(Signer::InTvsDatabase);
    a_.publish();
    const auto server = a_.serve();
    const auto summary = phones_.start(a_, {server});
    const auto expected = taken_through_tvs(server, *a_.list(ListKind::Ctl));
    EXPECT_THAT(first_lines(phones_.logs[kModern], expected.size()), ElementsAreArray(expected));
    EXPECT_EQ(summary.taken, 2U);
    EXPECT_EQ(summary.refused, 2U) << "without Security By Default: deleted by hand or not at all";
}

TEST_F(Replay, TheNextTvsServerIsAskedWhenTheFirstIsDown) {
    a_.publish();
    b_.publish();
    phones_.start(a_, {});
    const auto server = a_.serve({Signer::InTvsDatabase});
    EXPECT_EQ(phones_.start(b_, {{"127.0.0.1", 1}, server}).taken, 2U);
    EXPECT_THAT(phones_.logs[kModern], Contains("TCP connect() failed"));
}

TEST_F(Replay, AnOlderHeaderIsNoticedInTheLog) {
    phones_ = Phones(Models{{kOlder, "7962"}});
    a_.publish();
    phones_.start(a_, {});
    EXPECT_THAT(phones_.logs[kOlder], Contains("AUTH: hdr ver 1.2 (knows only upto 1.1)"));
    b_.publish();
    const auto server = a_.serve({Signer::InTvsDatabase}, tvs::OldTls::Allowed);
    phones_.start(b_, {server});
    auto expected = taken_through_tvs(server, *b_.list(ListKind::Ctl), "CP-7962-SEP000000000002");
    const auto parsed = std::ranges::find(expected, "TL parse to table: CTL_SUCCESS");
    expected.insert(parsed, "AUTH: hdr ver 1.2 (knows only upto 1.1)");
    EXPECT_THAT(first_lines(phones_.logs[kOlder], expected.size()), ElementsAreArray(expected));
}

TEST_F(Replay, AfterARollbackAnyItlAndUnsignedConfigurationAreTaken) {
    a_.publish();
    phones_.start(a_, {});
    a_.empty_itl();
    EXPECT_EQ(phones_.start(a_, {}).taken, 2U) << "the emptied ITL, which the CTL's signer has signed";
    EXPECT_THAT(phones_.logs[kModern], Contains("File Not Found <SEPB000B4BA0AEE.cnf.xml.sgn>"));
    EXPECT_THAT(phones_.logs[kModern], Contains("File Not Found <SEPB000B4BA0AEE.cnf.xml>"));
    b_.publish();
    const auto summary = phones_.start(b_, {b_.serve({Signer::InTvsDatabase})});
    EXPECT_EQ(summary.refused, 2U) << "the CTL was not emptied, and no TVS certificate is left";
    EXPECT_EQ(summary.taken, 2U) << "the ITL";
    EXPECT_EQ(summary.queries, 0U);
}

TEST_F(Replay, ManyPhonesAtOnceLoseNoAnswer) {
    a_.publish();
    b_.publish();
    Models many;
    for (int i = 0; i < 300; ++i) many["SEP" + std::to_string(100000 + i)] = "8861";
    phones_ = Phones(many);
    phones_.start(a_, {});
    const auto summary = phones_.start(b_, {a_.serve({Signer::InTvsDatabase})});
    EXPECT_EQ(summary.queries, 300U);
    EXPECT_EQ(summary.taken, 600U);
    EXPECT_EQ(summary.failed, 0U);
}

TEST_F(Replay, WhatPhonesHaveOutlivesTheProcess) {
    a_.publish();
    const std::string where = (folder_ / "state").string();
    simulator::State first = simulator::State::load(where);
    first.phones.add(kModern, Traits{"8861", "", "", "", "", ""});
    simulator::Options options;
    options.source = a_.folder();
    options.now = kNow;
    start_phones(first, options, [](const std::string&, std::string_view) {});
    first.store();
    simulator::State second = simulator::State::load(where);
    ASSERT_EQ(second.phones.phones().size(), 1U);
    EXPECT_EQ(start_phones(second, options, [](const std::string&, std::string_view) {}).unchanged, 2U);
}

TEST_F(Replay, AFileThatIsNoListIsNotTaken) {
    std::filesystem::create_directories(folder_ / "a");
    store_file((folder_ / "a/CTLFile.tlv").string(), as_bytes("nonsense"));
    const auto summary = phones_.start(a_, {});
    EXPECT_EQ(summary.failed, 2U);
    EXPECT_THAT(phones_.logs[kModern], Contains("CTL update failed"));
}

}  // namespace
}  // namespace ctlsign::phone::testing
