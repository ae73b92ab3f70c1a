#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include <ctlsign/cluster/contents.hpp>
#include <ctlsign/cluster/workflow.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/names.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::string_view kBackToTokens =
    "the publisher's key has signed the CTL: to go back to tokens, import the certificates of two into "
    "Phone-SAST-trust, then run ctlsign cluster delete-ctl and ctlsign cluster mixed-mode --token";

constexpr std::array<std::string_view, 6> kOperations{"mixed-mode",     "non-secure-mode", "update",
                                                      "reset-localkey", "token",           "delete-ctl"};
constexpr std::string_view kFilename = "CTLFile.tlv";

bool contains(std::span<const sast::Certificate> certificates, const sast::Certificate& certificate) {
    return std::ranges::find(certificates, certificate) != certificates.end();
}

// Works out one request. What cannot be done at all ends it; what may be forced is gathered.
class Planner {
  public:
    Planner(const State& state, const Request& request) : state_(state), request_(request) {
        if (state.last) last_ = decode_list(ByteView(state.last->octets));
    }

    Planned run() {
        if (may_begin()) {
            switch (request_.operation) {
                case Operation::MixedMode:
                    mixed_mode();
                    break;
                case Operation::NonSecureMode:
                    non_secure_mode();
                    break;
                case Operation::Update:
                    update();
                    break;
                case Operation::ResetLocalKey:
                    reset_local_key();
                    break;
                case Operation::ChangeTokens:
                    change_tokens();
                    break;
                case Operation::DeleteCtl:
                    delete_ctl();
                    break;
            }
        }
        if (impossible_) result_.plan.reset();
        return std::move(result_);
    }

  private:
    void object(std::optional<Refusal> refusal) {
        if (!refusal) return;
        impossible_ = impossible_ || !refusal->consequence;
        result_.refusals.push_back(std::move(*refusal));
    }
    void refuse(ClusterRule rule, std::string text) { object(Refusal{rule, std::move(text), std::nullopt}); }

    const TrustList* on_nodes() const { return state_.ctl() != nullptr ? &*last_ : nullptr; }

    bool may_begin() {
        const bool mixed = state_.mode == Mode::Mixed;
        switch (request_.operation) {
            case Operation::MixedMode:
                if (mixed && on_nodes() != nullptr && way() == state_.last->way)
                    refuse(ClusterRule::ModeFits,
                           "the cluster is in mixed mode already: ctlsign cluster update signs its CTL anew");
                break;
            case Operation::NonSecureMode:
                if (!mixed) refuse(ClusterRule::ModeFits, "the cluster is in non-secure mode already");
                break;
            case Operation::Update:
            case Operation::ResetLocalKey:
                if (!mixed)
                    refuse(ClusterRule::ModeFits,
                           "the cluster is in non-secure mode: ctlsign cluster mixed-mode makes its CTL");
                else if (on_nodes() == nullptr)
                    refuse(ClusterRule::CtlExists,
                           "No CTL File exists on the server: ctlsign cluster mixed-mode makes a new one");
                break;
            case Operation::ChangeTokens:
                if (on_nodes() == nullptr)
                    refuse(
                        ClusterRule::CtlExists,
                        "No CTL File exists on the server: ctlsign cluster mixed-mode makes one with tokens");
                else if (state_.last->way != Way::Tokens)
                    refuse_tokens();
                break;
            case Operation::DeleteCtl:
                if (request_.extent == Extent::OneNode) {
                    if (mixed)
                        refuse(ClusterRule::ModeFits,
                               "in mixed mode every node serves the same CTL: leave out --node to delete it "
                               "from all of them");
                } else if (on_nodes() == nullptr) {
                    refuse(ClusterRule::CtlExists, "No CTL File exists on the server");
                }
                break;
        }
        return !impossible_;
    }

    // As asked for; else by what is given; else as the cluster is secured.
    Way way() const {
        if (request_.way) return *request_.way;
        if (!request_.tokens.empty()) return Way::Tokens;
        // Setting back to non-secure needs no token, even where one has signed (W2).
        if (request_.operation == Operation::NonSecureMode || !state_.last) return Way::Tokenless;
        return state_.last->way;
    }

    void mixed_mode() {
        // The first CTL is taken on faith; what comes after it is not.
        if (!last_ && state_.prepared_for_rollback)
            note(
                "Prepare cluster for rollback to pre-8.0 is True: phones take this CTL, but have no TVS "
                "certificate to ask about a later signer; set it to False with ctlsign cluster "
                "rollback-parameter, and reset the phones");
        if (way() == Way::Tokenless) {
            if (require_tokenless()) by_publisher(Mode::Mixed, publisher_sasts(state_));
            return;
        }
        if (!require_tokens()) return;
        const std::vector<sast::Certificate> tokens = distinct(request_.tokens);
        object(check_two_tokens(tokens));
        if (tokens.empty()) return;
        // Phones hold the last CTL, even where it was deleted from the nodes.
        const auto known = last_ ? find_known_signer({}) : std::nullopt;
        const sast::Certificate signer = known.value_or(choose_first_signer(tokens));
        if (const TrustList* list = on_nodes()) {
            object(check_token_in_ctl(*list, signer));
            if (!known && state_.last->way == Way::Tokenless) need_trust_in(tokens);
        } else if (last_ && !known) {
            // Phones hold the CTL that was deleted, and its signer is none of these (W8, W11).
            state_.last->way == Way::Tokenless ? need_trust_in(tokens) : begin_anew(tokens, signer);
        }
        by_token(Mode::Mixed, tokens, signer);
    }

    void non_secure_mode() {
        if (way() == Way::Tokenless) {
            if (require_tokenless()) by_publisher(Mode::NonSecure, publisher_sasts(state_));
        } else if (require_tokens() && require_token_ctl()) {
            by_token_of_ctl(Mode::NonSecure);
        }
    }

    void update() {
        if (way() == Way::Tokenless) {
            if (require_tokenless()) by_publisher(Mode::Mixed, publisher_sasts(state_));
        } else if (!require_tokens()) {
            return;
        } else if (request_.tokens.empty()) {
            refuse(ClusterRule::SameWay,
                   "tokens secure this cluster: give --token SIGNER, or --tokenless to let the publisher's "
                   "key sign "
                   "from now on");
        } else if (require_token_ctl()) {
            by_token_of_ctl(Mode::Mixed);
        }
    }

    void reset_local_key() {
        if (!state_.release.has_itl_recovery()) {
            refuse(ClusterRule::ResetsLocalKey,
                   fmt::format("release {} cannot reset the local key, 10.5(2) and later can",
                               state_.release.text()));
            return;
        }
        if (way() == Way::Tokens) {
            refuse(ClusterRule::SameWay, "tokens secure this cluster: the local key has not signed its CTL");
            return;
        }
        std::vector<sast::Certificate> sasts = publisher_sasts(state_);
        const auto* call_manager = find_publisher_certificate(state_, Store::CallManager);
        if (call_manager == nullptr || sasts.size() < 2) {
            refuse(ClusterRule::CertificatesThere,
                   "the publisher's CallManager and ITLRecovery certificates are needed: import them with "
                   "cluster "
                   "certificate import");
            return;
        }
        // The signer comes first.
        std::stable_partition(sasts.begin(), sasts.end(), [&](const auto& certificate) {
            return certificate == call_manager->certificate;
        });
        note("ctlsign cluster update goes back to the usual signer, once phones hold this CTL");
        by_publisher(Mode::Mixed, sasts);
    }

    void change_tokens() {
        if (!require_tokens()) return;
        std::vector<sast::Certificate> tokens;
        for (const auto& token : token_certificates(*last_))
            if (!contains(request_.dropped, token)) tokens.push_back(token);
        for (const auto& token : request_.added)
            if (!contains(tokens, token)) tokens.push_back(token);
        object(check_two_tokens(tokens));
        const auto signer = choose_signer(request_.dropped);
        if (!signer) return;
        if (!contains(tokens, *signer)) tokens.push_back(*signer);
        by_token(state_.mode, tokens, *signer);
    }

    void delete_ctl() {
        result_.plan = Plan{};
        result_.plan->operation = Operation::DeleteCtl;
        if (state_.last) result_.plan->way = state_.last->way;
        result_.plan->mode = state_.mode;
    }

    bool require_tokens() {
        if (!state_.release.takes_tokens())
            refuse(
                ClusterRule::TakesTokens,
                fmt::format("release {} takes no security tokens, releases before 14SU3 do: use --tokenless",
                            state_.release.text()));
        for (const auto* given : {&request_.tokens, &request_.added})
            for (const auto& token : *given) object(check_is_token(state_, token));
        return !impossible_;
    }

    // Going back to tokens is more than another signer: two of them, known to TVS (W8).
    bool require_token_ctl() {
        if (on_nodes() != nullptr && state_.last->way == Way::Tokenless) refuse_tokens();
        return !impossible_;
    }
    // The CTL on the nodes is the publisher's. Where the release knows no such CTL the CTL client says so in
    // its own words (W18).
    void refuse_tokens() {
        const auto unknown = state_.release.knows_tokenless() || request_.tokens.empty()
                                 ? std::nullopt
                                 : check_token_in_ctl(*last_, request_.tokens.back());
        if (unknown)
            refuse(unknown->rule, fmt::format("{} Here {}", unknown->text, kBackToTokens));
        else
            refuse(ClusterRule::SameWay, std::string(kBackToTokens));
    }

    bool require_tokenless() {
        if (!state_.release.knows_tokenless())
            refuse(
                ClusterRule::KnowsTokenless,
                fmt::format(
                    "release {} takes CTLs from security tokens alone, 10.0 and later from the publisher's "
                    "key too: use --token",
                    state_.release.text()));
        return !impossible_;
    }

    static std::vector<sast::Certificate> distinct(std::span<const sast::Certificate> given) {
        std::vector<sast::Certificate> tokens;
        for (const auto& token : given)
            if (!contains(tokens, token)) tokens.push_back(token);
        return tokens;
    }

    std::int64_t judged_at() const { return std::max<std::int64_t>(request_.time, request_.now); }

    // How gladly TOKEN signs: one that has not expired, one that phones take all the same, one that they do
    // not.
    int rank(const sast::Certificate& token) const {
        if (token.not_after() >= judged_at()) return 2;
        return check_not_expired(state_, token, judged_at()) ? 0 : 1;
    }
    // What is no more than the file of a certificate need not sign.
    bool is_present(const sast::Certificate& token) const { return contains(request_.present, token); }
    // The last of the tokens given that are a SAST of the last CTL and sign most gladly; one that is present
    // before the others.
    std::optional<sast::Certificate> find_known_signer(std::span<const sast::Certificate> excluded) const {
        const auto order = [&](const auto& token) { return std::pair(is_present(token), rank(token)); };
        std::optional<sast::Certificate> signer;
        for (const auto& token : request_.tokens)
            if (is_sast(*last_, token) && !contains(excluded, token) &&
                (!signer || order(token) >= order(*signer)))
                signer = token;
        return signer;
    }

    // Of tokens that no CTL names, the last that may sign.
    sast::Certificate choose_first_signer(std::span<const sast::Certificate> tokens) const {
        const auto order = [&](const auto& token) { return std::pair(is_present(token), rank(token) > 0); };
        return *std::ranges::max_element(tokens.rbegin(), tokens.rend(), {}, order);
    }

    // With none of them, the last of all as it may be forced.
    std::optional<sast::Certificate> choose_signer(std::span<const sast::Certificate> excluded) {
        if (auto signer = find_known_signer(excluded)) return signer;
        if (request_.tokens.empty()) {
            refuse(ClusterRule::SameWay, "tokens secure this cluster: give --token SIGNER");
            return std::nullopt;
        }
        const sast::Certificate& last = request_.tokens.back();
        if (contains(excluded, last)) {
            refuse(ClusterRule::TokenInCtl,
                   fmt::format("{} is to leave the CTL and cannot sign it: sign with another token",
                               last.common_name()));
            return std::nullopt;
        }
        object(check_token_in_ctl(*last_, last));
        return last;
    }

    void by_token_of_ctl(Mode mode) {
        if (on_nodes() == nullptr) {
            refuse(ClusterRule::CtlExists,
                   "No CTL File exists on the server: ctlsign cluster mixed-mode makes a new one");
            return;
        }
        const auto signer = choose_signer({});
        if (!signer) return;
        std::vector<sast::Certificate> tokens = token_certificates(*last_);
        if (!contains(tokens, *signer)) tokens.push_back(*signer);
        by_token(mode, tokens, *signer);
    }

    void by_token(Mode mode, std::span<const sast::Certificate> tokens, const sast::Certificate& signer) {
        object(check_not_expired(state_, signer, judged_at()));
        // What stood in the CTL before and does no more can update it no more.
        std::vector<sast::Certificate> leaving;
        if (last_) leaving = token_certificates(*last_);
        std::erase_if(leaving, [&](const auto& token) { return contains(tokens, token); });
        announce_leaving(leaving);
        // Of a token that had left it already, what became of it is remembered.
        for (const auto& token : request_.dropped)
            if (!contains(leaving, token) && !contains(tokens, token)) leaving.push_back(token);
        make(Way::Tokens, mode, tokens, signer);
        if (!result_.plan) return;
        for (const auto& token : tokens)
            result_.plan->tokens.push_back({0, "", "", token, TokenState::InUse});
        for (const auto& token : leaving)
            result_.plan->tokens.push_back({0, "", "", token, request_.dropped_because});
    }

    // Nobody may have thought of what is neither named again nor dropped by name.
    void announce_leaving(std::span<const sast::Certificate> leaving) {
        const auto living = living_tokens();
        for (const auto& token : leaving)
            if (contains(living, token) && !contains(request_.dropped, token))
                note(fmt::format("{} leaves the CTL, and can no longer update it", token_name(token)));
    }

    void by_publisher(Mode mode, std::span<const sast::Certificate> sasts) {
        if (sasts.empty()) {
            refuse(ClusterRule::CertificatesThere,
                   fmt::format("the publisher's {} certificate is not in the stores: import it with cluster "
                               "certificate import",
                               to_text(state_.release.signs_with_itl_recovery() ? Store::ItlRecovery
                                                                                : Store::CallManager)));
            return;
        }
        if (last_ && !is_sast(*last_, sasts.front())) announce_signer(sasts.front());
        if (sasts.size() == 1 && state_.release.has_itl_recovery())
            note(fmt::format(
                "the publisher's ITLRecovery certificate is not in the stores: this CTL has one SAST, where "
                "release {} has two; import it with cluster certificate import",
                state_.release.text()));
        make(Way::Tokenless, mode, sasts, sasts.front());
        if (!result_.plan) return;
        for (const Store store : {Store::CallManager, Store::ItlRecovery}) {
            const auto* own = find_publisher_certificate(state_, store);
            if (own != nullptr && own->certificate == sasts.front()) result_.plan->signer_key = own->key;
        }
        if (!last_) return;
        for (const auto& token : token_certificates(*last_))
            result_.plan->tokens.push_back({0, "", "", token, TokenState::Retired});
    }

    // Phones know none of TOKENS: TVS is to vouch for them.
    void need_trust_in(std::span<const sast::Certificate> tokens) {
        for (auto& refusal : check_phone_sast_trust(state_, tokens)) object(std::move(refusal));
        need_tvs();
    }

    // Those of the last CTL that may still sign: nobody has said that they are lost, locked, or of a
    // forgotten PIN.
    std::vector<sast::Certificate> living_tokens() const {
        const auto declared = [&](const sast::Certificate& token) {
            const KnownToken* known = state_.find_token(token);
            return contains(request_.unusable, token) || rank(token) == 0 ||
                   (known != nullptr && known->state != TokenState::InUse &&
                    known->state != TokenState::Retired);
        };
        std::vector<sast::Certificate> living;
        if (last_) living = token_certificates(*last_);
        std::erase_if(living, declared);
        return living;
    }

    // TOKENS take the place of all that the deleted CTL named: W11 where none of those is left, else as W8.
    void begin_anew(std::span<const sast::Certificate> tokens, const sast::Certificate& signer) {
        const auto living = living_tokens();
        if (!living.empty()) {
            for (auto& refusal : check_phone_sast_trust(state_, tokens)) {
                refusal.text += fmt::format(
                    "; or sign with {}, which phones know; or, when it is lost, say so (ctlsign cluster "
                    "token remove TOKEN --lost)",
                    token_names(living, " or "));
                object(std::move(refusal));
            }
        }
        if (state_.holds(Store::PhoneSastTrust, signer)) {
            announce_signer(signer);
        } else {
            note("no token of the CTL that phones hold signs: delete the CTL by hand on every phone");
            note("phones may keep registering with the old CTL, and break at the next certificate change");
        }
    }

    // Phones are to ask TVS for the signer.
    void need_tvs() {
        if (state_.prepared_for_rollback)
            object(Refusal{ClusterRule::RollbackParameter,
                           "Prepare cluster for rollback to pre-8.0 is True: phones have no TVS certificate "
                           "to ask about "
                           "the new signer; set it to False with ctlsign cluster rollback-parameter, and "
                           "reset the phones",
                           "every phone needs its CTL deleted by hand"});
    }

    void announce_signer(const sast::Certificate& signer) {
        note(fmt::format(
            "the signer changes to {}, which the CTL on the phones does not name: phones with Security By "
            "Default ask TVS for it; 7940, 7960, Jabber and other models without it refuse until their "
            "CTL is deleted by hand",
            signer.common_name()));
        need_tvs();
    }

    void make(Way way, Mode mode, std::span<const sast::Certificate> sasts, const sast::Certificate& signer) {
        auto records = make_records(state_, way, mode, sasts);
        if (auto* refusal = std::get_if<Refusal>(&records)) {
            object(std::move(*refusal));
            return;
        }
        Plan plan;
        plan.operation = request_.operation;
        plan.way = way;
        plan.mode = mode;
        plan.signer = signer;
        plan.notes = std::move(notes_);
        HeaderDraft header;
        header.signer =
            make_signer_id(signer, way == Way::Tokens ? NameStyle::CtlClient : NameStyle::CallManager);
        header.digest = request_.digest.value_or(last_ ? last_->digest() : request_.first_digest);
        header.key_bits = signer.key_bits();
        header.filename = kFilename;
        header.timestamp = request_.time;
        plan.list = ListDraft{std::move(header), std::get<std::vector<RecordDraft>>(std::move(records))};
        result_.plan = std::move(plan);
    }

    void note(std::string text) { notes_.push_back(std::move(text)); }

    const State& state_;
    const Request& request_;
    std::optional<TrustList> last_;
    Planned result_;
    std::vector<std::string> notes_;
    bool impossible_ = false;
};

}  // namespace

std::string_view to_text(Operation operation) noexcept {
    return kOperations[static_cast<std::size_t>(operation)];
}

Planned plan(const State& state, const Request& request) {
    return Planner(state, request).run();
}

std::vector<std::string> plan_release(const State& state, const Release& another) {
    std::vector<std::string> notes;
    if (state.ctl() == nullptr) return notes;
    const bool tokens = state.last->way == Way::Tokens;
    if (!tokens && !another.knows_tokenless())
        notes.push_back(
            fmt::format("the CTL is carried over unchanged, and release {} takes none from the publisher's "
                        "key: no token will be "
                        "able to update it. Import the certificates of two tokens into Phone-SAST-trust, "
                        "then run ctlsign cluster "
                        "delete-ctl and ctlsign cluster mixed-mode --token",
                        another.text()));
    if (tokens && !another.takes_tokens())
        notes.push_back(
            fmt::format("release {} takes no security tokens: run ctlsign cluster update --tokenless before",
                        another.text()));
    return notes;
}

std::vector<std::string> next_steps(const Plan& plan) {
    // In mixed mode another CTL is to follow.
    if (plan.operation == Operation::DeleteCtl && plan.mode == Mode::Mixed) return {};
    return {
        "Please Restart the TFTP and Cisco CallManager services on all nodes in the cluster that run these "
        "services",
        "Then reset all phones"};
}

}  // namespace ctlsign::cluster
