#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include <ctlsign/cluster/workflow.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/sign.hpp>
#include <tests/support/cluster_state.hpp>

namespace ctlsign::cluster {
namespace {

using namespace ctlsign::testing;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Request request(Operation operation) {
    Request made;
    made.operation = operation;
    made.time = krakow::kTimestamp;
    return made;
}

Request with_tokens(Operation operation, std::vector<sast::Certificate> tokens) {
    Request made = request(operation);
    made.tokens = std::move(tokens);
    return made;
}

Request tokenless(Operation operation) {
    Request made = request(operation);
    made.way = Way::Tokenless;
    return made;
}

std::vector<std::string> rules(const Planned& planned) {
    std::vector<std::string> names;
    for (const Refusal& refusal : planned.refusals) names.emplace_back(to_text(refusal.rule));
    return names;
}

// Each record's role, "*" behind that of the signer.
std::vector<std::string> roles(const Plan& plan) {
    std::vector<std::string> names;
    for (const RecordDraft& record : plan.list.value().records)
        names.push_back(role_name(record.role.value()) +
                        (record.role == Role::Sast && record.certificate &&
                                 equal(*record.certificate, plan.signer.value().der())
                             ? "*"
                             : ""));
    return names;
}

// What its keys would sign by PLAN.
Bytes sign(const Plan& plan, const std::string& key) {
    FileKeySigner signer(key);
    return sign_list(plan.list.value(), signer);
}

State with_recovery(const std::string& release) {
    State state = krakow_state(release);
    put(state, Store::ItlRecovery, kPublisherNode, krakow_recovery());
    return state;
}

TEST(Workflow, TokenlessIsTheGoldenFile) {
    Request made = tokenless(Operation::MixedMode);
    made.digest = Digest::Sha1;
    const Planned planned = plan(krakow_state("10.5(1)"), made);
    EXPECT_THAT(planned.refusals, IsEmpty());
    EXPECT_EQ(sign(planned.plan.value(), krakow::kPublisher), golden_ctl("tokenless"));
    EXPECT_EQ(planned.plan->mode, Mode::Mixed);
}

TEST(Workflow, TokensAreTheGoldenFile) {
    Request made = with_tokens(Operation::MixedMode, krakow_tokens());
    made.digest = Digest::Sha1;
    const Planned planned = plan(krakow_state("10.5(1)"), made);
    EXPECT_THAT(planned.refusals, IsEmpty());
    EXPECT_EQ(sign(planned.plan.value(), krakow::kSecondToken), golden_ctl("tokens"));
}

TEST(Workflow, WhichCertificatesAreSastDependsOnTheRelease) {
    const auto of = [](const std::string& release, const Request& made) {
        return plan(with_recovery(release), made).plan.value();
    };
    const Plan before = of("10.5(1)", tokenless(Operation::MixedMode));
    EXPECT_THAT(roles(before), ElementsAre("SAST*", "CCM+TFTP", "CAPF", "CCM+TFTP"));
    const Plan with = of("10.5(2)", tokenless(Operation::MixedMode));
    EXPECT_THAT(roles(with), ElementsAre("SAST*", "SAST", "CCM+TFTP", "CAPF", "CCM+TFTP"));
    EXPECT_EQ(with.signer->common_name(), "cucm-1051-a-pub");
    const Plan after = of("12.0(1)", tokenless(Operation::MixedMode));
    EXPECT_THAT(roles(after), ElementsAre("SAST*", "SAST", "CCM+TFTP", "CAPF", "CCM+TFTP"));
    EXPECT_EQ(after.signer, krakow_recovery());
    const Request tokens = with_tokens(Operation::MixedMode, krakow_tokens());
    EXPECT_THAT(roles(of("11.0(1)", tokens)), ElementsAre("SAST", "CCM+TFTP", "CAPF", "CCM+TFTP", "SAST*"));
    EXPECT_THAT(roles(of("11.5(1)", tokens)),
                ElementsAre("SAST", "CCM+TFTP", "CAPF", "CCM+TFTP", "SAST*", "SAST", "SAST"));
}

TEST(Workflow, ASecondSastThatTheStoresMissIsSaid) {
    const auto notes_of = [](const State& state) {
        return plan(state, tokenless(Operation::MixedMode)).plan.value().notes;
    };
    EXPECT_THAT(notes_of(krakow_state("10.5(1)")), IsEmpty());
    EXPECT_THAT(notes_of(krakow_state("10.5(2)")),
                ElementsAre(HasSubstr("the publisher's ITLRecovery certificate is not in the stores")));
    EXPECT_THAT(notes_of(with_recovery("10.5(2)")), IsEmpty());
}

TEST(Workflow, ResettingTheLocalKeyHasCallManagerSign) {
    State state = with_recovery("12.0(1)");
    const Plan first = plan(state, tokenless(Operation::MixedMode)).plan.value();
    publish(state, Way::Tokenless, Mode::Mixed, sign(first, krakow::kRegenerated));
    const sast::Certificate fresh =
        make_certificate(load_key(krakow::kRegenerated + ".key"), "ITLRECOVERY_cucm-1051-a-pub", 78);
    put(state, Store::ItlRecovery, kPublisherNode, fresh);
    const Planned planned = plan(state, request(Operation::ResetLocalKey));
    EXPECT_THAT(planned.refusals, IsEmpty());
    EXPECT_EQ(planned.plan->signer->common_name(), "cucm-1051-a-pub");
    EXPECT_THAT(roles(*planned.plan), ElementsAre("SAST*", "SAST", "CCM+TFTP", "CAPF", "CCM+TFTP"));
    EXPECT_EQ(planned.plan->list->records[1].certificate, Bytes(fresh.der().begin(), fresh.der().end()));
    EXPECT_THAT(rules(plan(krakow_state("10.5(1)"), request(Operation::ResetLocalKey))),
                ElementsAre("mode-fits"));
    State early = krakow_state("10.5(1)");
    publish(early, Way::Tokenless, Mode::Mixed, golden_ctl("tokenless"));
    EXPECT_THAT(rules(plan(early, request(Operation::ResetLocalKey))), ElementsAre("resets-local-key"));
}

TEST(Workflow, TheSignerChangeIsAnnounced) {
    State state = krakow_state("10.5(1)");
    publish(state, Way::Tokenless, Mode::Mixed, golden_ctl("tokenless"));
    EXPECT_THAT(plan(state, request(Operation::Update)).plan->notes, IsEmpty());
    replace(state, Store::CallManager, kPublisherNode, load_certificate(krakow::kRegenerated + ".pem"));
    EXPECT_THAT(plan(state, request(Operation::Update)).plan->notes,
                ElementsAre(HasSubstr(
                    "7940, 7960, Jabber and other models without it refuse until their CTL is deleted")));
    // ITLRecovery signs from 12.0: CallManager may change.
    State later = with_recovery("12.0(1)");
    publish(later, Way::Tokenless, Mode::Mixed,
            sign(plan(later, tokenless(Operation::MixedMode)).plan.value(), krakow::kRegenerated));
    replace(later, Store::CallManager, kPublisherNode, load_certificate(krakow::kRegenerated + ".pem"));
    EXPECT_THAT(plan(later, request(Operation::Update)).plan->notes, IsEmpty());
}

TEST(Workflow, AnUpdateGoesTheWayOfTheCurrentCtl) {
    State state = krakow_state("10.5(1)");
    publish(state, Way::Tokens, Mode::Mixed, golden_ctl("tokens"));
    const Planned refused = plan(state, request(Operation::Update));
    EXPECT_THAT(rules(refused), ElementsAre("same-way"));
    EXPECT_FALSE(refused.plan);
    const Planned on_purpose = plan(state, tokenless(Operation::Update));
    EXPECT_THAT(on_purpose.refusals, IsEmpty());
    EXPECT_EQ(on_purpose.plan->way, Way::Tokenless);
    EXPECT_THAT(on_purpose.plan->notes, ElementsAre(HasSubstr("the signer changes")));
    for (const KnownToken& token : on_purpose.plan->tokens) EXPECT_EQ(token.state, TokenState::Retired);
    EXPECT_EQ(on_purpose.plan->tokens.size(), 2U);
}

TEST(Workflow, FromElevenFiveTheWayToTokenlessNeedsNoTvs) {
    State state = with_recovery("11.5(1)");
    const Plan first = plan(state, with_tokens(Operation::MixedMode, krakow_tokens())).plan.value();
    publish(state, Way::Tokens, Mode::Mixed, sign(first, krakow::kSecondToken));
    EXPECT_THAT(plan(state, tokenless(Operation::Update)).plan->notes, IsEmpty());
}

TEST(Workflow, OfTheTokensGivenOneThatIsInTheCtlSigns) {
    State state = krakow_state("10.5(1)");
    publish(state, Way::Tokens, Mode::Mixed, golden_ctl("tokens"));
    const auto stranger = make_certificate(load_key(krakow::kRegenerated + ".key"), "SAST-STRANGER", 5);
    auto given = krakow_tokens();
    given[1] = stranger;
    const Planned planned = plan(state, with_tokens(Operation::Update, given));
    EXPECT_THAT(planned.refusals, IsEmpty());
    EXPECT_EQ(planned.plan->signer, given[0]);
    const Planned refused = plan(state, with_tokens(Operation::Update, {stranger}));
    EXPECT_THAT(rules(refused), ElementsAre("token-in-ctl"));
    // Forced, the stranger is a SAST of its own file.
    EXPECT_EQ(decode_list(ByteView(sign_list(*refused.plan->list,
                                             *std::make_unique<KeySigner>(
                                                 stranger, load_key(krakow::kRegenerated + ".key")))))
                  .records()
                  .size(),
              6U);
}

TEST(Workflow, AnExpiredTokenSignsWhereNoOtherIsGiven) {
    const auto old = krakow_tokens()[1];
    const auto key = load_key(krakow::kRegenerated + ".key");
    const auto valid = make_certificate(key, "SAST-VALID", 5);
    ASSERT_LT(old.not_after(), valid.not_after());
    State state = krakow_state("10.5(1)");
    Request made = with_tokens(Operation::MixedMode, {old, valid});
    publish(state, Way::Tokens, Mode::Mixed,
            sign_list(*plan(state, made).plan.value().list,
                      *std::make_unique<KeySigner>(valid, load_key(krakow::kRegenerated + ".key"))));
    made = with_tokens(Operation::Update, {valid, old});
    EXPECT_EQ(plan(state, made).plan.value().signer, old) << "the last";
    made.now = old.not_after() + 1;
    EXPECT_EQ(plan(state, made).plan.value().signer, valid);
    made.tokens = {old};
    EXPECT_THAT(plan(state, made).refusals, IsEmpty());
    put(state, Store::PhoneSastTrust, 0, old);
    EXPECT_THAT(rules(plan(state, made)), ElementsAre("phone-sast-trust"));
    made.tokens = {valid, old};
    EXPECT_THAT(plan(state, made).refusals, IsEmpty());
    EXPECT_EQ(plan(state, made).plan.value().signer, valid);
    // It holds nobody back from beginning anew.
    state.deleted = true;
    Request anew = with_tokens(Operation::MixedMode, {make_certificate(key, "SAST-NEW-1", 6),
                                                      make_certificate(key, "SAST-NEW-2", 7)});
    anew.now = made.now;
    anew.unusable = {valid};
    EXPECT_THAT(plan(state, anew).refusals, IsEmpty());
    // Nor does it sign a first CTL that phones learn of through TVS.
    State first = krakow_state("10.5(1)");
    put(first, Store::PhoneSastTrust, 0, old);
    made.operation = Operation::MixedMode;
    EXPECT_EQ(plan(first, made).plan.value().signer, valid);
}

TEST(Workflow, TwoTokensAtLeast) {
    const auto tokens = krakow_tokens();
    const State fresh = krakow_state("10.5(1)");
    EXPECT_THAT(rules(plan(fresh, with_tokens(Operation::MixedMode, {tokens[0]}))),
                ElementsAre("two-tokens"));
    EXPECT_THAT(rules(plan(fresh, with_tokens(Operation::MixedMode, {tokens[0], tokens[0]}))),
                ElementsAre("two-tokens"));
    State state = krakow_state("10.5(1)");
    publish(state, Way::Tokens, Mode::Mixed, golden_ctl("tokens"));
    Request dropping = with_tokens(Operation::ChangeTokens, {tokens[1]});
    dropping.dropped = {tokens[0]};
    EXPECT_THAT(rules(plan(state, dropping)), ElementsAre("two-tokens"));
    dropping.added = {make_certificate(load_key(krakow::kRegenerated + ".key"), "SAST-NEW", 5)};
    dropping.dropped_because = TokenState::Lost;
    const Planned replaced = plan(state, dropping);
    EXPECT_THAT(replaced.refusals, IsEmpty());
    EXPECT_EQ(replaced.plan->signer, tokens[1]);
    EXPECT_THAT(roles(*replaced.plan), ElementsAre("SAST*", "CCM+TFTP", "CAPF", "CCM+TFTP", "SAST"));
    EXPECT_EQ(replaced.plan->tokens.back().certificate, tokens[0]);
    EXPECT_EQ(replaced.plan->tokens.back().state, TokenState::Lost);
    // The lost one cannot drop itself and sign.
    dropping.tokens = {tokens[0]};
    EXPECT_THAT(rules(plan(state, dropping)), ElementsAre("token-in-ctl"));
}

TEST(Workflow, TokenlessBackToTokens) {
    const auto tokens = krakow_tokens();
    State state = krakow_state("10.5(1)");
    publish(state, Way::Tokenless, Mode::Mixed, golden_ctl("tokenless"));
    const Request back = with_tokens(Operation::MixedMode, tokens);
    EXPECT_THAT(rules(plan(state, back)), ElementsAre("token-in-ctl", "phone-sast-trust", "phone-sast-trust"))
        << "neither deleted nor uploaded";
    state.deleted = true;
    EXPECT_THAT(rules(plan(state, back)), ElementsAre("phone-sast-trust", "phone-sast-trust"))
        << "not uploaded";
    put(state, Store::PhoneSastTrust, 0, tokens[0]);
    EXPECT_THAT(rules(plan(state, back)), ElementsAre("phone-sast-trust"));
    State both = krakow_state("10.5(1)");
    publish(both, Way::Tokenless, Mode::Mixed, golden_ctl("tokenless"));
    both.deleted = true;
    for (const auto& token : tokens) {
        StoredCertificate stored;
        stored.store = Store::PhoneSastTrust;
        stored.certificate = token;
        both.certificates.push_back(stored);
    }
    EXPECT_THAT(plan(both, back).refusals, IsEmpty());
    Request late = back;
    late.time = static_cast<std::uint32_t>(tokens[1].not_after()) + 1;
    EXPECT_THAT(rules(plan(both, late)), ElementsAre("phone-sast-trust")) << "an expired entry";
    Request earlier = back;
    earlier.now = tokens[1].not_after() + 1;
    EXPECT_THAT(rules(plan(both, earlier)), ElementsAre("phone-sast-trust"))
        << "a time of signing is no way out";
}

TEST(Workflow, BackToTokensIsNoUpdate) {
    State state = krakow_state("10.5(1)");
    publish(state, Way::Tokenless, Mode::Mixed, golden_ctl("tokenless"));
    for (const Operation operation : {Operation::Update, Operation::NonSecureMode}) {
        const Planned planned = plan(state, with_tokens(operation, krakow_tokens()));
        EXPECT_THAT(rules(planned), ElementsAre("same-way"));
        EXPECT_FALSE(planned.plan) << "it cannot be forced";
    }
}

TEST(Workflow, WhereTheReleaseKnowsNoPublishersKeyTheCtlClientSaysSo) {
    State state = krakow_state("9.1(2)");
    publish(state, Way::Tokenless, Mode::Mixed, golden_ctl("tokenless"));
    for (const Operation operation : {Operation::Update, Operation::NonSecureMode, Operation::ChangeTokens}) {
        const Planned planned = plan(state, with_tokens(operation, krakow_tokens()));
        ASSERT_THAT(rules(planned), ElementsAre("token-in-ctl"));
        EXPECT_THAT(planned.refusals.front().text,
                    AllOf(HasSubstr("The Security Token you have inserted does not exist in the CTL File"),
                          HasSubstr("ctlsign cluster delete-ctl")));
        EXPECT_FALSE(planned.plan) << "it cannot be forced";
    }
}

TEST(Workflow, AServersCertificateIsNoToken) {
    const State state = krakow_state("10.5(1)");
    const auto server = load_certificate(krakow::kSubscriber + ".pem");
    const Planned planned = plan(state, with_tokens(Operation::MixedMode, {server, krakow_tokens().front()}));
    EXPECT_THAT(rules(planned), ElementsAre("two-tokens"));
    EXPECT_FALSE(planned.plan);
    State secured = krakow_state("10.5(1)");
    publish(secured, Way::Tokens, Mode::Mixed, golden_ctl("tokens"));
    Request adding = with_tokens(Operation::ChangeTokens, {krakow_tokens().back()});
    adding.added = {server};
    EXPECT_THAT(rules(plan(secured, adding)), ElementsAre("two-tokens"));
}

TEST(Workflow, FromNonSecureModeTheTokenOfTheCtlSigns) {
    State state = krakow_state("10.5(1)");
    publish(state, Way::Tokens, Mode::NonSecure, golden_ctl("tokens"));
    const auto known = krakow_tokens().front();
    const auto stranger = make_certificate(load_key(krakow::kRegenerated + ".key"), "SAST-NEW", 5);
    for (const auto& given : {std::vector{known, stranger}, std::vector{stranger, known}}) {
        const Planned planned = plan(state, with_tokens(Operation::MixedMode, given));
        EXPECT_THAT(planned.refusals, IsEmpty());
        EXPECT_EQ(planned.plan.value().signer, known);
    }
    state.deleted = true;
    const Planned planned = plan(state, with_tokens(Operation::MixedMode, {known, stranger}));
    EXPECT_EQ(planned.plan.value().signer, known);
    EXPECT_THAT(planned.plan->notes, ElementsAre(HasSubstr("SAST-ADN008580ef leaves the CTL")))
        << "phones hold a CTL that names the signer";
}

TEST(Workflow, TheRollbackParameterAsksWhatPhonesHold) {
    State state = krakow_state("10.5(1)");
    EXPECT_FALSE(check_rollback(state));
    publish(state, Way::Tokenless, Mode::Mixed, golden_ctl("tokenless"));
    EXPECT_TRUE(check_rollback(state));
    state.deleted = true;
    EXPECT_TRUE(check_rollback(state));
}

// Behind the deletion of the CTL that the krakow tokens have signed, and what two new ones ask for.
struct BeginAnew {
    State state = krakow_state("9.1(2)");
    std::vector<sast::Certificate> fresh;
    Request request;

    BeginAnew() {
        publish(state, Way::Tokens, Mode::Mixed, golden_ctl("tokens"));
        state.deleted = true;
        const auto key = load_key(krakow::kRegenerated + ".key");
        fresh = {make_certificate(key, "SAST-NEW-1", 5), make_certificate(key, "SAST-NEW-2", 6)};
        request = with_tokens(Operation::MixedMode, fresh);
    }
    void know(std::size_t index, TokenState token_state) {
        state.tokens.push_back({0, "", "", krakow_tokens()[index], token_state});
    }
    void vouch() {
        for (const auto& token : fresh) put(state, Store::PhoneSastTrust, 0, token);
    }
};

TEST(Workflow, AllTokensLostBeforeTen) {
    State state = krakow_state("9.1(2)");
    publish(state, Way::Tokens, Mode::Mixed, golden_ctl("tokens"));
    EXPECT_THAT(rules(plan(state, tokenless(Operation::Update))), ElementsAre("knows-tokenless"));
    BeginAnew lost;
    lost.know(0, TokenState::Lost);
    lost.know(1, TokenState::Locked);
    const Planned planned = plan(lost.state, lost.request);
    EXPECT_THAT(planned.refusals, IsEmpty());
    EXPECT_THAT(planned.plan->notes, ElementsAre(HasSubstr("delete the CTL by hand on every phone"),
                                                 HasSubstr("break at the next certificate change")));
    BeginAnew said;
    said.request.unusable = krakow_tokens();
    EXPECT_THAT(plan(said.state, said.request).refusals, IsEmpty()) << "recover says it with the request";
}

TEST(Workflow, ALivingTokenIsNotThrownAway) {
    for (const TokenState token_state : {TokenState::InUse, TokenState::Retired}) {
        BeginAnew one;
        one.know(0, TokenState::Lost);
        one.know(1, token_state);
        const Planned planned = plan(one.state, one.request);
        ASSERT_THAT(rules(planned), ElementsAre("phone-sast-trust", "phone-sast-trust"));
        EXPECT_THAT(planned.refusals[0].text, HasSubstr("or sign with SAST-ADN008580ef, which phones know"));
        EXPECT_TRUE(planned.refusals[0].consequence && planned.plan) << "it can be forced";
        EXPECT_THAT(planned.plan->notes, ElementsAre(HasSubstr("delete the CTL by hand on every phone"),
                                                     HasSubstr("break at the next certificate change"),
                                                     HasSubstr("SAST-ADN008580ef leaves the CTL")));
    }
    EXPECT_THAT(rules(plan(BeginAnew().state, BeginAnew().request)),
                ElementsAre("phone-sast-trust", "phone-sast-trust"))
        << "of which nothing is known";
}

TEST(Workflow, TvsVouchesForTokensThatTakeThePlaceOfAll) {
    BeginAnew lost;
    lost.know(0, TokenState::Lost);
    lost.know(1, TokenState::Lost);
    lost.vouch();
    EXPECT_THAT(plan(lost.state, lost.request).refusals, IsEmpty());
    EXPECT_THAT(plan(lost.state, lost.request).plan->notes,
                ElementsAre(HasSubstr("phones with Security By Default ask TVS for it")));
    BeginAnew living;
    living.vouch();
    EXPECT_THAT(plan(living.state, living.request).refusals, IsEmpty());
    EXPECT_THAT(plan(living.state, living.request).plan->notes,
                ElementsAre(HasSubstr("phones with Security By Default ask TVS for it"),
                            HasSubstr("leaves the CTL"), HasSubstr("leaves the CTL")));
}

TEST(Workflow, WhatIsNeitherNamedAgainNorDroppedLeavesAloud) {
    State state = krakow_state("10.5(1)");
    publish(state, Way::Tokens, Mode::NonSecure, golden_ctl("tokens"));
    const auto tokens = krakow_tokens();
    const auto stranger = make_certificate(load_key(krakow::kRegenerated + ".key"), "SAST-NEW", 5);
    const Request made = with_tokens(Operation::MixedMode, {tokens[0], stranger});
    const Planned planned = plan(state, made);
    EXPECT_THAT(planned.refusals, IsEmpty());
    EXPECT_THAT(planned.plan->notes,
                ElementsAre("SAST-ADN008580ef leaves the CTL, and can no longer update it"));
    EXPECT_THAT(plan(state, with_tokens(Operation::MixedMode, tokens)).plan->notes, IsEmpty());
    // What is known to be lost is missed by nobody.
    state.tokens.push_back({0, "", "", tokens[1], TokenState::Lost});
    EXPECT_THAT(plan(state, made).plan->notes, IsEmpty());
}

TEST(Workflow, WhichCommandBringsTheCtlUpToTheStores) {
    State state = with_recovery("12.0(1)");
    EXPECT_EQ(remaking_command(state), "ctlsign cluster mixed-mode");
    const Plan first = plan(state, tokenless(Operation::MixedMode)).plan.value();
    publish(state, Way::Tokenless, Mode::Mixed, sign(first, krakow::kRegenerated));
    EXPECT_THAT(describe_not_in_ctl(state), IsEmpty());
    replace(state, Store::CallManager, kPublisherNode, load_certificate(krakow::kRegenerated + ".pem"));
    EXPECT_THAT(describe_not_in_ctl(state), ElementsAre(HasSubstr("run ctlsign cluster update")));
    State both = state;
    const auto fresh = make_certificate(load_key(krakow::kRegenerated + ".key"), "ITLRECOVERY_NEW", 79);
    replace(both, Store::ItlRecovery, kPublisherNode, fresh);
    EXPECT_EQ(remaking_command(both), "ctlsign cluster update") << "phones know neither signer";
    put(state, Store::CallManager, kPublisherNode, load_certificate(krakow::kPublisher + ".pem"));
    replace(state, Store::ItlRecovery, kPublisherNode, fresh);
    EXPECT_THAT(describe_not_in_ctl(state), ElementsAre(HasSubstr("run ctlsign cluster reset-localkey")));
    state.deleted = true;
    EXPECT_THAT(describe_not_in_ctl(state), IsEmpty()) << "there is none";
    // A CTL of tokens holds no ITLRecovery before 11.5.
    State tokens = with_recovery("10.5(2)");
    publish(tokens, Way::Tokens, Mode::Mixed, golden_ctl("tokens"));
    EXPECT_THAT(describe_not_in_ctl(tokens), IsEmpty());
    tokens.release = Release::parse("11.5(1)").value();
    EXPECT_THAT(describe_not_in_ctl(tokens),
                ElementsAre(AllOf(HasSubstr("ITLRecovery"), HasSubstr("ctlsign cluster update --token"))));
    tokens.release = Release::parse("14SU3").value();
    EXPECT_EQ(remaking_command(tokens), "ctlsign cluster update --tokenless");
    tokens.mode = Mode::NonSecure;
    EXPECT_THAT(describe_not_in_ctl(tokens), IsEmpty()) << "no command makes one";
}

TEST(Workflow, ADowngradeBelowTenIsWarnedOf) {
    State state = krakow_state("10.5(1)");
    EXPECT_THAT(plan_release(state, Release::parse("9.1(2)").value()), IsEmpty());
    publish(state, Way::Tokenless, Mode::Mixed, golden_ctl("tokenless"));
    EXPECT_THAT(plan_release(state, Release::parse("9.1(2)").value()),
                ElementsAre(HasSubstr("carried over unchanged")));
    EXPECT_THAT(plan_release(state, Release::parse("11.5(1)").value()), IsEmpty());
    publish(state, Way::Tokens, Mode::Mixed, golden_ctl("tokens"));
    EXPECT_THAT(plan_release(state, Release::parse("14SU3").value()),
                ElementsAre(HasSubstr("takes no security tokens")));
}

TEST(Workflow, ATokenThatIsPresentSigns) {
    const auto tokens = krakow_tokens();
    const auto young = make_certificate(load_key(krakow::kRegenerated + ".key"), "SAST-NEW", 5);
    const auto signer_of = [](const State& state, const Request& made) {
        return plan(state, made).plan.value().signer.value();
    };
    State state = krakow_state("10.5(1)");
    Request made = with_tokens(Operation::MixedMode, {tokens[0], young});
    EXPECT_EQ(signer_of(state, made), young);
    made.present = {tokens[0]};
    EXPECT_EQ(signer_of(state, made), tokens[0]);
    made.present = {tokens[0], young};
    EXPECT_EQ(signer_of(state, made), young);
    publish(state, Way::Tokens, Mode::Mixed, sign(plan(state, made).plan.value(), krakow::kRegenerated));
    made.operation = Operation::Update;
    // Phones that hold the CTL take an expired token, too.
    made.now = tokens[0].not_after() + 1;
    EXPECT_EQ(signer_of(state, made), young);
    made.present = {tokens[0]};
    EXPECT_EQ(signer_of(state, made), tokens[0]);
    EXPECT_THAT(plan(state, made).refusals, IsEmpty());
}

}  // namespace
}  // namespace ctlsign::cluster
