#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctlsign/cluster/recovery.hpp>
#include <ctlsign/trustlist/sign.hpp>
#include <tests/support/cluster_state.hpp>

namespace ctlsign::cluster {
namespace {

using namespace ctlsign::testing;
using ::testing::Contains;
using ::testing::Each;
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
    Planned planned = plan(one.state, way.steps.at(0).request.value());
    EXPECT_THAT(planned.refusals, IsEmpty());
    EXPECT_EQ(planned.plan->signer, krakow_tokens()[1]);
    remember_losses(*planned.plan, way.steps.at(0));
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

TEST(Recovery, ATokenThatIsOnlyNotPluggedInIsNotThrownAway) {
    Case drawer("9.1(2)", TokenCondition::NotPlugged, TokenCondition::NotPlugged);
    drawer.facts.spares = {spare(5), spare(6)};
    EXPECT_THAT(drawer.ways().at(2).needs,
                ElementsAre("SAST-ADN0054f509 plugged in, or --lost SAST-ADN0054f509",
                            "SAST-ADN008580ef plugged in, or --lost SAST-ADN008580ef"));
    drawer.facts.tokens[0].condition = TokenCondition::Lost;
    for (const bool deleted : {false, true}) {
        drawer.state.deleted = deleted;
        ASSERT_EQ(drawer.ways().back().name, "new-tokens");
        EXPECT_THAT(drawer.ways().back().needs, ElementsAre(HasSubstr("--lost SAST-ADN008580ef")));
    }
    // In non-secure mode its drawer is no loss, and no leave to throw it away.
    drawer.state.mode = Mode::NonSecure;
    EXPECT_THAT(drawer.ways().back().needs, ElementsAre(HasSubstr("--lost SAST-ADN008580ef")));
}

TEST(Recovery, TvsVouchesForNewTokens) {
    Case both("11.0(1)", TokenCondition::Lost, TokenCondition::Locked);
    both.facts.spares = {spare(5), spare(6)};
    EXPECT_EQ(both.ways().back().phones, Acceptance::ByHand);
    put(both.state, Store::PhoneSastTrust, 0, spare(6));
    EXPECT_EQ(both.ways().back().name, "new-tokens");
    EXPECT_EQ(both.ways().back().phones, Acceptance::ThroughTvs);
}

TEST(Recovery, TheCtlWasDeletedAndItsTokensAreThere) {
    Case both("10.5(1)", TokenCondition::Ready, TokenCondition::Ready);
    both.state.deleted = true;
    EXPECT_THAT(both.names(), ElementsAre("mixed-mode", "to-tokenless"));
    EXPECT_EQ(both.ways()[0].phones, Acceptance::ByThemselves);
    for (const auto& way : both.ways())
        EXPECT_THAT(plan(both.state, way.steps.at(0).request.value()).refusals, IsEmpty()) << way.name;
    Case one("10.5(1)", TokenCondition::Ready, TokenCondition::Lost);
    one.state.deleted = true;
    EXPECT_THAT(one.names(), ElementsAre("mixed-mode?", "to-tokenless"));
    one.facts.spares = {spare(5)};
    EXPECT_THAT(one.names(), ElementsAre("mixed-mode", "to-tokenless"));
    const RecoveryStep step = one.ways()[0].steps.at(0);
    EXPECT_THAT(step.text, HasSubstr("SAST-NEW, SAST-ADN0054f509, signed by SAST-ADN0054f509"));
    Planned planned = plan(one.state, step.request.value());
    EXPECT_THAT(planned.refusals, IsEmpty());
    EXPECT_EQ(planned.plan->signer, krakow_tokens()[0]);
    remember_losses(*planned.plan, step);
    EXPECT_EQ(planned.plan->tokens.back().state, TokenState::Lost);
}

TEST(Recovery, TheCtlWasDeletedAndAllTokensAreLost) {
    Case none("10.5(1)", TokenCondition::Lost, TokenCondition::Lost);
    none.state.deleted = true;
    EXPECT_THAT(none.names(), ElementsAre("to-tokenless", "to-non-secure", "new-tokens?"));
    const Planned planned = plan(none.state, none.ways()[1].steps.at(0).request.value());
    EXPECT_THAT(planned.refusals, IsEmpty());
    EXPECT_EQ(planned.plan->mode, Mode::NonSecure);
}

TEST(Recovery, InNonSecureModeNoCtlIsNoLoss) {
    Case both("10.5(1)", TokenCondition::Ready, TokenCondition::NotPlugged);
    both.state.deleted = true;
    both.state.mode = Mode::NonSecure;
    EXPECT_THAT(assess(both.state, both.facts).lost, IsEmpty());
    EXPECT_THAT(both.ways(), IsEmpty());
    // Whoever says that all are lost is told how to go on.
    for (auto& token : both.facts.tokens) token.condition = TokenCondition::Lost;
    both.facts.spares = {spare(5), spare(6)};
    EXPECT_THAT(both.names(), ElementsAre("to-tokenless", "new-tokens"));
    State tokenless = krakow_state("10.5(1)");
    publish(tokenless, Way::Tokenless, Mode::NonSecure, read_data("krakow/CTLFile-tokenless.tlv"));
    tokenless.deleted = true;
    SignerFacts facts;
    facts.call_manager_key = true;
    EXPECT_THAT(assess(tokenless, facts).lost, IsEmpty());
}

TEST(Recovery, InNonSecureModeThePublishersKeyGoesToMixedMode) {
    Case both("10.5(1)", TokenCondition::Lost, TokenCondition::Lost);
    both.state.mode = Mode::NonSecure;
    EXPECT_THAT(both.names(), ElementsAre("to-tokenless", "new-tokens?"));
    EXPECT_EQ(both.ways()[0].steps[0].request->operation, Operation::MixedMode);
    EXPECT_THAT(plan(both.state, *both.ways()[0].steps[0].request).refusals, IsEmpty());
}

TEST(Recovery, SparesAreNamedWhereThereAreMoreThanNeeded) {
    Case one("10.5(1)", TokenCondition::Lost, TokenCondition::Ready);
    one.facts.spares = {spare(5), spare(6)};
    EXPECT_THAT(one.ways()[0].needs, ElementsAre(HasSubstr("--token for the new token: SAST-NEW, SAST-NEW")));
    one.facts.spares_named = true;
    EXPECT_THAT(one.ways()[0].needs, IsEmpty());
    EXPECT_EQ(one.ways()[0].steps[0].request->added.size(), 2U) << "both are meant";
    Case none("9.1(2)", TokenCondition::Lost, TokenCondition::Lost);
    none.facts.spares = {spare(5), spare(6), spare(7)};
    EXPECT_THAT(none.ways()[2].needs, ElementsAre(HasSubstr("--token for each new token")));
}

TEST(Recovery, OneTryLeftIsNoLoss) {
    Case one("10.5(1)", TokenCondition::FinalTry, TokenCondition::Ready);
    EXPECT_THAT(one.ways(), IsEmpty());
    Case last("10.5(1)", TokenCondition::FinalTry, TokenCondition::Lost);
    last.facts.spares = {spare(5)};
    EXPECT_THAT(assess(last.state, last.facts).lost, ElementsAre(HasSubstr("SAST-ADN008580ef: lost")));
    EXPECT_THAT(last.ways()[0].needs, ElementsAre(HasSubstr("--use-final-try")));
    last.facts.final_try = true;
    EXPECT_THAT(last.names(), ElementsAre("replace-token", "to-tokenless"));
    EXPECT_THAT(last.ways()[0].steps[0].request->dropped, ElementsAre(krakow_tokens()[1]));
}

TEST(Recovery, AnExpiredTokenSignsLast) {
    for (const bool first : {true, false}) {
        const auto expired = TokenCondition::Expired, ready = TokenCondition::Ready;
        Case one("10.5(1)", first ? expired : ready, first ? ready : expired);
        EXPECT_THAT(one.ways(), IsEmpty()) << "phones that hold the CTL take it all the same";
        one.state.deleted = true;
        const std::string other = first ? "SAST-ADN008580ef" : "SAST-ADN0054f509";
        EXPECT_EQ(one.ways().at(0).text, "make the CTL anew, signed by " + other);
        // TVS vouches for it no more.
        one.state.deleted = false;
        put(one.state, Store::PhoneSastTrust, 0, krakow_tokens()[first ? 0 : 1]);
        EXPECT_THAT(assess(one.state, one.facts).lost, ElementsAre(HasSubstr("its certificate has expired")));
        EXPECT_THAT(one.names(), ElementsAre("replace-token?", "to-tokenless"));
        one.facts.spares = {spare(5)};
        EXPECT_EQ(one.ways()[0].text, "sign with " + other + ", name a new token instead of what is lost");
        EXPECT_THAT(one.names(), ElementsAre("replace-token", "to-tokenless"));
    }
    Case last("10.5(1)", TokenCondition::Expired, TokenCondition::FinalTry);
    last.state.deleted = true;
    EXPECT_THAT(last.ways().at(0).text, HasSubstr("signed by SAST-ADN0054f509"));
}

TEST(Recovery, ALostTokenLeavesThoughAnExpiredOneStays) {
    State state = krakow_state("10.5(1)");
    const auto old = krakow_tokens()[0], other = krakow_tokens()[1], third = spare(5);
    publish(state, Way::Tokens, Mode::Mixed, read_data("krakow/CTLFile-tokens.tlv"));
    put(state, Store::PhoneSastTrust, 0, old);
    SignerFacts facts;
    facts.tokens = {
        {other, TokenCondition::Ready}, {old, TokenCondition::Expired}, {third, TokenCondition::Lost}};
    const auto dropped = [&] { return assess(state, facts).ways.at(0).steps.at(0).request.value().dropped; };
    EXPECT_THAT(assess(state, facts).ways.at(0).needs, IsEmpty());
    EXPECT_THAT(dropped(), ElementsAre(third));
    facts.spares = {spare(6)};
    EXPECT_THAT(dropped(), ElementsAre(old, third));
}

TEST(Recovery, TheAdministratorSaysWhoSigns) {
    Case both("10.5(1)", TokenCondition::Ready, TokenCondition::Ready);
    both.state.deleted = true;
    EXPECT_THAT(both.ways().at(0).text, HasSubstr("signed by SAST-ADN008580ef"));
    both.facts.signers = {krakow_tokens()[0]};
    EXPECT_THAT(both.ways().at(0).text, HasSubstr("signed by SAST-ADN0054f509"));
    EXPECT_EQ(plan(both.state, *both.ways()[0].steps[0].request).plan.value().signer, krakow_tokens()[0]);
}

TEST(Recovery, WhatBecameOfEachTokenIsRemembered) {
    const Case both("10.5(1)", TokenCondition::Lost, TokenCondition::Forgotten);
    for (const auto& way : both.ways()) {
        if (!way.needs.empty()) continue;
        Planned planned = plan(both.state, way.steps.at(0).request.value());
        remember_losses(*planned.plan, way.steps.at(0));
        ASSERT_EQ(planned.plan->tokens.size(), 2U) << way.name;
        EXPECT_EQ(planned.plan->tokens[0].state, TokenState::Lost) << way.name;
        EXPECT_EQ(planned.plan->tokens[1].state, TokenState::Forgotten) << way.name;
    }
}

TEST(Recovery, AReleaseThatTakesNoTokens) {
    Case both("14.0(1)SU3", TokenCondition::Ready, TokenCondition::Ready);
    put(both.state, Store::ItlRecovery, kPublisherNode, load_certificate(krakow::kRegenerated + ".pem"));
    both.facts.itl_recovery_key = true;
    EXPECT_THAT(assess(both.state, both.facts).lost,
                ElementsAre("the tokens: release 14.0(1)SU3 takes none"));
    EXPECT_THAT(both.names(), ElementsAre("to-tokenless", "to-non-secure"));
    for (const auto& way : both.ways())
        EXPECT_THAT(plan(both.state, way.steps.at(0).request.value()).refusals, IsEmpty()) << way.name;
    Request update;
    update.operation = Operation::Update;
    EXPECT_EQ(plan(both.state, update).refusals.at(0).rule, ClusterRule::TakesTokens);
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

TEST(Recovery, TheReleaseKnowsNoPublishersKey) {
    State state = krakow_state("9.1(2)");
    publish(state, Way::Tokenless, Mode::Mixed, read_data("krakow/CTLFile-tokenless.tlv"));
    SignerFacts facts;
    facts.call_manager_key = true;
    facts.spares = krakow_tokens();
    const Assessment assessment = assess(state, facts);
    EXPECT_THAT(assessment.lost, ElementsAre(HasSubstr("release 9.1(2) takes CTLs from security tokens")));
    ASSERT_EQ(assessment.ways.size(), 1U);
    EXPECT_EQ(assessment.ways[0].name, "to-tokens");
    EXPECT_THAT(assessment.ways[0].needs, Each(HasSubstr("in Phone-SAST-trust")));
    EXPECT_EQ(assessment.ways[0].steps.at(0).request->operation, Operation::DeleteCtl);
    // Behind the deletion it goes on.
    state.deleted = true;
    EXPECT_THAT(assess(state, facts).lost, Contains("the CTL was deleted from every node"));
    EXPECT_EQ(assess(state, facts).ways.at(0).name, "to-tokens");
    // Where no phone is secured, nothing is missed.
    state.mode = Mode::NonSecure;
    EXPECT_THAT(assess(state, facts).lost, IsEmpty());
}

TEST(Recovery, WhoIsAtHandSignsBeforeWhoIsInADrawer) {
    const auto old = krakow_tokens()[0], young = spare(5), third = spare(6);
    State state = krakow_state("10.5(1)");
    Request first;
    first.operation = Operation::MixedMode;
    first.tokens = {old, third, young};
    FileKeySigner signer(krakow::kRegenerated);
    publish(state, Way::Tokens, Mode::NonSecure, sign_list(plan(state, first).plan->list.value(), signer));
    state.deleted = true;
    SignerFacts facts;
    facts.tokens = {
        {old, TokenCondition::Expired}, {young, TokenCondition::NotPlugged}, {third, TokenCondition::Lost}};
    const WayOut way = assess(state, facts).ways.at(0);
    EXPECT_EQ(way.text, "make the CTL anew, signed by SAST-ADN0054f509");
    Request again = way.steps.at(0).request.value();
    again.now = old.not_after() + 1;
    EXPECT_EQ(plan(state, again).plan.value().signer, old);
}

TEST(Recovery, AKeyThatIsGoneIsMadeAnew) {
    State state = krakow_state("10.5(1)");
    publish(state, Way::Tokenless, Mode::Mixed, read_data("krakow/CTLFile-tokenless.tlv"));
    const auto way = [&] { return assess(state, {}).ways.at(0); };
    EXPECT_EQ(way().name, "regenerate");
    EXPECT_EQ(way().steps.at(0).regenerated, Store::CallManager);
    EXPECT_FALSE(way().steps[0].is_by_hand() || way().steps.at(1).is_by_hand());
    EXPECT_EQ(way().steps[1].request->operation, Operation::Update);
    EXPECT_TRUE(way().steps.at(2).is_by_hand());
    state.deleted = true;
    EXPECT_EQ(way().steps.at(1).request->operation, Operation::MixedMode);
    state.mode = Mode::NonSecure;
    EXPECT_TRUE(way().steps.at(1).is_by_hand()) << "no CTL is made in non-secure mode";
    EXPECT_THAT(way().needs, IsEmpty());
    std::erase_if(state.certificates, [](const auto& stored) { return stored.store == Store::CallManager; });
    EXPECT_THAT(way().needs, ElementsAre(HasSubstr("the publisher's CallManager certificate")));
}

TEST(Recovery, WhatBecameOfTheTokensIsRememberedWithTheDeletion) {
    Case both("9.1(2)", TokenCondition::Lost, TokenCondition::Locked);
    both.facts.spares = {spare(5), spare(6)};
    const RecoveryStep step = both.ways().at(2).steps.at(0);
    Planned planned = plan(both.state, step.request.value());
    remember_losses(*planned.plan, step);
    ASSERT_EQ(planned.plan->tokens.size(), 2U);
    EXPECT_EQ(planned.plan->tokens[0].state, TokenState::Lost);
    EXPECT_EQ(planned.plan->tokens[1].state, TokenState::Locked);
}

}  // namespace
}  // namespace ctlsign::cluster
