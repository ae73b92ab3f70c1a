#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <cli/command.hpp>
#include <cli/signer.hpp>
#include <cli/token_access.hpp>
#include <ctlsign/cluster/workflow.hpp>
#include <sast/identity.hpp>

namespace ctlsign::cli {

/// Who may sign for a cluster: tokens as --token names them, and the publisher's key where the stores do not
/// say it.
struct ClusterSignerOptions {
    std::vector<std::string> tokens;
    std::string signer;
    TokenOptions token;
};
/// --token, any number of times.
void add_token_argument(Command command, ClusterSignerOptions& options);
/// --signer.
void add_publisher_argument(Command command, ClusterSignerOptions& options);

/// A token as --token named it: plugged in, or known by its certificate in a file alone.
struct GivenToken {
    std::string text;
    sast::Certificate certificate;
    std::optional<sast::Identity> plugged;
};
/// Throws as sast::choose_token does. No PIN is spent.
GivenToken find_given_token(const std::string& text, const TokenOptions& options);
std::vector<sast::Certificate> certificates_of(const std::vector<GivenToken>& tokens);
/// Of those plugged in alone.
std::vector<sast::Certificate> certificates_at_hand(const std::vector<GivenToken>& tokens);
/// Whether NAME is the common name, with or without its padding, or the serial number of CERTIFICATE.
bool names_certificate(const std::string& name, const sast::Certificate& certificate);
/// The token of the cluster that NAME means: its label, its serial number, or the common name or the serial
/// number of its certificate. Null when there is none. Throws UsageError when it means several.
const cluster::KnownToken* find_known_token(const cluster::State& state, const std::string& name);

/// The signer that PLAN says, with no PIN spent. Throws UsageError when it is not at hand.
OpenedSigner open_planned_signer(const cluster::Plan& plan, const std::vector<GivenToken>& tokens,
                                 const ClusterSignerOptions& options);
/// Throws what asking for the PIN of PLAN's token would, where it is known already that nobody can be asked.
void require_pin_source(const cluster::Plan& plan, const std::vector<GivenToken>& tokens,
                        const OpenedSigner& opened);
/// Label and serial number of the tokens at hand, for what PLAN remembers of them.
void name_tokens(cluster::Plan& plan, const std::vector<GivenToken>& tokens);

}  // namespace ctlsign::cli
