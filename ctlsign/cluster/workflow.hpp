#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/cluster/rules.hpp>
#include <ctlsign/cluster/state.hpp>
#include <ctlsign/trustlist/encode.hpp>

namespace ctlsign::cluster {

enum class Operation {
    MixedMode,      ///< W1, W5, W8, W11
    NonSecureMode,  ///< W2, W6
    Update,         ///< W3, W6, W7, W10, W13 to W15
    ResetLocalKey,  ///< W4
    ChangeTokens,   ///< W9
    DeleteCtl,      ///< of W8 and W11
};
std::string_view to_text(Operation operation) noexcept;  ///< "mixed-mode": the name of its command

/// Whose file DeleteCtl takes: the cluster's CTL, or what one node serves, known or not.
enum class Extent { EveryNode, OneNode };

/// What an administrator asks for.
struct Request {
    Operation operation{};
    std::optional<Way> way{};                  ///< without one: as the cluster is secured
    std::vector<sast::Certificate> tokens{};   ///< those given, in their order: the last that may sign does
    std::vector<sast::Certificate> present{};  ///< those of them whose keys are at hand: they come first
    std::vector<sast::Certificate> added{}, dropped{};  ///< by ChangeTokens
    std::vector<sast::Certificate> unusable{};          ///< declared lost, locked or with a forgotten PIN
    TokenState dropped_because = TokenState::Retired;
    Extent extent = Extent::EveryNode;
    std::optional<Digest> digest{};        ///< without one: that of the current CTL
    Digest first_digest = Digest::Sha512;  ///< where there is no current one either
    std::uint32_t time = 0;                ///< of signing, Unix seconds
    std::int64_t now = 0;                  ///< by the clock: what has expired is not judged by TIME alone
};

/// An operation worked out, before any PIN: what will be signed by whom, and what will be different
/// afterwards.
struct Plan {
    Operation operation{};
    Way way = Way::Tokenless;
    Mode mode = Mode::NonSecure;
    std::optional<ListDraft> list{};            ///< none: the CTL goes from every node
    std::optional<sast::Certificate> signer{};  ///< whose key signs the list
    std::optional<std::string> signer_key{};    ///< where that of the publisher is
    std::vector<KnownToken> tokens{};           ///< states after it, told apart by certificate
    std::string way_out{};                      ///< that goes on behind this deletion: "new-tokens"
    std::vector<std::string> notes{};           ///< what to know beforehand, a line each
};

/// The answer: what speaks against it, and the plan. Without a plan it cannot be done, not even forced.
struct Planned {
    std::vector<Refusal> refusals;
    std::optional<Plan> plan;
};
/// Decides by the workflows W1 to W11 (docs/architecture.md). Pure.
Planned plan(const State& state, const Request& request);

/// What to know before the cluster goes from its release to ANOTHER, a line each (W18). The CTL stays as it
/// is.
std::vector<std::string> plan_release(const State& state, const Release& another);

/// What an administrator does afterwards, in order, a line each.
std::vector<std::string> next_steps(const Plan& plan);

}  // namespace ctlsign::cluster
