#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/journal.hpp>
#include <ctlsign/cluster/nodes.hpp>
#include <ctlsign/cluster/operation.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/files/load.hpp>
#include <tests/support/cluster_state.hpp>
#include <tests/support/temporary_folder.hpp>

namespace ctlsign::cluster {
namespace {

using namespace ctlsign::testing;

/// A node that does as told: fails at one call, or serves something else.
class FaultyTarget final : public Target {
  public:
    enum class Fault { None, Prepare, Switch, SwitchAndGoBack, Other };
    FaultyTarget(std::optional<Bytes> served, Fault fault) : served_(std::move(served)), fault_(fault) {}

    std::optional<Bytes> load() override {
        return fault_ == Fault::Other && switched_ ? Bytes{1, 2, 3} : served_;
    }
    void prepare(const std::optional<Bytes>& octets) override {
        if (fault_ == Fault::Prepare) fail();
        before_ = served_;
        next_ = octets;
    }
    void switch_over() override {
        if (fault_ == Fault::Switch || fault_ == Fault::SwitchAndGoBack) fail();
        served_ = next_;
        switched_ = true;
    }
    void go_back() override {
        if (fault_ == Fault::SwitchAndGoBack) fail();
        served_ = before_;
        switched_ = false;
    }

  private:
    [[noreturn]] static void fail() {
        throw Error(std::make_error_code(std::errc::io_error), "write", "the node", "");
    }
    std::optional<Bytes> served_, next_, before_;
    Fault fault_;
    bool switched_ = false;
};

class PublishTest : public ::testing::Test {
  protected:
    PublishTest() {
        for (Node node : krakow_state("10.5(1)").nodes) {
            node.target = (folder_ / node.name).string();
            std::filesystem::create_directory(node.target);
            add_node(writer_, node);
        }
    }
    Plan deletion() const {
        Plan made;
        made.operation = Operation::DeleteCtl;
        return made;
    }
    Plan tokenless() {
        Plan made;
        made.operation = Operation::MixedMode;
        made.mode = Mode::Mixed;
        made.list = krakow::tokenless();
        made.signer = signer_.facts().certificate;
        return made;
    }
    std::filesystem::path file(std::size_t node) {
        return std::filesystem::path(database_.load().nodes.at(node).target) / "CTLFile.tlv";
    }
    // The node of number FAULTY behaves so.
    std::vector<ReachedNode> nodes_with(std::size_t faulty, FaultyTarget::Fault fault) {
        auto nodes = reach_nodes(database_.load().nodes);
        nodes.at(faulty).target = std::make_unique<FaultyTarget>(nodes.at(faulty).octets, fault);
        return nodes;
    }

    TemporaryFolder folder_;
    Database database_ =
        Database::create((folder_ / "cluster.db").string(), "krakow", Release::parse("10.5(1)").value());
    Writer writer_{database_, "test", std::chrono::milliseconds(0)};
    FileKeySigner signer_{krakow::kPublisher};
};

TEST_F(PublishTest, EveryNodeOrNone) {
    using Fault = FaultyTarget::Fault;
    for (const Fault fault : {Fault::Prepare, Fault::Switch, Fault::Other}) {
        for (const std::size_t faulty : {std::size_t{0}, std::size_t{1}}) {
            auto nodes = nodes_with(faulty, fault);
            try {
                carry_out(writer_, tokenless(), &signer_, nodes, {});
                FAIL() << "it was published";
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), Errc::NodeFailed) << error.what();
            }
            EXPECT_FALSE(std::filesystem::exists(file(1 - faulty)));
            EXPECT_EQ(database_.load().mode, Mode::NonSecure);
            EXPECT_FALSE(find_unfinished(database_));
        }
    }
    EXPECT_EQ(signer_.calls(), 4) << "a node that cannot be prepared is found out before the signature";
    auto nodes = reach_nodes(database_.load().nodes);
    carry_out(writer_, tokenless(), &signer_, nodes, {});
    EXPECT_EQ(load_file(file(0).string(), kMaxFileSize).bytes, read_data("krakow/CTLFile-tokenless.tlv"));
    EXPECT_TRUE(check_nodes(database_.load(), reach_nodes(database_.load().nodes)).empty());
}

TEST_F(PublishTest, WhatCannotGoBackIsEndedByTheNextCommand) {
    auto nodes = nodes_with(1, FaultyTarget::Fault::SwitchAndGoBack);
    try {
        carry_out(writer_, tokenless(), &signer_, nodes, {});
        FAIL() << "it was published";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::Unfinished) << error.what();
    }
    ASSERT_TRUE(find_unfinished(database_));
    EXPECT_EQ(resume(writer_), Resumed::Finished);
    EXPECT_EQ(load_file(file(1).string(), kMaxFileSize).bytes, read_data("krakow/CTLFile-tokenless.tlv"));
    EXPECT_EQ(database_.load().mode, Mode::Mixed);
    EXPECT_FALSE(find_unfinished(database_));
}

TEST_F(PublishTest, WhatWasPreparingIsUndone) {
    JournalEntry entry;
    entry.operation = "update";
    entry.octets = Bytes{1};
    entry.before = {{database_.load().nodes.at(0).id, std::nullopt}};
    write_journal(writer_, entry);
    EXPECT_EQ(resume(writer_), Resumed::Undone);
    EXPECT_FALSE(std::filesystem::exists(file(0)));
}

TEST_F(PublishTest, ANodeGoneForGoodHoldsNobodyUp) {
    JournalEntry entry;
    entry.operation = "update";
    entry.step = Unfinished::Step::Switching;
    entry.octets = read_data("krakow/CTLFile-tokenless.tlv");
    const State state = database_.load();
    for (const Node& node : state.nodes) entry.before.push_back({node.id, std::nullopt});
    write_journal(writer_, entry);
    std::filesystem::remove(state.nodes[1].target);
    EXPECT_THROW(resume(writer_), Error);
    EXPECT_FALSE(std::filesystem::exists(file(0)));
    remove_node(writer_, state.nodes[1]);
    EXPECT_EQ(resume(writer_), Resumed::Finished);
    EXPECT_TRUE(std::filesystem::exists(file(0)));
}

TEST_F(PublishTest, ADeletionIsRemembered) {
    auto nodes = reach_nodes(database_.load().nodes);
    carry_out(writer_, tokenless(), &signer_, nodes, {});
    nodes = reach_nodes(database_.load().nodes);
    carry_out(writer_, deletion(), nullptr, nodes, {});
    const State state = database_.load();
    EXPECT_EQ(state.ctl(), nullptr);
    EXPECT_EQ(state.last.value().octets, read_data("krakow/CTLFile-tokenless.tlv"));
    EXPECT_FALSE(std::filesystem::exists(file(0)) || std::filesystem::exists(file(1)));
}

TEST_F(PublishTest, AStrangersFileIsARefusal) {
    std::ofstream(file(1)) << "something else";
    const auto refusals = check_nodes(database_.load(), reach_nodes(database_.load().nodes));
    ASSERT_EQ(refusals.size(), 1U);
    EXPECT_EQ(refusals[0].rule, ClusterRule::NodesAgree);
    EXPECT_TRUE(refusals[0].consequence);
}

TEST_F(PublishTest, AClusterThatWasSecuredElsewhereIsAdopted) {
    adopt(writer_, read_data("krakow/CTLFile-tokens.tlv"));
    const State state = database_.load();
    EXPECT_EQ(state.mode, Mode::Mixed);
    EXPECT_EQ(state.ctl()->way, Way::Tokens);
    EXPECT_EQ(state.tokens.size(), 2U);
    adopt(writer_, read_data("krakow/CTLFile-tokenless.tlv"));
    EXPECT_EQ(database_.load().ctl()->way, Way::Tokenless);
    Bytes changed = read_data("krakow/CTLFile-tokenless.tlv");
    changed.back() ^= 1;
    EXPECT_THROW(adopt(writer_, changed), Error);
}

TEST_F(PublishTest, WhatBecameOfTokensIsInTheJournal) {
    adopt(writer_, read_data("krakow/CTLFile-tokens.tlv"));
    const auto tokens = krakow_tokens();
    JournalEntry entry;
    entry.operation = "token";
    entry.step = Unfinished::Step::Switching;
    entry.octets = read_data("krakow/CTLFile-tokenless.tlv");
    entry.tokens = {{0, "", "", tokens[0], TokenState::Lost}, {0, "A", "0b12", tokens[1], TokenState::InUse}};
    for (const Node& node : database_.load().nodes) entry.before.push_back({node.id, std::nullopt});
    write_journal(writer_, entry);
    EXPECT_EQ(resume(writer_), Resumed::Finished);
    const State state = database_.load();
    EXPECT_EQ(state.find_token(tokens[0])->state, TokenState::Lost);
    EXPECT_EQ(state.find_token(tokens[1])->label, "A");
    EXPECT_EQ(state.find_token(tokens[1])->serial, "0b12");
}

TEST_F(PublishTest, AWayOutGoesOnUntilTheNextCtl) {
    auto nodes = reach_nodes(database_.load().nodes);
    carry_out(writer_, tokenless(), &signer_, nodes, {});
    EXPECT_FALSE(find_way_out(database_));
    JournalEntry undone;
    undone.operation = "delete-ctl";
    undone.way_out = "new-tokens";
    write_journal(writer_, undone);
    EXPECT_EQ(resume(writer_), Resumed::Undone);
    EXPECT_FALSE(find_way_out(database_)) << "the CTL is there";
    Plan plan = deletion();
    plan.way_out = "new-tokens";
    nodes = reach_nodes(database_.load().nodes);
    carry_out(writer_, plan, nullptr, nodes, {});
    EXPECT_EQ(find_way_out(database_), "new-tokens");
    undone.operation = "mixed-mode";
    undone.octets = Bytes{1};
    undone.way_out = "";
    write_journal(writer_, undone);
    EXPECT_EQ(resume(writer_), Resumed::Undone);
    EXPECT_EQ(find_way_out(database_), "new-tokens");
    nodes = reach_nodes(database_.load().nodes);
    carry_out(writer_, tokenless(), &signer_, nodes, {});
    EXPECT_FALSE(find_way_out(database_));
}

}  // namespace
}  // namespace ctlsign::cluster
