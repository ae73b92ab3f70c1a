#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctlsign/cluster/recovery.hpp>
#include <tests/support/cluster_state.hpp>

namespace ctlsign::cluster {
namespace {

using namespace ctlsign::testing;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

sast::Certificate spare(std::uint64_t serial) {
    return make_certificate(load_key(krakow::kRegenerated + ".key"), "SAST-NEW", serial);
}

// A cluster whose CTL the krakow tokens have signed, and what of them is left.
struct Case {
    State state;
    SignerFacts facts;

    Case(const std::string& release, TokenCondition first, TokenCondition second)
        : state(krakow_state(release)) {
        publish(state, Way::Tokens, Mode::Mixed, read_data("krakow/CTLFile-tokens.tlv"));
        const auto tokens = krakow_tokens();
        facts.tokens = {{tokens[0], first}, {tokens[1], second}};
        facts.call_manager_key = true;
    }
    std::vector<WayOut> ways() const { return assess(state, facts).ways; }
    std::vector<std::string> names() const {
        std::vector<std::string> found;
        for (const auto& way : ways()) found.push_back(way.name + (way.needs.empty() ? "" : "?"));
        return found;
    }
};

TEST(Recovery, NothingIsLost) {
    const Case all("10.5(1)", TokenCondition::Ready, TokenCondition::Ready);
    EXPECT_THAT(all.ways(), IsEmpty());
    EXPECT_THAT(assess(all.state, all.facts).lost, IsEmpty());
    EXPECT_THAT(assess(krakow_state("10.5(1)"), {}).ways, IsEmpty()) << "a cluster without a CTL";
}

TEST(Recovery, OneTokenIsLost) {
    Case one("10.5(1)", TokenCondition::Lost, TokenCondition::Ready);
    EXPECT_THAT(one.names(), ElementsAre("replace-token?", "to-tokenless"));
    one.facts.spares = {spare(5)};
    const WayOut way = one.ways().at(0);
    EXPECT_THAT(way.needs, IsEmpty());
    EXPECT_EQ(way.phones, Acceptance::ByThemselves);
    const Planned planned = plan(one.state, way.steps.at(0).request.value());
    EXPECT_THAT(planned.refusals, IsEmpty());
    EXPECT_EQ(planned.plan->signer, krakow_tokens()[1]);
    EXPECT_EQ(planned.plan->tokens.back().state, TokenState::Lost);
    // Of one that is only not plugged in, somebody must say that it is lost.
    Case drawer("10.5(1)", TokenCondition::NotPlugged, TokenCondition::Ready);
    drawer.facts.spares = {spare(5)};
    EXPECT_THAT(drawer.ways().at(0).needs, ElementsAre(HasSubstr("plugged in, or --lost SAST-ADN0054f509")));
}

TEST(Recovery, OneIsLostAndTheOtherOnesPinForgotten) {
    const Case both("10.5(1)", TokenCondition::Lost, TokenCondition::Forgotten);
    EXPECT_THAT(both.names(), ElementsAre("to-tokenless", "to-non-secure", "new-tokens?"));
    EXPECT_EQ(both.ways()[0].phones, Acceptance::ThroughTvs);
    EXPECT_EQ(both.ways()[2].phones, Acceptance::ByHand);
    for (const auto& way : both.ways()) {
        if (!way.needs.empty()) continue;
        EXPECT_THAT(plan(both.state, way.steps.at(0).request.value()).refusals, IsEmpty());
    }
}

TEST(Recovery, BeforeReleaseTenThereIsOneWay) {
    Case early("9.1(2)", TokenCondition::Lost, TokenCondition::Locked);
    EXPECT_THAT(early.names(), ElementsAre("to-tokenless?", "to-non-secure?", "new-tokens?"));
    early.facts.spares = {spare(5), spare(6)};
    EXPECT_THAT(early.names(), Contains("new-tokens"));
    const auto steps = early.ways()[2].steps;
    ASSERT_EQ(steps.size(), 4U);
    EXPECT_EQ(steps[0].request->operation, Operation::DeleteCtl);
    EXPECT_EQ(steps[3].text, "delete the CTL by hand on every phone");
    // Ended after the deletion, it goes on from there.
    early.state.deleted = true;
    EXPECT_THAT(early.names(), ElementsAre("new-tokens"));
    EXPECT_EQ(early.ways()[0].steps[0].request->operation, Operation::MixedMode);
    EXPECT_THAT(plan(early.state, *early.ways()[0].steps[0].request).refusals, IsEmpty());
}

TEST(Recovery, ThePublishersKeyIsLost) {
    State state = krakow_state("10.5(1)");
    publish(state, Way::Tokenless, Mode::Mixed, read_data("krakow/CTLFile-tokenless.tlv"));
    SignerFacts facts;
    facts.call_manager_key = true;
    EXPECT_THAT(assess(state, facts).ways, IsEmpty());
    facts.call_manager_key = false;
    EXPECT_THAT(assess(state, facts).lost, ElementsAre(HasSubstr("CallManager key")));
    EXPECT_EQ(assess(state, facts).ways.at(0).name, "regenerate");
    state.release = Release::parse("12.0(1)").value();
    facts.call_manager_key = true;
    EXPECT_EQ(assess(state, facts).ways.at(0).name, "reset-localkey");
    EXPECT_EQ(assess(state, facts).ways.at(0).phones, Acceptance::ByThemselves);
}

}  // namespace
}  // namespace ctlsign::cluster
