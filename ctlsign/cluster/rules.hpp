#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/cluster/state.hpp>

namespace ctlsign::cluster {

/// The rules of a cluster. Each has a name that refusals cite.
enum class ClusterRule {
    TwoTokens,          ///< a CTL signed by tokens names at least two
    TokenInCtl,         ///< the token that signs is a SAST of the CTL that phones hold
    PhoneSastTrust,     ///< what phones are to learn of through TVS stands in Phone-SAST-trust, and is valid
    OneAnchorAtATime,   ///< no two certificates that phones hold on to change before they know of the first
    NodesAgree,         ///< every node serves the CTL that was published last
    SameWay,            ///< an update does not change between tokens and tokenless by itself
    TakesTokens,        ///< releases before 14SU3
    KnowsTokenless,     ///< releases from 10.0
    ResetsLocalKey,     ///< releases from 10.5(2)
    ModeFits,           ///< the operation belongs to the mode that the cluster is in
    CtlExists,          ///< there is a CTL to go on from
    CertificatesThere,  ///< the stores hold what the CTL is made of
    OwnCertificate,     ///< own certificates are regenerated, never deleted
    RollbackParameter,  ///< "Prepare cluster for rollback to pre-8.0" stays False where phones are secured
};
std::string_view to_text(ClusterRule rule) noexcept;  ///< "two-tokens"

/// What speaks against an operation.
struct Refusal {
    ClusterRule rule{};
    std::string text;                        ///< what is wrong, and what to do
    std::optional<std::string> consequence;  ///< what happens when it is forced; without one it cannot be
};
/// "rule two-tokens: ..., --force ...", in one line.
std::string to_text(const Refusal& refusal);
/// Throws Error with Errc::RuleRefused that says the same.
[[noreturn]] void refuse(const Refusal& refusal);

/// The certificates of tokens among the SAST records of LIST: those named in the CTL client's style. What is
/// no X.509 is passed over.
std::vector<sast::Certificate> token_certificates(const TrustList& list);
/// Whether a SAST record of LIST holds CERTIFICATE, or its name and key.
bool is_sast(const TrustList& list, const sast::Certificate& certificate);

/// The certificates-there rule: NODE has none in STORE.
Refusal missing_certificate(Store store, const Node& node);
/// The two-token rule, for the SAST tokens of a CTL to come.
std::optional<Refusal> check_two_tokens(std::span<const sast::Certificate> tokens);
/// The token-in-the-CTL rule, for the token that would sign. LIST is the CTL on the nodes.
std::optional<Refusal> check_token_in_ctl(const TrustList& list, const sast::Certificate& token);
/// The Phone-SAST-trust rule, for tokens that no CTL on a phone names.
std::vector<Refusal> check_phone_sast_trust(const State& state, std::span<const sast::Certificate> tokens);
/// A server's own certificate is no security token's.
std::optional<Refusal> check_is_token(const State& state, const sast::Certificate& token);
/// An expired entry of Phone-SAST-trust ends what its token may do.
std::optional<Refusal> check_not_expired(const State& state, const sast::Certificate& token,
                                         std::int64_t now);
/// The rollback rule, before the parameter is set to True: it leaves secured phones nothing to verify a new
/// CTL with.
std::optional<Refusal> check_rollback(const State& state);
/// The never-two-anchors-at-once rule, before the certificate in STORE of NODE changes. A first one that is
/// imported is no change: the caller does not ask.
std::vector<Refusal> check_anchors(const State& state, Store store, const Node& node);

}  // namespace ctlsign::cluster
