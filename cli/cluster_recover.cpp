#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>

#include <cli/cluster.hpp>
#include <cli/cluster_change.hpp>
#include <cli/cluster_nodes.hpp>
#include <cli/cluster_regenerate.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <cli/token_report.hpp>
#include <ctlsign/cluster/contents.hpp>
#include <ctlsign/cluster/operation.hpp>
#include <ctlsign/cluster/recovery.hpp>
#include <ctlsign/cluster/rules.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

struct ClusterRecoverOptions {
    ChangeOptions change;
    std::vector<std::string> lost, forgotten, tokens;
    std::string way;
};

struct Found {
    cluster::SignerFacts facts;
    std::vector<GivenToken> plugged;
    std::vector<std::string> aside;  ///< plugged in, and taken only when they are named
};

using Certificates = std::vector<sast::Certificate>;

bool holds(const Certificates& certificates, const sast::Certificate& certificate) {
    return std::ranges::find(certificates, certificate) != certificates.end();
}

// Whether NAME, as a person says it, means TOKEN.
bool means(const std::string& name, const GivenToken& token) {
    return token.text == name || names_certificate(name, token.certificate) ||
           (token.plugged && token.plugged->token.info().serial == name);
}

// Those of the tokens that NAMES mean, of the cluster or plugged in.
Certificates find_named(const std::vector<std::string>& names, const cluster::State& state,
                        const std::vector<GivenToken>& plugged) {
    Certificates named;
    for (const std::string& name : names) {
        if (const auto* known = find_known_token(state, name)) {
            named.push_back(known->certificate);
            continue;
        }
        std::set<std::string> serials;
        for (const GivenToken& token : plugged) {
            if (!means(name, token)) continue;
            named.push_back(token.certificate);
            serials.insert(token.plugged->token.info().serial);
        }
        if (serials.empty())
            throw UsageError(fmt::format("there is no token {}: see ctlsign cluster token list", name));
        if (serials.size() > 1)
            throw UsageError(fmt::format("{} means {} tokens: name one by its serial number: {}", name,
                                         serials.size(), fmt::join(serials, ", ")));
    }
    return named;
}

// Of a token that is not plugged in: what was said of it before.
cluster::TokenCondition condition_said(const cluster::KnownToken* known) {
    using cluster::TokenCondition, cluster::TokenState;
    switch (known == nullptr ? TokenState::InUse : known->state) {
        case TokenState::Lost:
            return TokenCondition::Lost;
        case TokenState::Locked:
            return TokenCondition::Locked;
        case TokenState::Forgotten:
            return TokenCondition::Forgotten;
        default:
            return TokenCondition::NotPlugged;
    }
}

cluster::TokenCondition condition_of(const sast::Certificate& certificate, const cluster::State& state,
                                     const std::vector<GivenToken>& plugged, const Certificates& lost,
                                     const Certificates& forgotten) {
    using cluster::TokenCondition;
    if (holds(lost, certificate)) return TokenCondition::Lost;
    if (holds(forgotten, certificate)) return TokenCondition::Forgotten;
    const auto token = std::ranges::find(plugged, certificate, &GivenToken::certificate);
    if (token == plugged.end() || !token->plugged) return condition_said(state.find_token(certificate));
    const auto pin = pin_status(token->plugged->token).state;
    if (pin == pkcs11::PinState::Locked || pin == pkcs11::PinState::NotInitialized)
        return TokenCondition::Locked;
    // As the rules see it: whom TVS does not vouch for cannot sign, tries or not.
    const bool vouched = !check_not_expired(state, certificate, unix_now());
    if (pin == pkcs11::PinState::FinalTry && vouched) return TokenCondition::FinalTry;
    return certificate.not_after() < unix_now() ? TokenCondition::Expired : TokenCondition::Ready;
}

// Whether the publisher's key of STORE is the one that was named, or where the stores say.
bool key_loads(const cluster::State& state, cluster::Store store, const ClusterRecoverOptions& options) {
    const auto* own = find_publisher_certificate(state, store);
    if (own == nullptr) return false;
    std::vector<std::string> places;
    if (!options.change.signers.signer.empty()) places.push_back(options.change.signers.signer);
    if (own->key) places.push_back(*own->key);
    std::string problem;
    for (const std::string& place : places) {
        try {
            open_key(place, own->certificate, options.change.signers.token);
            return true;
        } catch (const Error& error) {
            problem = error.what();
        }
    }
    if (!problem.empty()) print_note(problem);
    return false;
}

// Why a token that the CTL does not name is not taken unless somebody says so; empty where it is none that
// left it.
std::string_view reason_to_leave_aside(const cluster::State& state, const sast::Certificate& certificate,
                                       cluster::TokenCondition condition) {
    const auto* known = state.find_token(certificate);
    if (known != nullptr)
        return known->state == cluster::TokenState::InUse ? "the CTL names it no more"
                                                          : to_text(known->state);
    return condition == cluster::TokenCondition::Expired ? to_text(condition) : "";
}

// Whether a token in this CONDITION may sign, or begin to.
bool is_usable(const cluster::State& state, const sast::Certificate& certificate,
               cluster::TokenCondition condition) {
    return condition == cluster::TokenCondition::Ready ||
           (condition == cluster::TokenCondition::Expired &&
            !check_not_expired(state, certificate, unix_now()));
}

// The token that NAME means, of those plugged in, or by its certificate in a file.
GivenToken find_spare(const std::string& name, const std::vector<GivenToken>& plugged,
                      const TokenOptions& options) {
    const auto meant = [&](const GivenToken& token) { return means(name, token); };
    if (std::ranges::count_if(plugged, meant) == 1) return *std::ranges::find_if(plugged, meant);
    return find_given_token(name, options);
}

Found look(const cluster::State& state, const ClusterRecoverOptions& options) {
    Found found;
    for (const auto& token : find_tokens(options.change.signers.token, std::nullopt).tokens) {
        for (auto& identity : sast::list_identities(token)) {
            const sast::Certificate certificate = identity.certificate;
            found.plugged.push_back({token.info().label, certificate, std::move(identity)});
        }
    }
    const Certificates lost = find_named(options.lost, state, found.plugged);
    const Certificates forgotten = find_named(options.forgotten, state, found.plugged);
    Certificates named;
    if (state.last && state.last->way == cluster::Way::Tokens)
        named = cluster::token_certificates(decode_list(ByteView(state.last->octets)));
    const auto condition = [&](const sast::Certificate& certificate) {
        return condition_of(certificate, state, found.plugged, lost, forgotten);
    };
    for (const auto& certificate : named) found.facts.tokens.push_back({certificate, condition(certificate)});
    found.facts.final_try = options.change.signers.token.final_try == pkcs11::FinalTry::Spend;
    for (const GivenToken& token : found.plugged) {
        if (holds(named, token.certificate) || check_is_token(state, token.certificate) ||
            !is_usable(state, token.certificate, condition(token.certificate)))
            continue;
        const std::string_view reason =
            reason_to_leave_aside(state, token.certificate, condition(token.certificate));
        if (reason.empty())
            found.facts.spares.push_back(token.certificate);
        else
            found.aside.push_back(
                fmt::format("{} is not taken unless --token names it: {}", token.text, reason));
    }
    Certificates spares;
    for (const std::string& name : options.tokens) {
        const GivenToken token = find_spare(name, found.plugged, options.change.signers.token);
        const bool signs = holds(named, token.certificate);
        auto& list = signs ? found.facts.signers : spares;
        // The last one signs: what is no more than the file of a certificate comes before.
        list.insert(token.plugged ? list.end() : list.begin(), token.certificate);
        // As it was named, URI and all, before what was found without a name.
        found.plugged.insert(token.plugged ? found.plugged.begin() : found.plugged.end(), token);
        const cluster::TokenCondition found_so = condition(token.certificate);
        const bool usable = is_usable(state, token.certificate, found_so) ||
                            (signs && found_so == cluster::TokenCondition::FinalTry);
        if ((signs || token.plugged) && !usable)
            throw UsageError(fmt::format("--token {}: {}", name, to_text(found_so)));
    }
    found.facts.spares_named = !spares.empty();
    if (found.facts.spares_named) found.facts.spares = std::move(spares);
    found.facts.call_manager_key = key_loads(state, cluster::Store::CallManager, options);
    found.facts.itl_recovery_key = key_loads(state, cluster::Store::ItlRecovery, options);
    return found;
}

// What a way costs.
struct PhoneCounts {
    std::size_t by_themselves = 0, by_hand = 0, not_known = 0;
};

// What becomes of FLEET when WAY is gone; nothing where its CTL cannot be worked out yet.
std::optional<PhoneCounts> count_phones(const Fleet& fleet, const JudgeOptions& options, cluster::State state,
                                        const cluster::WayOut& way) {
    std::optional<TrustList> list;
    for (const auto& step : way.steps) {
        // Whom phones are to trust is known when the key is there.
        if (step.regenerated) return std::nullopt;
        if (!step.request) continue;
        if (step.request->operation == cluster::Operation::DeleteCtl) {
            state.deleted = true;
            continue;
        }
        const cluster::Planned planned = plan(state, *step.request);
        if (!planned.plan) return std::nullopt;
        list = as_planned(*planned.plan->list);
    }
    if (!list) return std::nullopt;
    const auto result = fleet.preflight(options, *list, phone::ListKind::Ctl, &state);
    return PhoneCounts{result.count(phone::Outcome::Accepts), result.count(phone::Outcome::Refuses),
                       result.count(phone::Outcome::NotKnown)};
}

Json to_json(const cluster::WayOut& way, const std::optional<PhoneCounts>& counts) {
    Json steps = Json::array();
    for (const auto& step : way.steps) steps.push_back({{"text", step.text}, {"by-hand", step.is_by_hand()}});
    Json json{{"way", way.name},
              {"text", way.text},
              {"phones", describe(way.phones)},
              {"needs", way.needs},
              {"steps", std::move(steps)}};
    if (counts)
        json["counts"] = {{"by-themselves", counts->by_themselves},
                          {"by-hand", counts->by_hand},
                          {"not-known", counts->not_known}};
    return json;
}

std::string to_lines(const cluster::WayOut& way, const std::optional<PhoneCounts>& counts) {
    std::string text = fmt::format("\n--way {}: {}\n  {}\n", way.name, way.text, describe(way.phones));
    if (counts)
        text += fmt::format("  {} phones take it by themselves, {} need a hand, of {} it is not known\n",
                            counts->by_themselves, counts->by_hand, counts->not_known);
    for (const std::string& need : way.needs) text += fmt::format("  needs {}\n", need);
    for (std::size_t number = 0; number < way.steps.size(); ++number)
        text += fmt::format("  {}. {}{}\n", number + 1, way.steps[number].text,
                            way.steps[number].is_by_hand() ? " (by hand)" : "");
    return text;
}

// What keeps every command that changes the cluster from its work, whoever signs.
std::vector<std::string> find_obstacles(const cluster::Database& database, const cluster::State& state) {
    std::vector<std::string> obstacles;
    if (const auto unfinished = find_unfinished(database))
        obstacles.push_back(
            fmt::format("{} of {} was ended in the middle: the next command that changes the cluster ends it",
                        unfinished->operation, format_utc(unfinished->started)));
    for (const cluster::Node& node : state.nodes) {
        const ServedFile served = look_at(node, state);
        if (!served.problem.empty()) obstacles.push_back(fmt::format("{}: {}", node.name, served.problem));
    }
    return obstacles;
}

ExitCode report(const cluster::Assessment& assessment, const std::vector<std::optional<PhoneCounts>>& counts,
                const std::vector<std::string>& obstacles, Format format) {
    const bool well = assessment.lost.empty() && obstacles.empty();
    if (format == Format::AsJson) {
        Json ways = Json::array();
        for (std::size_t i = 0; i < counts.size(); ++i)
            ways.push_back(to_json(assessment.ways[i], counts[i]));
        print_json({{"lost", assessment.lost},
                    {"works", assessment.works},
                    {"obstacles", obstacles},
                    {"ways", std::move(ways)}});
    } else {
        std::string text;
        for (const std::string& line : assessment.works) text += fmt::format("works: {}\n", line);
        for (const std::string& line : assessment.lost) text += fmt::format("lost: {}\n", line);
        for (const std::string& line : obstacles) text += fmt::format("in the way: {}\n", line);
        for (std::size_t i = 0; i < counts.size(); ++i) text += to_lines(assessment.ways[i], counts[i]);
        print(well ? text + "nothing is lost\n" : text);
    }
    return well ? ExitCode::Done : ExitCode::No;
}

// A deletion cannot be taken back from the phones: what comes behind it must be known to be possible.
void require_finishable(const cluster::Database& database, const ClusterRecoverOptions& options,
                        const cluster::WayOut& way, const std::vector<GivenToken>& plugged) {
    Outset outset = Outset::Now;
    for (const auto& step : way.steps) {
        if (!step.request) continue;
        if (step.request->operation == cluster::Operation::DeleteCtl)
            outset = Outset::BehindDeletion;
        else if (outset == Outset::BehindDeletion)
            require_feasible(database, options.change, *step.request, plugged, outset);
    }
}

bool makes_key(const cluster::WayOut& way) {
    return std::ranges::any_of(way.steps, [](const auto& step) { return step.regenerated.has_value(); });
}

RegenerateOptions regeneration(const ChangeOptions& change, cluster::Store store,
                               const cluster::State& state) {
    RegenerateOptions options;
    options.cluster = change.cluster;
    options.store = to_text(store);
    options.node = state.publisher()->name;
    options.answer = change.answer;
    options.force = change.force;
    options.format = change.format;
    return options;
}

// The report of STEP of WAY, which the program does.
Json perform(Administration& administration, const ClusterRecoverOptions& options, const cluster::WayOut& way,
             const cluster::RecoveryStep& step, Background& background) {
    print_note(step.text);
    if (step.regenerated)
        return perform_regeneration(
            administration, regeneration(options.change, *step.regenerated, administration.database.load()));
    const bool deletes = step.request->operation == cluster::Operation::DeleteCtl;
    background.amend = [&way, &step, deletes](cluster::Plan& plan) {
        remember_losses(plan, step);
        if (deletes) plan.way_out = way.name;
    };
    if (!deletes) {
        ChangeOptions change = options.change;
        // A new key signs itself, whoever was to sign instead of the one that is gone.
        if (makes_key(way)) change.signers.signer.clear();
        return perform_change(administration, change, *step.request, wording_of(step.request->operation),
                              background);
    }
    if (options.change.dry_run) background.outset = Outset::BehindDeletion;
    return perform_deletion(administration, options.change, {}, background.amend);
}

// Goes WAY as far as the program can.
ExitCode go(Administration& administration, const ClusterRecoverOptions& options, const cluster::WayOut& way,
            const std::vector<GivenToken>& plugged) {
    if (!way.needs.empty())
        throw UsageError(fmt::format("--way {} needs {}", way.name, fmt::join(way.needs, ", and ")));
    if (!options.change.dry_run) require_finishable(administration.database, options, way, plugged);
    const bool dry_run = options.change.dry_run, json = options.change.format == Format::AsJson;
    // A new key cannot be rehearsed, nor what it is to sign.
    const bool only_told = dry_run && makes_key(way);
    Background background{plugged};
    Json done = Json::array();
    const auto report = [&] {
        if (json && !done.empty()) print_json({{"way", way.name}, {"steps", done}});
    };
    try {
        for (const auto& step : way.steps) {
            done.push_back({{"text", step.text}, {"by-hand", step.is_by_hand()}});
            if (!step.is_by_hand() && !only_told)
                done.back()["done"] = perform(administration, options, way, step, background);
            else if (!json)
                print(fmt::format("{}: {}\n", dry_run ? "then" : "now", step.text));
        }
    } catch (...) {
        done.erase(done.size() - 1);
        report();
        throw;
    }
    report();
    return ExitCode::Done;
}

// What there is, which ways lead out of it and what each costs.
ExitCode tell(const cluster::Database& database, const ClusterRecoverOptions& options,
              const cluster::State& state, const Found& found, const cluster::Assessment& assessment) {
    const auto fleet = find_fleet(options.change.fleet, database);
    std::vector<std::optional<PhoneCounts>> counts(assessment.ways.size());
    for (std::size_t i = 0; fleet && i < counts.size(); ++i)
        counts[i] = count_phones(*fleet, options.change.fleet.judge, state, assessment.ways[i]);
    if (const auto way = find_way_out(database); way && options.way.empty())
        print_note(describe_way_out(*way));
    if (!assessment.ways.empty())
        for (const std::string& line : found.aside) print_note(line);
    for (const std::string& line : describe_not_in_ctl(state)) print_note(line);
    return report(assessment, counts, find_obstacles(database, state), options.change.format);
}

ExitCode run(const ClusterRecoverOptions& options) {
    // What was ended in the middle is ended before a way is chosen, and nobody comes between its steps.
    std::unique_ptr<Administration> administration;
    if (!options.way.empty())
        administration = std::make_unique<Administration>(options.change.cluster, "cluster recover",
                                                          purpose_of(options.change));
    const auto database = cluster::Database::open_to_read(options.change.cluster.path);
    const cluster::State state = database.load();
    const Found found = look(state, options);
    const cluster::Assessment assessment = assess(state, found.facts);
    if (!administration || assessment.ways.empty()) return tell(database, options, state, found, assessment);
    const auto way = std::ranges::find(assessment.ways, options.way, &cluster::WayOut::name);
    if (way == assessment.ways.end())
        throw UsageError(
            fmt::format("there is no way {} out of this: see ctlsign cluster recover", options.way));
    return go(*administration, options, *way, found.plugged);
}

}  // namespace

void add_cluster_recover(Command parent, Action& action) {
    const auto options = std::make_shared<ClusterRecoverOptions>();
    Command command = add_command(
        parent, "recover",
        "What is lost, what still works, which ways lead out and what each costs; goes the one chosen",
        "ctlsign cluster recover --lost SAST-ADN0054f509 --way replace-token");
    command.add_option("--lost", options->lost, "A token that is lost").type_name("TOKEN").one_value();
    command.add_option("--forgotten", options->forgotten, "A token whose PIN nobody knows")
        .type_name("TOKEN")
        .one_value();
    command
        .add_option(
            "--token", options->tokens,
            "A token that the CTL names, to sign, or a new one that it is to name: PKCS#11 URI, label or "
            "serial number; the last one signs where all of them are new (default: those plugged in, "
            "when there are no more new ones than the way needs)")
        .type_name("SIGNER")
        .one_value();
    command
        .add_option("--way", options->way, "The way to go; the program does what it can, and says the rest")
        .type_name("WAY");
    add_change_options(command, options->change);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
