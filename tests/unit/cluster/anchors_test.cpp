#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <utility>

#include <ctlsign/cluster/contents.hpp>
#include <ctlsign/cluster/rules.hpp>
#include <tests/support/cluster_state.hpp>

// What phones trust changes one at a time.
namespace ctlsign::cluster {
namespace {

using namespace ctlsign::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// The rules that speak against another certificate in STORE of NODE.
std::vector<std::string> anchors(const State& state, Store store, std::int64_t node) {
    std::vector<std::string> found;
    for (const auto& refusal : check_anchors(state, store, *state.find_node(node)))
        found.emplace_back(to_text(refusal.rule));
    return found;
}

TEST(Anchors, ChangeOneAtATime) {
    State state = krakow_state("10.5(1)");
    const Node publisher = state.nodes[0];
    const auto refused = ElementsAre("one-anchor-at-a-time");
    const auto steps = [&](Store store) { return check_anchors(state, store, publisher).at(0).text; };
    put(state, Store::Tvs, kPublisherNode, krakow_recovery());
    EXPECT_THAT(check_anchors(state, Store::CallManager, publisher), IsEmpty());
    replace(state, Store::Tvs, kPublisherNode, krakow_recovery());
    ASSERT_THAT(anchors(state, Store::CallManager, kPublisherNode), refused) << "phones hold an ITL";
    EXPECT_THAT(steps(Store::CallManager), HasSubstr("ctlsign cluster restarted"));
    publish(state, Way::Tokenless, Mode::Mixed, golden_ctl("tokenless"));
    EXPECT_THAT(anchors(state, Store::CallManager, kPublisherNode), refused) << "a CTL names no TVS";
    EXPECT_THAT(steps(Store::CallManager), Not(HasSubstr("ctlsign cluster update")));
    EXPECT_THAT(anchors(state, Store::Capf, kPublisherNode), IsEmpty());
    restart(state);
    EXPECT_THAT(anchors(state, Store::CallManager, kPublisherNode), IsEmpty());

    replace(state, Store::CallManager, kPublisherNode, load_certificate(krakow::kRegenerated + ".pem"));
    EXPECT_THAT(anchors(state, Store::Tvs, kPublisherNode), refused);
    EXPECT_THAT(anchors(state, Store::CallManager, kSubscriberNode), refused)
        << "one TFTP server after the other";
    restart(state);
    ASSERT_THAT(anchors(state, Store::Tvs, kPublisherNode), refused) << "the CTL is of before";
    EXPECT_THAT(steps(Store::Tvs),
                HasSubstr("run ctlsign cluster update, reset the phones and run ctlsign cluster restarted"));
    publish(state, Way::Tokenless, Mode::Mixed, golden_ctl("tokenless"), 2);
    ASSERT_THAT(anchors(state, Store::Tvs, kPublisherNode), refused) << "phones have not fetched the CTL";
    EXPECT_THAT(steps(Store::Tvs), HasSubstr("reset the phones and run ctlsign cluster restarted"));
    EXPECT_THAT(steps(Store::Tvs), Not(HasSubstr("update")));
    restart(state);
    EXPECT_THAT(anchors(state, Store::Tvs, kPublisherNode), IsEmpty());
}

TEST(Anchors, HoldEachOther) {
    struct Change {
        Store store;
        std::int64_t node;
    };
    constexpr Change kCallManager{Store::CallManager, kPublisherNode},
        kOtherCallManager{Store::CallManager, kSubscriberNode}, kTvs{Store::Tvs, kPublisherNode},
        kOtherTvs{Store::Tvs, kSubscriberNode}, kRecovery{Store::ItlRecovery, kPublisherNode},
        kCapf{Store::Capf, kPublisherNode};
    struct Case {
        Change first, second;
        bool before_twelve, from_twelve;
    };
    constexpr std::array kCases{Case{kCallManager, kOtherCallManager, true, true},
                                Case{kTvs, kOtherTvs, true, true},
                                Case{kCallManager, kTvs, true, false},
                                Case{kCallManager, kOtherTvs, true, false},
                                Case{kRecovery, kCallManager, false, true},
                                Case{kRecovery, kOtherCallManager, false, false},
                                Case{kRecovery, kTvs, false, true},
                                Case{kRecovery, kOtherTvs, false, true},
                                Case{kCapf, kCallManager, false, false},
                                Case{kCapf, kTvs, false, false},
                                Case{kTvs, kTvs, false, false}};
    for (const char* release : {"10.5(2)", "12.0(1)"}) {
        for (const Case& each : kCases) {
            const bool expected = release[1] == '0' ? each.before_twelve : each.from_twelve;
            for (const auto& [first, second] :
                 {std::pair{each.first, each.second}, std::pair{each.second, each.first}}) {
                State state = krakow_state(release);
                replace(state, first.store, first.node, krakow_recovery());
                EXPECT_EQ(!anchors(state, second.store, second.node).empty(), expected)
                    << release << ": " << to_text(first.store) << first.node << ", " << to_text(second.store)
                    << second.node;
            }
        }
    }
}

TEST(TokenName, CannotTalkToTheTerminal) {
    const auto token = make_certificate(load_key(krakow::kRegenerated + ".key"), "SAST-\x1b[31mX   ", 78);
    EXPECT_EQ(token_name(token), "SAST-\\x1B[31mX");
    const auto refusals = check_phone_sast_trust(krakow_state("10.5(2)"), std::array{token});
    ASSERT_EQ(refusals.size(), 1U);
    EXPECT_THAT(refusals.front().text, HasSubstr("SAST-\\x1B[31mX is not in Phone-SAST-trust"));
}

}  // namespace
}  // namespace ctlsign::cluster
