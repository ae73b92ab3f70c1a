#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_change.hpp>
#include <cli/cluster_nodes.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <cli/token_report.hpp>
#include <ctlsign/cluster/contents.hpp>
#include <ctlsign/cluster/operation.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/sign.hpp>

namespace ctlsign::cli {

namespace {

// A note is nothing to be ready.
enum class Kind { Check, Note };
struct Row {
    std::string what, text;
    bool ready = true;
    Kind kind = Kind::Check;
};

bool usable(const pkcs11::PinStatus& pin, pkcs11::FinalTry final_try) {
    return pin.state == pkcs11::PinState::Good || pin.state == pkcs11::PinState::CountLow ||
           (pin.state == pkcs11::PinState::FinalTry && final_try == pkcs11::FinalTry::Spend);
}

// Whether the next change of the CTL can be finished, found out without a PIN and without a change.
class Check {
  public:
    explicit Check(const ChangeOptions& options)
        : options_(options),
          database_(cluster::Database::open_to_read(options.cluster.path)),
          state_(database_.load()) {}

    std::vector<Row> run() {
        journal();
        request();
        cluster::Planned planned = plan(state_, request_);
        for (const auto& refusal : planned.refusals) add("rule", to_text(refusal), false);
        nodes(planned.plan ? measure(*planned.plan) : 0);
        if (planned.plan) signer(*planned.plan);
        for (const std::string& line : describe_not_in_ctl(state_)) note(line);
        if (planned.plan)
            for (const std::string& line : planned.plan->notes) note(line);
        return std::move(rows_);
    }

  private:
    void add(std::string what, std::string text, bool ready) {
        rows_.push_back({std::move(what), std::move(text), ready});
    }
    void note(std::string text) { rows_.push_back({"note", std::move(text), true, Kind::Note}); }

    void journal() {
        const auto unfinished = find_unfinished(database_);
        if (unfinished)
            add("journal", unfinished->operation + " was ended in the middle: the next change ends it first",
                false);
    }

    // The tokens given; on a token cluster with none given, those plugged in that its CTL names.
    void request() {
        const bool has_ctl = state_.ctl() != nullptr;
        request_.operation = state_.mode == cluster::Mode::Mixed && has_ctl ? cluster::Operation::Update
                                                                            : cluster::Operation::MixedMode;
        request_.way = options_.way;
        request_.time = choose_timestamp(options_.timestamp, std::nullopt);
        request_.now = unix_now();
        for (const std::string& text : options_.signers.tokens)
            tokens_.push_back(find_given_token(text, options_.signers.token));
        if (tokens_.empty() && !options_.way && has_ctl && state_.ctl()->way == cluster::Way::Tokens)
            find_plugged(cluster::token_certificates(decode_list(ByteView(state_.ctl()->octets))));
        request_.tokens = certificates_of(tokens_);
        request_.present = certificates_at_hand(tokens_);
    }

    void find_plugged(const std::vector<sast::Certificate>& wanted) {
        for (const auto& token : find_tokens(options_.signers.token, std::nullopt).tokens) {
            for (auto& identity : sast::list_identities(token)) {
                if (std::ranges::find(wanted, identity.certificate) == wanted.end()) continue;
                const pkcs11::PinStatus pin = pin_status(token);
                add(token.info().label, "a token of the CTL, PIN: " + to_text(pin),
                    usable(pin, options_.signers.token.final_try));
                tokens_.push_back({token.info().label, identity.certificate, std::move(identity)});
            }
        }
        for (const auto& certificate : wanted) {
            const bool here =
                std::ranges::find(tokens_, certificate, &GivenToken::certificate) != tokens_.end();
            if (!here) add(certificate.common_name(), "a token of the CTL, not plugged in", true);
        }
        if (tokens_.empty()) add("signer", "no token of the CTL is plugged in", false);
    }

    // The length of the CTL to come. Not every certificate fits into one.
    std::size_t measure(const cluster::Plan& plan) {
        try {
            return size_when_signed(plan);
        } catch (const Error& error) {
            add("CTL", error.what(), false);
            return 0;
        }
    }

    // SIZE octets are to have room on each.
    void nodes(std::size_t size) {
        for (const cluster::Node& node : state_.nodes) {
            try {
                auto reached = cluster::reach_nodes({node});
                reached.front().target->prepare(Bytes(size));
                const auto refusals = check_nodes(state_, reached);
                add(node.name, refusals.empty() ? "reached, can be written" : to_text(refusals.front()),
                    refusals.empty());
            } catch (const Error& error) {
                add(node.name, unreached(node, error.what()), false);
            }
        }
    }

    void signer(const cluster::Plan& plan) {
        try {
            const OpenedSigner opened = open_planned_signer(plan, tokens_, options_.signers);
            const auto token = std::ranges::find(tokens_, *plan.signer, &GivenToken::certificate);
            if (plan.way == cluster::Way::Tokenless || token == tokens_.end() || !token->plugged) {
                add("signer", opened.signer->facts().description, true);
                return;
            }
            const pkcs11::PinStatus pin = pin_status(token->plugged->token);
            add("signer", fmt::format("{}, PIN: {}", opened.signer->facts().description, to_text(pin)),
                usable(pin, options_.signers.token.final_try));
        } catch (const std::exception& error) {
            add("signer", error.what(), false);
        }
    }

    const ChangeOptions& options_;
    cluster::Database database_;
    cluster::State state_;
    cluster::Request request_;
    std::vector<GivenToken> tokens_;
    std::vector<Row> rows_;
};

ExitCode run(const ChangeOptions& options) {
    const std::vector<Row> rows = Check(options).run();
    const bool ready = std::ranges::all_of(rows, &Row::ready);
    Json json{{"ready", ready}, {"checks", Json::array()}};
    std::string text;
    for (const Row& row : rows) {
        json["checks"].push_back({{"what", row.what}, {"ready", row.ready}, {"text", row.text}});
        if (row.kind != Kind::Note)
            text += coloured(row.ready ? "ready    " : "not ready", row.ready ? Tone::Good : Tone::Bad) + ' ';
        text += fmt::format("{}: {}\n", printable(row.what), printable(row.text));
    }
    options.format == Format::AsJson ? print_json(json) : print(text);
    return ready ? ExitCode::Done : ExitCode::No;
}

}  // namespace

void add_cluster_check(Command parent, Action& action) {
    const auto options = std::make_shared<ChangeOptions>();
    Command command = add_command(parent, "check",
                                  "Before a change of the CTL: can it be finished? Rules, nodes, stores, "
                                  "signer; no PIN. Exit 0: it can",
                                  "ctlsign cluster check --token SAST-ADN008580ef");
    add_cluster_option(command, options->cluster);
    add_ways(command, *options);
    add_publisher_argument(command, options->signers);
    add_token_options(command, options->signers.token);
    add_timestamp_option(command, options->timestamp);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
