#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include <ctlsign/cluster/database.hpp>
#include <ctlsign/cluster/install.hpp>
#include <ctlsign/cluster/journal.hpp>
#include <ctlsign/cluster/nodes.hpp>
#include <ctlsign/cluster/stores.hpp>
#include <tests/support/cluster_state.hpp>
#include <tests/support/code_of.hpp>
#include <tests/support/temporary_folder.hpp>
#include <tests/support/text_file.hpp>

namespace ctlsign::cluster {
namespace {

using namespace ctlsign::testing;

/// A key of CallManager is under way, as a process that was killed leaves it.
class InstallTest : public ::testing::Test {
  protected:
    InstallTest() {
        add_node(writer_, krakow_state("10.5(1)").nodes[0]);
        put_own_certificate(writer_, Store::CallManager, publisher(), before_, std::nullopt);
    }
    Node publisher() const { return database_.load().nodes.at(0); }
    sast::Certificate own() const {
        const State state = database_.load();
        return state.find_own(Store::CallManager, state.nodes.at(0))->certificate;
    }
    void begin() {
        write_journal_key(writer_, {0, publisher().id, Store::CallManager, fresh_.certificate(), key_});
    }
    void expect(const sast::Certificate& certificate) const {
        EXPECT_TRUE(equal(own().der(), certificate.der()));
        EXPECT_FALSE(read_journal_key(database_)) << "nothing is under way any more";
    }

    TemporaryFolder folder_;
    std::string key_ = (folder_ / "CallManager.key").string();
    Database database_ =
        Database::create((folder_ / "cluster.db").string(), "krakow", Release::parse("10.5(1)").value());
    Writer writer_{database_, "a test", std::chrono::milliseconds(0)};
    sast::Certificate before_ = load_certificate(krakow::kPublisher + ".pem");
    NewCertificate fresh_{{regenerated_subject(Store::CallManager, before_), 1024, 0, 4'000'000'000}};
};

TEST_F(InstallTest, AKeyThatWasWrittenGetsItsCertificate) {
    begin();
    fresh_.store_key(key_);
    EXPECT_TRUE(finish_install(writer_));
    expect(fresh_.certificate());
}

TEST_F(InstallTest, WithoutItsKeyTheCertificateOfBeforeStands) {
    begin();
    EXPECT_FALSE(finish_install(writer_));
    expect(before_);
}

TEST_F(InstallTest, WhatElseStandsThereIsLeft) {
    const std::string other = (folder_ / "other.key").string();
    NewCertificate({regenerated_subject(Store::CallManager, before_), 1024, 0, 4'000'000'000})
        .store_key(other);
    for (const std::string& text : {load_text(other), std::string("no key")}) {
        begin();
        std::ofstream(key_) << text;
        EXPECT_FALSE(finish_install(writer_));
        expect(before_);
        EXPECT_EQ(load_text(key_), text);
    }
}

TEST_F(InstallTest, WhatIsInTheWayIsNotReplacedAndNothingIsUnderWay) {
    std::ofstream(key_) << "mine";
    EXPECT_EQ(code_of([&] { install(writer_, Store::CallManager, publisher(), fresh_, key_, {}); }),
              std::errc::file_exists);
    expect(before_);
    std::filesystem::remove(key_);
    install(writer_, Store::CallManager, publisher(), fresh_, key_, {});
    expect(fresh_.certificate());
}

}  // namespace
}  // namespace ctlsign::cluster
