#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <ctlsign/cluster/contents.hpp>
#include <ctlsign/cluster/recovery.hpp>
#include <ctlsign/trustlist/decode.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::array<std::string_view, 7> kConditions{"ready",
                                                      "one try left before it locks",
                                                      "locked",
                                                      "not plugged in",
                                                      "lost",
                                                      "its PIN is forgotten",
                                                      "its certificate has expired"};

RecoveryStep by_hand(std::string text) {
    return {std::move(text), std::nullopt};
}

// As the database says it; nothing of a token that may sign again.
std::optional<TokenState> state_for(TokenCondition condition) noexcept {
    switch (condition) {
        case TokenCondition::Lost:
            return TokenState::Lost;
        case TokenCondition::Locked:
            return TokenState::Locked;
        case TokenCondition::Forgotten:
            return TokenState::Forgotten;
        default:
            return std::nullopt;
    }
}

using Tokens = std::vector<const SignerFacts::Token*>;

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
    bool mixed() const { return state_.mode == Mode::Mixed; }
    bool served() const { return state_.ctl() != nullptr; }

    void tokens() {
        if (!state_.release.takes_tokens()) {
            note_keys();
            if (!mixed()) return;
            result_.lost.push_back(fmt::format("the tokens: release {} takes none", state_.release.text()));
            to_tokenless();
            to_non_secure();
            return;
        }
        const SignerFacts::Token* signer = nullptr;
        Tokens gone;
        for (const auto& token : facts_.tokens) look_at(token, signer, gone);
        note_keys();
        if (!served()) {
            if (mixed()) result_.lost.emplace_back("the CTL was deleted from every node");
            if (!mixed() && gone.empty()) return;
            if (signer != nullptr) make_again(*signer, gone);
            if (state_.release.knows_tokenless()) {
                to_tokenless();
                if (signer == nullptr) to_non_secure();
            }
            if (signer == nullptr) new_pair();
            return;
        }
        if (gone.empty()) return;
        if (signer != nullptr) {
            replace_token(*signer, gone);
            to_tokenless();
            return;
        }
        to_tokenless();
        to_non_secure();
        new_pair();
    }

    // How gladly a token signs; 0: it cannot. Phones that hold the CTL take an expired one, TVS does not.
    int rank(const SignerFacts::Token& token) const {
        switch (token.condition) {
            case TokenCondition::Ready:
                return 3;
            case TokenCondition::Expired:
                return state_.holds(Store::PhoneSastTrust, token.certificate) ? 0 : 2;
            case TokenCondition::FinalTry:
                return 1;
            default:
                return 0;
        }
    }

    // Whether TOKEN may be asked to sign: where the administrator has named some, it is one of them.
    bool is_wanted(const SignerFacts::Token& token) const {
        return facts_.signers.empty() ||
               std::ranges::find(facts_.signers, token.certificate) != facts_.signers.end();
    }

    // Who signs is the last of those that do it most gladly.
    void look_at(const SignerFacts::Token& token, const SignerFacts::Token*& signer, Tokens& gone) {
        const std::string line =
            fmt::format("token {}: {}", token_name(token.certificate), to_text(token.condition));
        if (rank(token) > 0) {
            const bool expired = token.condition == TokenCondition::Expired;
            result_.works.push_back(line + (expired ? "; phones that hold the CTL take what it signs" : ""));
            if (is_wanted(token) && (signer == nullptr || rank(token) >= rank(*signer))) signer = &token;
            return;
        }
        // Where no phone is secured, a token may stay in its drawer.
        if (!mixed() && !served() && token.condition == TokenCondition::NotPlugged) return;
        result_.lost.push_back(line);
        gone.push_back(&token);
    }

    void publisher() {
        if (!state_.release.knows_tokenless()) {
            release_knows_tokens_alone();
            return;
        }
        note_keys();
        const bool recovery_signs = state_.release.signs_with_itl_recovery();
        const bool usual = recovery_signs ? facts_.itl_recovery_key : facts_.call_manager_key;
        if (usual && (served() || !mixed())) return;
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

    // W18: the CTL was carried over, and no token is a SAST of it.
    void release_knows_tokens_alone() {
        if (!mixed()) return;
        result_.lost.push_back(fmt::format(
            "the publisher's key: release {} takes CTLs from security tokens alone", state_.release.text()));
        if (!served()) result_.lost.emplace_back("the CTL was deleted from every node");
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

    void add(WayOut& way, std::string text, Request request) const {
        RecoveryStep step{std::move(text), std::move(request)};
        for (const auto& token : facts_.tokens) {
            const auto lost = state_for(token.condition);
            if (!lost) continue;
            step.losses.push_back({0, "", "", token.certificate, *lost});
            step.request->unusable.push_back(token.certificate);
        }
        way.steps.push_back(std::move(step));
    }
    void add(WayOut& way, std::string text, Operation operation, Way by) const {
        Request request;
        request.operation = operation;
        request.way = by;
        add(way, std::move(text), std::move(request));
    }
    // TOKENS make the CTL anew; the last signs it.
    void add_first_ctl(WayOut& way, std::vector<sast::Certificate> tokens) const {
        Request request;
        request.operation = Operation::MixedMode;
        request.way = Way::Tokens;
        std::string text = tokens.empty() ? "make the CTL with the tokens"
                                          : fmt::format("make the CTL with {}, signed by {}",
                                                        token_names(tokens), token_name(tokens.back()));
        if (!tokens.empty()) request.present = {tokens.back()};
        request.tokens = std::move(tokens);
        add(way, std::move(text), std::move(request));
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

    void need_tokens(WayOut& way) const {
        if (!state_.release.takes_tokens())
            way.needs.push_back(fmt::format("a release before 14SU3; this is {}", state_.release.text()));
    }

    void need_signer(WayOut& way, const SignerFacts::Token& signer, const Tokens& gone) const {
        need_tokens(way);
        if (signer.condition == TokenCondition::FinalTry && !facts_.final_try)
            way.needs.push_back(
                fmt::format("--use-final-try: another wrong PIN locks {}", token_name(signer.certificate)));
        for (const auto* token : gone) need_declared(way, *token);
    }

    // A token that is only not there might be in a drawer.
    void need_declared(WayOut& way, const SignerFacts::Token& token) const {
        if (token.condition == TokenCondition::NotPlugged)
            way.needs.push_back(fmt::format("{0} plugged in, or --lost {0}", token_name(token.certificate)));
    }

    // Those that WAY begins to trust: the ones that were named, or NEEDED of what is plugged in when there
    // are no more. MISSING says what is needed where there are fewer.
    std::vector<sast::Certificate> take_spares(WayOut& way, std::size_t needed,
                                               std::string_view missing) const {
        if (facts_.spares.size() < needed) way.needs.emplace_back(missing);
        if (facts_.spares_named) return facts_.spares;
        if (facts_.spares.size() > needed && needed > 0)
            way.needs.push_back(fmt::format("--token for {}: {} are plugged in",
                                            needed == 1 ? "the new token" : "each new token",
                                            token_names(facts_.spares)));
        const std::size_t taken = std::min(needed, facts_.spares.size());
        return {facts_.spares.begin(), facts_.spares.begin() + static_cast<std::ptrdiff_t>(taken)};
    }

    std::vector<sast::Certificate> take_missing(WayOut& way, const Tokens& gone) const {
        const std::size_t staying = facts_.tokens.size() - gone.size();
        return take_spares(way, staying >= 2 ? 0 : 2 - staying, "a new token, plugged in");
    }

    static bool is_expired(const SignerFacts::Token* token) {
        return token->condition == TokenCondition::Expired;
    }
    // An expired token stays in the CTL where there is no other to take its place.
    Tokens keep_expired(Tokens gone) const {
        while (facts_.tokens.size() - gone.size() + facts_.spares.size() < 2) {
            const auto kept = std::ranges::find_if(gone, is_expired);
            if (kept == gone.end()) break;
            gone.erase(kept);
        }
        return gone;
    }

    void replace_token(const SignerFacts::Token& signer, Tokens gone) {
        // What is lost leaves at once.
        if (!std::ranges::all_of(gone, is_expired)) gone = keep_expired(std::move(gone));
        WayOut way{"replace-token",
                   fmt::format("sign with {}, name a new token instead of what is lost",
                               token_name(signer.certificate)),
                   Acceptance::ByThemselves,
                   {},
                   {}};
        Request request;
        request.operation = Operation::ChangeTokens;
        request.way = Way::Tokens;
        request.tokens = {signer.certificate};
        request.added = take_missing(way, gone);
        need_signer(way, signer, gone);
        for (const auto* token : gone) request.dropped.push_back(token->certificate);
        std::string text = fmt::format("have the CTL signed that names {}, and no more {}",
                                       request.added.empty() ? "what stays" : token_names(request.added),
                                       token_names(request.dropped));
        add(way, std::move(text), std::move(request));
        finish(std::move(way));
    }

    // Phones hold the CTL that was deleted, and SIGNER is a SAST of it.
    void make_again(const SignerFacts::Token& signer, Tokens gone) {
        gone = keep_expired(std::move(gone));
        WayOut way{"mixed-mode",
                   fmt::format("make the CTL anew, signed by {}", token_name(signer.certificate)),
                   Acceptance::ByThemselves,
                   {},
                   {}};
        std::vector<sast::Certificate> tokens = take_missing(way, gone);
        need_signer(way, signer, gone);
        for (const auto& token : facts_.tokens)
            if (&token != &signer && std::ranges::find(gone, &token) == gone.end())
                tokens.push_back(token.certificate);
        tokens.push_back(signer.certificate);
        add_first_ctl(way, std::move(tokens));
        finish(std::move(way));
    }

    void to_tokenless() {
        WayOut way{"to-tokenless",
                   mixed() ? "let the publisher's key sign from now on"
                           : "set the cluster to mixed mode, and let the publisher's key sign from now on",
                   acceptance_of_publisher(),
                   {},
                   {}};
        need_tokenless(way);
        if (mixed() && served())
            add(way, "sign the CTL with the publisher's key", Operation::Update, Way::Tokenless);
        else
            add(way, "make the CTL with the publisher's key", Operation::MixedMode, Way::Tokenless);
        finish(std::move(way));
    }

    void to_non_secure() {
        if (!mixed()) return;
        WayOut way{"to-non-secure",
                   "set the cluster back: phones register unsecured",
                   acceptance_of_publisher(),
                   {},
                   {}};
        need_tokenless(way);
        add(way, "set the cluster to non-secure mode with the publisher's key", Operation::NonSecureMode,
            Way::Tokenless);
        finish(std::move(way));
    }

    // W11: phones hold a CTL that nothing signs any more.
    void new_pair() {
        WayOut way{"new-tokens", "begin anew with two new tokens", Acceptance::ByHand, {}, {}};
        need_tokens(way);
        auto tokens = take_spares(way, 2, "two new tokens, plugged in");
        for (const auto& token : facts_.tokens) need_declared(way, token);
        if (!tokens.empty() && state_.holds(Store::PhoneSastTrust, tokens.back()))
            way.phones = Acceptance::ThroughTvs;
        if (served()) add(way, "delete the CTL from every node", Operation::DeleteCtl, Way::Tokens);
        add_first_ctl(way, std::move(tokens));
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
        if (find_publisher_certificate(state_, store) == nullptr)
            way.needs.push_back(fmt::format("the publisher's {} certificate in the stores: its subject stays",
                                            to_text(store)));
        RecoveryStep step{fmt::format("make a new {} key and certificate for the publisher", to_text(store)),
                          std::nullopt};
        step.regenerated = store;
        way.steps.push_back(std::move(step));
        // Where no phone is secured, no CTL is made.
        if (mixed())
            add(way, "sign the CTL with the publisher's key",
                served() ? Operation::Update : Operation::MixedMode, Way::Tokenless);
        finish(std::move(way));
    }

    // W8.
    void back_to_tokens() {
        WayOut way{"to-tokens", "let two tokens sign from now on", Acceptance::ThroughTvs, {}, {}};
        need_tokens(way);
        auto tokens = take_spares(way, 2, "two tokens, plugged in");
        for (const auto& token : tokens)
            if (!state_.holds(Store::PhoneSastTrust, token))
                way.needs.push_back(
                    fmt::format("the certificate of {} in Phone-SAST-trust", token_name(token)));
        if (served()) add(way, "delete the CTL from every node", Operation::DeleteCtl, Way::Tokenless);
        add_first_ctl(way, std::move(tokens));
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

void remember_losses(Plan& plan, const RecoveryStep& step) {
    // What is deleted names nobody any more.
    if (plan.operation == Operation::DeleteCtl) plan.tokens = step.losses;
    for (KnownToken& token : plan.tokens) {
        const auto loss = std::ranges::find(step.losses, token.certificate, &KnownToken::certificate);
        if (token.state != TokenState::InUse && loss != step.losses.end()) token.state = loss->state;
    }
}

Assessment assess(const State& state, const SignerFacts& facts) {
    return Assessor(state, facts).run();
}

}  // namespace ctlsign::cluster
