#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_change.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/operation.hpp>
#include <ctlsign/trustlist/decode.hpp>

namespace ctlsign::cli {

namespace {

struct ClusterTokenOptions {
    ChangeOptions change;
    std::string added;
    std::vector<std::string> dropped;
    cluster::TokenState because = cluster::TokenState::Retired;
};

const cluster::KnownToken& get_known(const cluster::State& state, const std::string& name) {
    if (const auto* token = find_known_token(state, name)) return *token;
    throw UsageError(fmt::format("there is no token {}: see ctlsign cluster token list", name));
}

// The tokens that the CTL on the nodes names.
std::vector<sast::Certificate> named_tokens(const cluster::State& state) {
    if (state.ctl() == nullptr) return {};
    return cluster::token_certificates(decode_list(ByteView(state.ctl()->octets)));
}

bool holds(const std::vector<sast::Certificate>& named, const cluster::KnownToken& token) {
    return std::ranges::find(named, token.certificate) != named.end();
}

Json to_json(const cluster::KnownToken& token, bool named) {
    return {{"label", token.label},
            {"serial", token.serial},
            {"certificate", token.certificate.subject_text()},
            {"state", to_text(token.state)},
            {"in-ctl", named}};
}

std::string to_line(const cluster::KnownToken& token, bool named) {
    return fmt::format("{}{}{}: {}, {}\n", printable(token.label), token.serial.empty() ? "" : ", serial ",
                       printable(token.serial), to_text(token.state),
                       named ? "in the CTL" : "not in the CTL");
}

ExitCode change(const ClusterTokenOptions& options) {
    cluster::Request request;
    request.operation = cluster::Operation::ChangeTokens;
    request.dropped_because = options.because;
    const cluster::State state = cluster::Database::open_to_read(options.change.cluster.path).load();
    for (const std::string& name : options.dropped)
        request.dropped.push_back(get_known(state, name).certificate);
    std::vector<GivenToken> at_hand;
    if (!options.added.empty()) {
        at_hand.push_back(find_given_token(options.added, options.change.signers.token));
        request.added.push_back(at_hand.front().certificate);
    }
    return change_cluster(options.change, std::move(request), wording_of(cluster::Operation::ChangeTokens),
                          std::move(at_hand));
}

// Whether the CTL on the nodes does not name the token that is to leave it: what became of it is remembered
// then, and nothing is signed.
bool remember(const ClusterTokenOptions& options) {
    Administration administration(options.change.cluster, "cluster token remove", purpose_of(options.change));
    const cluster::State state = administration.database.load();
    const cluster::KnownToken& token = get_known(state, options.dropped.front());
    if (holds(named_tokens(state), token)) return false;
    if (!options.change.dry_run) {
        cluster::backup_before_change(administration.database);
        set_token_state(administration.writer, token.certificate, options.because);
    }
    const cluster::State after = administration.database.load();
    const cluster::KnownToken& known = get_known(after, options.dropped.front());
    if (options.change.format == Format::AsJson)
        print_json({{"token", to_json(known, false)}, {"dry-run", options.change.dry_run}});
    else if (options.change.dry_run)
        print(fmt::format("{}: would be {}; nothing is changed\n", printable(known.label),
                          to_text(options.because)));
    else
        print(to_line(known, false));
    return true;
}

ExitCode drop(const ClusterTokenOptions& options) {
    return remember(options) ? ExitCode::Done : change(options);
}

ExitCode list(const ClusterTokenOptions& options) {
    const cluster::State state = cluster::Database::open_to_read(options.change.cluster.path).load();
    const auto in_ctl = named_tokens(state);
    Json json = Json::array();
    std::string text;
    for (const cluster::KnownToken& token : state.tokens) {
        json.push_back(to_json(token, holds(in_ctl, token)));
        text += to_line(token, holds(in_ctl, token));
    }
    options.change.format == Format::AsJson ? print_json({{"tokens", std::move(json)}}) : print(text);
    return ExitCode::Done;
}

void add_reasons(Command command, const std::shared_ptr<ClusterTokenOptions>& options) {
    const auto add = [&](const std::string& name, cluster::TokenState state, const std::string& text) {
        command.add_flag_callback(
            name, [options, state] { options->because = state; }, text);
    };
    add("--lost", cluster::TokenState::Lost, "It is lost");
    add("--locked", cluster::TokenState::Locked, "Its PIN is locked");
    add("--forgotten", cluster::TokenState::Forgotten, "Nobody knows its PIN");
}

}  // namespace

void add_cluster_token(Command parent, Action& action) {
    Command token = add_command(parent, "token", "The security tokens that may sign the CTL",
                                "ctlsign cluster token list");
    token.require_subcommand();

    const auto adding = std::make_shared<ClusterTokenOptions>();
    Command add = add_command(token, "add",
                              "Have a CTL signed that names another token, and perhaps a lost one no more",
                              "ctlsign cluster token add 'pkcs11:serial=0b12' --drop SAST-ADN0054f509 "
                              "--lost --token SAST-ADN008580ef");
    add.add_option("TOKEN", adding->added,
                   "The new one: PKCS#11 URI, label or serial number, or the file of its certificate")
        .required();
    add.add_option("--drop", adding->dropped, "One that the CTL names no more: label or serial number")
        .type_name("TOKEN")
        .one_value();
    add_reasons(add, adding);
    add_token_argument(add, adding->change.signers);
    add_change_options(add, adding->change);
    add.callback([&action, adding] { action = [adding] { return change(*adding); }; });

    const auto removing = std::make_shared<ClusterTokenOptions>();
    Command remove =
        add_command(token, "remove",
                    "Have a CTL signed that names a token no more: that revokes it; of one that it does not "
                    "name, remember what became of it",
                    "ctlsign cluster token remove SAST-ADN0054f509 --lost --token SAST-ADN008580ef");
    remove.add_option("TOKEN", removing->dropped, "Label or serial number").required().once();
    add_reasons(remove, removing);
    add_token_argument(remove, removing->change.signers);
    add_change_options(remove, removing->change);
    remove.callback([&action, removing] { action = [removing] { return drop(*removing); }; });

    const auto listing = std::make_shared<ClusterTokenOptions>();
    Command known = add_command(token, "list", "The tokens that have signed for this cluster, or may",
                                "ctlsign cluster token list");
    add_cluster_option(known, listing->change.cluster);
    add_json_flag(known, listing->change.format);
    known.callback([&action, listing] { action = [listing] { return list(*listing); }; });
}

}  // namespace ctlsign::cli
