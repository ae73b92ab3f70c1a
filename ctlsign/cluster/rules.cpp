#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <ctlsign/cluster/contents.hpp>
#include <ctlsign/cluster/rules.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::array<std::string_view, 14> kNames{
    "two-tokens", "token-in-ctl",       "phone-sast-trust", "one-anchor-at-a-time", "nodes-agree",
    "same-way",   "takes-tokens",       "knows-tokenless",  "resets-local-key",     "mode-fits",
    "ctl-exists", "certificates-there", "own-certificate",  "rollback-parameter"};

std::optional<sast::Certificate> find_certificate(const Record& record) {
    if (!record.certificate()) return std::nullopt;
    try {
        return sast::Certificate::decode(*record.certificate());
    } catch (const Error&) {
        return std::nullopt;
    }
}

// A server's own certificate.
struct Own {
    Store store;
    const Node& node;
};

// Whether a phone that has missed the change of one falls back on the other: then they do not change at
// once. Lists are signed by CallManager before release 12, by ITLRecovery from it on; whose signer a phone
// does not know, it asks TVS about; and of each kind another server's is what it goes on with.
bool hold_each_other(const Release& release, const Own& a, const Own& b) {
    if (a.store == b.store)
        return a.node.id != b.node.id && (a.store == Store::CallManager || a.store == Store::Tvs);
    const auto are = [&](Store first, Store second) {
        return (a.store == first && b.store == second) || (a.store == second && b.store == first);
    };
    if (!release.signs_with_itl_recovery()) return are(Store::CallManager, Store::Tvs);
    const auto is_publishers = [](const Own& own) { return own.node.place == Place::Publisher; };
    const Own& recovery = a.store == Store::ItlRecovery ? a : b;
    if (!is_publishers(recovery)) return false;
    // The publisher's CallManager signs instead of an ITLRecovery that phones do not know.
    return are(Store::ItlRecovery, Store::Tvs) ||
           (are(Store::ItlRecovery, Store::CallManager) && is_publishers(a) && is_publishers(b));
}

// What is to be done before phones know of CHANGED.
std::string settling_steps(const State& state, const StoredCertificate& changed) {
    constexpr std::string_view kReset = "reset the phones and run ctlsign cluster restarted";
    if (waits_for_ctl(state, changed)) return fmt::format("run {}, {}", remaking_command(state), kReset);
    return fmt::format("restart the services, {}", kReset);
}

}  // namespace

std::string_view to_text(ClusterRule rule) noexcept {
    return kNames[static_cast<std::size_t>(rule)];
}

std::string to_text(const Refusal& refusal) {
    return fmt::format("rule {}: {}{}", to_text(refusal.rule), refusal.text,
                       refusal.consequence ? "; with --force, " + *refusal.consequence : "");
}

void refuse(const Refusal& refusal) {
    throw Error(Errc::RuleRefused, "", "", to_text(refusal));
}

std::vector<sast::Certificate> token_certificates(const TrustList& list) {
    std::vector<sast::Certificate> tokens;
    for (const Record& record : list.records()) {
        if (record.role() != Role::Sast) continue;
        const auto certificate = find_certificate(record);
        if (certificate && record.subject() == name_text(certificate->subject_der(), NameStyle::CtlClient))
            tokens.push_back(*certificate);
    }
    return tokens;
}

bool is_sast(const TrustList& list, const sast::Certificate& certificate) {
    return std::ranges::any_of(list.records(), [&](const Record& record) {
        return record.role() == Role::Sast && record.certificate() &&
               equal(*record.certificate(), certificate.der());
    });
}

Refusal missing_certificate(Store store, const Node& node) {
    return {ClusterRule::CertificatesThere,
            fmt::format(
                "the {} certificate of {} is not in the stores: import it with cluster certificate import",
                to_text(store), node.name),
            std::nullopt};
}

std::optional<Refusal> check_two_tokens(std::span<const sast::Certificate> tokens) {
    if (tokens.size() >= 2) return std::nullopt;
    return Refusal{
        ClusterRule::TwoTokens,
        fmt::format("the CTL would name {} of the at least two security tokens: add another with --token",
                    tokens.size()),
        "the loss of the only token means a walk to every phone to delete its CTL"};
}

std::optional<Refusal> check_token_in_ctl(const TrustList& list, const sast::Certificate& token) {
    if (is_sast(list, token)) return std::nullopt;
    return Refusal{
        ClusterRule::TokenInCtl,
        "The Security Token you have inserted does not exist in the CTL File: Please remove any Security "
        "Tokens already inserted and insert another Security Token. Click Ok when done.",
        "phones refuse the new CTL unless TVS vouches for the token, and those without Security By Default "
        "until their CTL is deleted by hand"};
}

std::vector<Refusal> check_phone_sast_trust(const State& state, std::span<const sast::Certificate> tokens) {
    std::vector<Refusal> refusals;
    for (const auto& token : tokens) {
        if (state.holds(Store::PhoneSastTrust, token)) continue;
        refusals.push_back(
            {ClusterRule::PhoneSastTrust,
             fmt::format(
                 "{} is not in Phone-SAST-trust: export its certificate (token export-certificate) and "
                 "import it (cluster certificate import --store Phone-SAST-trust)",
                 token_name(token)),
             "TVS does not vouch for the token, and every phone needs its CTL deleted by hand"});
    }
    return refusals;
}

std::optional<Refusal> check_is_token(const State& state, const sast::Certificate& token) {
    const bool own = std::ranges::any_of(state.certificates, [&](const StoredCertificate& stored) {
        return stored.node && stored.certificate == token;
    });
    if (!own) return std::nullopt;
    return Refusal{ClusterRule::TwoTokens,
                   fmt::format("{} is a server's own certificate, no security token's", token_name(token)),
                   std::nullopt};
}

std::optional<Refusal> check_not_expired(const State& state, const sast::Certificate& token,
                                         std::int64_t now) {
    if (!state.holds(Store::PhoneSastTrust, token) || token.not_after() >= now) return std::nullopt;
    return Refusal{
        ClusterRule::PhoneSastTrust,
        fmt::format("{} expired in Phone-SAST-trust on {}: it can no longer update the CTL; sign with "
                    "another token",
                    token_name(token), format_utc(token.not_after())),
        "phones that ask TVS refuse the new CTL"};
}

std::optional<Refusal> check_rollback(const State& state) {
    // Phones hold it whether the nodes still serve it or not.
    if (!state.last) return std::nullopt;
    return Refusal{ClusterRule::RollbackParameter,
                   "the parameter empties the ITL's TVS and TFTP parts, not the CTL: it is no way to move "
                   "secured phones "
                   "to another cluster",
                   "phones have no TVS certificate left, and can verify no CTL with a new signer"};
}

std::vector<Refusal> check_anchors(const State& state, Store store, const Node& node) {
    std::vector<Refusal> refusals;
    for (const StoredCertificate& other : state.certificates) {
        const Node* owner = state.find_node(other.node);
        if (owner == nullptr || other.settling == Settling::Settled) continue;
        if (!hold_each_other(state.release, {store, node}, {other.store, *owner})) continue;
        refusals.push_back(
            {ClusterRule::OneAnchorAtATime,
             fmt::format("{} of {} has changed, and phones do not know of it yet: {} before {} changes",
                         to_text(other.store), owner->name, settling_steps(state, other), to_text(store)),
             "phones may lose everything that they could check the next list with, and need their lists "
             "deleted by hand"});
    }
    return refusals;
}

}  // namespace ctlsign::cluster
