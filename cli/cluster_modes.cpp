#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_change.hpp>

namespace ctlsign::cli {

namespace {

ExitCode run(const ChangeOptions& options, cluster::Operation operation) {
    if (operation == cluster::Operation::MixedMode && !options.way && options.signers.tokens.empty())
        throw UsageError(
            "say how the cluster is to be secured: --tokenless, or --token SIGNER --token SIGNER");
    cluster::Request request;
    request.operation = operation;
    return change_cluster(options, std::move(request), wording_of(operation));
}

enum class Ways { Either, PublisherAlone };

void add_change(Command parent, Action& action, cluster::Operation operation, Ways ways,
                const std::string& description, const std::string& example) {
    const auto options = std::make_shared<ChangeOptions>();
    Command command = add_command(parent, std::string(to_text(operation)), description, example);
    if (ways == Ways::Either) add_ways(command, *options);
    add_change_options(command, *options);
    command.callback([&action, options, operation] {
        action = [options, operation] { return run(*options, operation); };
    });
}

}  // namespace

void add_cluster_modes(Command parent, Action& action) {
    using cluster::Operation;
    add_change(parent, action, Operation::MixedMode, Ways::Either,
               "Secure the cluster: a CTL on every node, signed by tokens or by the publisher's key",
               "ctlsign cluster mixed-mode --token SAST-ADN0054f509 --token SAST-ADN008580ef");
    add_change(
        parent, action, Operation::NonSecureMode, Ways::Either,
        "Set the cluster back: phones register unsecured; the publisher's key signs, or a token of the CTL",
        "ctlsign cluster non-secure-mode");
    add_change(parent, action, Operation::Update, Ways::Either,
               "Make the CTL anew from the certificates of today",
               "ctlsign cluster update --token SAST-ADN008580ef");
    add_change(parent, action, Operation::ResetLocalKey, Ways::PublisherAlone,
               "Have the CallManager key sign the CTL, for phones that hold an ITLRecovery that is gone",
               "ctlsign cluster reset-localkey");
}

}  // namespace ctlsign::cli
