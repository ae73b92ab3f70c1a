#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/cluster/workflow.hpp>

namespace ctlsign::cluster {

/// What a token of the CTL is good for.
enum class TokenCondition { Ready, FinalTry, Locked, NotPlugged, Lost, Forgotten, Expired };
std::string_view to_text(TokenCondition condition) noexcept;  ///< a few words, for people

/// What was found of who could sign, without a PIN.
struct SignerFacts {
    struct Token {
        sast::Certificate certificate;
        TokenCondition condition{};
    };
    std::vector<Token> tokens;                 ///< those that the CTL names, or named before it was deleted
    std::vector<sast::Certificate> signers{};  ///< those of them that the administrator wants to sign: any
    std::vector<sast::Certificate> spares;     ///< plugged in, and no CTL names them
    bool spares_named = false;                 ///< by the administrator: all of them are meant
    bool final_try = false;                    ///< that of a token may be spent
    bool call_manager_key = false, itl_recovery_key = false;  ///< the publisher's keys load
};

/// How phones come to a new CTL.
enum class Acceptance {
    ByThemselves,  ///< its signer is a SAST of the CTL that they hold
    ThroughTvs,    ///< those with Security By Default ask; the CTL of the others is deleted by hand
    ByHand,        ///< the CTL of every phone is deleted by hand
};
std::string_view describe(Acceptance acceptance) noexcept;  ///< a clause, for people

/// One step of a way out: an operation of this program, or what somebody does by hand.
struct RecoveryStep {
    std::string text;
    std::optional<Request> request;      ///< a change of the CTL
    std::vector<KnownToken> losses{};    ///< what became of the tokens that cannot sign any more
    std::optional<Store> regenerated{};  ///< in which the publisher gets a new key and certificate
    bool is_by_hand() const noexcept { return !request && !regenerated; }
};
/// Tokens that leave the CTL with PLAN, or that it deletes the CTL of, are remembered as lost, locked, or
/// with a forgotten PIN, as STEP knows.
void remember_losses(Plan& plan, const RecoveryStep& step);
/// One way back to a CTL that can be changed, its steps in order.
struct WayOut {
    std::string name;  ///< "replace-token": for --way
    std::string text;
    Acceptance phones{};
    std::vector<std::string> needs;  ///< what is not there yet: with any, the way cannot be gone now
    std::vector<RecoveryStep> steps;
};

/// What assess() found; texts are a line each, for people.
struct Assessment {
    std::vector<std::string> lost, works;
    std::vector<WayOut> ways;  ///< the cheapest for the phones first
};
/// What is lost, what still works, and the ways out (W7, W9 to W12, W4). Pure; after a step it is asked
/// again, and goes on from there.
Assessment assess(const State& state, const SignerFacts& facts);

}  // namespace ctlsign::cluster
