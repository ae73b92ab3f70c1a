#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_change.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/trustlist/decode.hpp>

namespace ctlsign::cli {

namespace {

struct Options {
    ChangeOptions change;
    std::string added;
    std::vector<std::string> dropped;
    cluster::TokenState because = cluster::TokenState::Retired;
};

const cluster::KnownToken& get_known(const cluster::State& state, const std::string& name) {
    if (const auto* token = find_known_token(state, name)) return *token;
    throw UsageError(fmt::format("there is no token {}: see ctlsign cluster token list", name));
}

ExitCode change(const Options& options) {
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

ExitCode list(const Options& options) {
    const cluster::State state = cluster::Database::open_to_read(options.change.cluster.path).load();
    std::vector<sast::Certificate> in_ctl;
    if (state.ctl() != nullptr)
        in_ctl = cluster::token_certificates(decode_list(ByteView(state.ctl()->octets)));
    Json json = Json::array();
    std::string text;
    for (const cluster::KnownToken& token : state.tokens) {
        const bool named = std::ranges::find(in_ctl, token.certificate) != in_ctl.end();
        json.push_back({{"label", token.label},
                        {"serial", token.serial},
                        {"certificate", token.certificate.subject_text()},
                        {"state", to_text(token.state)},
                        {"in-ctl", named}});
        text += fmt::format("{}{}{}: {}, {}\n", token.label, token.serial.empty() ? "" : ", serial ",
                            token.serial, to_text(token.state), named ? "in the CTL" : "not in the CTL");
    }
    options.change.format == Format::AsJson ? print_json({{"tokens", std::move(json)}}) : print(text);
    return ExitCode::Done;
}

void add_reasons(Command command, const std::shared_ptr<Options>& options) {
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

    const auto adding = std::make_shared<Options>();
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

    const auto removing = std::make_shared<Options>();
    Command remove =
        add_command(token, "remove", "Have a CTL signed that names a token no more: that revokes it",
                    "ctlsign cluster token remove SAST-ADN0054f509 --lost --token SAST-ADN008580ef");
    remove.add_option("TOKEN", removing->dropped, "Label or serial number").required().once();
    add_reasons(remove, removing);
    add_token_argument(remove, removing->change.signers);
    add_change_options(remove, removing->change);
    remove.callback([&action, removing] { action = [removing] { return change(*removing); }; });

    const auto listing = std::make_shared<Options>();
    Command known = add_command(token, "list", "The tokens that have signed for this cluster, or may",
                                "ctlsign cluster token list");
    add_cluster_option(known, listing->change.cluster);
    add_json_flag(known, listing->change.format);
    known.callback([&action, listing] { action = [listing] { return list(*listing); }; });
}

}  // namespace ctlsign::cli
