#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <ctlsign/cluster/contents.hpp>
#include <ctlsign/cluster/recovery.hpp>
#include <ctlsign/trustlist/decode.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::array<std::string_view, 6> kConditions{
    "ready", "one try left before it locks", "locked", "not plugged in", "lost", "its PIN is forgotten"};

RecoveryStep by_hand(std::string text) {
    return {std::move(text), std::nullopt};
}

bool usable(TokenCondition condition) noexcept {
    return condition == TokenCondition::Ready;
}

TokenState state_for(TokenCondition condition) noexcept {
    switch (condition) {
        case TokenCondition::Locked:
            return TokenState::Locked;
        case TokenCondition::Forgotten:
            return TokenState::Forgotten;
        default:
            return TokenState::Lost;
    }
}

class Assessor {
  public:
    Assessor(const State& state, const SignerFacts& facts) : state_(state), facts_(facts) {
        if (state.last) last_ = decode_list(ByteView(state.last->octets));
    }

    Assessment run() {
        if (!last_) return std::move(result_);
        state_.last->way == Way::Tokens ? tokens() : publisher();
        return std::move(result_);
    }

  private:
    void tokens() {
        const SignerFacts::Token* ready = nullptr;
        std::vector<const SignerFacts::Token*> gone;
        for (const auto& token : facts_.tokens) {
            const std::string line =
                fmt::format("token {}: {}", token.certificate.common_name(), to_text(token.condition));
            if (usable(token.condition)) {
                ready = &token;
                result_.works.push_back(line);
            } else {
                gone.push_back(&token);
                result_.lost.push_back(line);
            }
        }
        note_keys();
        if (state_.ctl() == nullptr) {
            result_.lost.emplace_back("the CTL was deleted from every node");
            new_pair();
            return;
        }
        if (gone.empty()) return;
        if (ready != nullptr) {
            replace_token(*ready, gone);
            to_tokenless("to-tokenless", "let the publisher's key sign from now on");
            return;
        }
        to_tokenless("to-tokenless", "let the publisher's key sign from now on");
        to_non_secure();
        new_pair();
    }

    void publisher() {
        note_keys();
        const bool recovery_signs = state_.release.signs_with_itl_recovery();
        const bool usual = recovery_signs ? facts_.itl_recovery_key : facts_.call_manager_key;
        if (usual && state_.ctl() != nullptr) return;
        if (!usual) {
            result_.lost.push_back(fmt::format("the publisher's {} key, which signs",
                                               recovery_signs ? "ITLRecovery" : "CallManager"));
            if (recovery_signs && facts_.call_manager_key) reset_local_key();
            regenerate(recovery_signs ? Store::ItlRecovery : Store::CallManager);
        } else {
            result_.lost.emplace_back("the CTL was deleted from every node");
            WayOut way{"mixed-mode", "make the CTL anew", acceptance_of_publisher(), {}, {}};
            add(way, "make the CTL with the publisher's key", Operation::MixedMode, Way::Tokenless);
            finish(std::move(way));
        }
        back_to_tokens();
    }

    void note_keys() {
        if (facts_.call_manager_key) result_.works.emplace_back("the publisher's CallManager key");
        if (facts_.itl_recovery_key) result_.works.emplace_back("the publisher's ITLRecovery key");
    }

    // Whether phones know of the publisher's signer from the CTL that they hold.
    Acceptance acceptance_of_publisher() const {
        const auto sasts = publisher_sasts(state_);
        return !sasts.empty() && is_sast(*last_, sasts.front()) ? Acceptance::ByThemselves
                                                                : Acceptance::ThroughTvs;
    }

    static void add(WayOut& way, std::string text, Operation operation, Way by) {
        Request request;
        request.operation = operation;
        request.way = by;
        way.steps.push_back({std::move(text), std::move(request)});
    }

    void finish(WayOut way) {
        way.steps.push_back(
            by_hand("restart TFTP and Cisco CallManager on all nodes that run them, then reset all phones"));
        if (way.phones == Acceptance::ThroughTvs)
            way.steps.push_back(by_hand("delete the CTL by hand on phones without Security By Default"));
        if (way.phones == Acceptance::ByHand)
            way.steps.push_back(by_hand("delete the CTL by hand on every phone"));
        result_.ways.push_back(std::move(way));
    }

    void need_tokenless(WayOut& way) const {
        if (!state_.release.knows_tokenless())
            way.needs.push_back(fmt::format("release 10.0 or later; this is {}", state_.release.text()));
        const bool key =
            state_.release.signs_with_itl_recovery() ? facts_.itl_recovery_key : facts_.call_manager_key;
        if (!key) way.needs.emplace_back("the publisher's key that signs");
    }

    void replace_token(const SignerFacts::Token& ready, const std::vector<const SignerFacts::Token*>& gone) {
        WayOut way{"replace-token",
                   fmt::format("sign with {}, name a new token instead of what is lost",
                               ready.certificate.common_name()),
                   Acceptance::ByThemselves,
                   {},
                   {}};
        const std::size_t staying = facts_.tokens.size() - gone.size();
        const std::size_t missing = staying >= 2 ? 0 : 2 - staying;
        if (facts_.spares.size() < missing) way.needs.emplace_back("a new token, plugged in");
        if (!state_.release.takes_tokens())
            way.needs.push_back(fmt::format("a release before 14SU3; this is {}", state_.release.text()));
        Request request;
        request.operation = Operation::ChangeTokens;
        request.way = Way::Tokens;
        request.tokens = {ready.certificate};
        for (const auto* token : gone) {
            request.dropped.push_back(token->certificate);
            if (token->condition == TokenCondition::NotPlugged)
                way.needs.push_back(
                    fmt::format("{0} plugged in, or --lost {0}", token->certificate.common_name()));
        }
        request.dropped_because = state_for(gone.front()->condition);
        request.added.assign(
            facts_.spares.begin(),
            facts_.spares.begin() + static_cast<std::ptrdiff_t>(std::min(missing, facts_.spares.size())));
        way.steps.push_back(
            {"have the CTL signed that names the new token, and no more what is lost", std::move(request)});
        finish(std::move(way));
    }

    void to_tokenless(std::string name, std::string text) {
        WayOut way{std::move(name), std::move(text), acceptance_of_publisher(), {}, {}};
        need_tokenless(way);
        add(way, "sign the CTL with the publisher's key", Operation::Update, Way::Tokenless);
        if (state_.mode == Mode::NonSecure) way.needs.emplace_back("mixed mode");
        finish(std::move(way));
    }

    void to_non_secure() {
        WayOut way{"to-non-secure",
                   "set the cluster back: phones register unsecured",
                   acceptance_of_publisher(),
                   {},
                   {}};
        need_tokenless(way);
        if (state_.mode == Mode::NonSecure) way.needs.emplace_back("mixed mode");
        add(way, "set the cluster to non-secure mode with the publisher's key", Operation::NonSecureMode,
            Way::Tokenless);
        finish(std::move(way));
    }

    // W11: phones hold a CTL that nothing signs any more.
    void new_pair() {
        WayOut way{"new-tokens", "begin anew with two new tokens", Acceptance::ByHand, {}, {}};
        if (!state_.release.takes_tokens())
            way.needs.push_back(fmt::format("a release before 14SU3; this is {}", state_.release.text()));
        if (facts_.spares.size() < 2) way.needs.emplace_back("two new tokens, plugged in");
        if (state_.ctl() != nullptr)
            add(way, "delete the CTL from every node", Operation::DeleteCtl, Way::Tokens);
        add(way, "make the CTL with the new tokens", Operation::MixedMode, Way::Tokens);
        way.steps.back().request->tokens = facts_.spares;
        finish(std::move(way));
    }

    void reset_local_key() {
        WayOut way{"reset-localkey",
                   "have the CallManager key sign, which phones know",
                   Acceptance::ByThemselves,
                   {},
                   {}};
        add(way, "sign the CTL with the CallManager key", Operation::ResetLocalKey, Way::Tokenless);
        finish(std::move(way));
    }

    void regenerate(Store store) {
        WayOut way{
            "regenerate", fmt::format("make a new {} key", to_text(store)), Acceptance::ThroughTvs, {}, {}};
        way.steps.push_back(
            by_hand(fmt::format("ctlsign cluster certificate regenerate --store {} --node {}", to_text(store),
                                state_.publisher() == nullptr ? "PUBLISHER" : state_.publisher()->name)));
        way.steps.push_back(by_hand("ctlsign cluster update"));
        finish(std::move(way));
    }

    // W8.
    void back_to_tokens() {
        WayOut way{"to-tokens", "let two tokens sign from now on", Acceptance::ThroughTvs, {}, {}};
        if (!state_.release.takes_tokens())
            way.needs.push_back(fmt::format("a release before 14SU3; this is {}", state_.release.text()));
        if (facts_.spares.size() < 2) way.needs.emplace_back("two tokens, plugged in");
        for (const auto& spare : facts_.spares)
            if (!state_.holds(Store::PhoneSastTrust, spare))
                way.needs.push_back(
                    fmt::format("the certificate of {} in Phone-SAST-trust", spare.common_name()));
        if (state_.ctl() != nullptr)
            add(way, "delete the CTL from every node", Operation::DeleteCtl, Way::Tokenless);
        add(way, "make the CTL with the tokens", Operation::MixedMode, Way::Tokens);
        way.steps.back().request->tokens = facts_.spares;
        finish(std::move(way));
    }

    const State& state_;
    const SignerFacts& facts_;
    std::optional<TrustList> last_;
    Assessment result_;
};

}  // namespace

std::string_view to_text(TokenCondition condition) noexcept {
    return kConditions[static_cast<std::size_t>(condition)];
}

std::string_view describe(Acceptance acceptance) noexcept {
    switch (acceptance) {
        case Acceptance::ByThemselves:
            return "every phone takes the new CTL by itself";
        case Acceptance::ThroughTvs:
            return "phones with Security By Default take the new CTL through TVS; the CTL of 7940, 7960, "
                   "Jabber and other "
                   "models without it must be deleted by hand";
        case Acceptance::ByHand:
            return "the CTL of every phone must be deleted by hand";
    }
    return "";
}

Assessment assess(const State& state, const SignerFacts& facts) {
    return Assessor(state, facts).run();
}

}  // namespace ctlsign::cluster
