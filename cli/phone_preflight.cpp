#include <fmt/format.h>

#include <iterator>
#include <map>
#include <memory>

#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/phone.hpp>
#include <cli/preflight_page.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/files/store.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

struct Options {
    std::string list, phones = "phones.csv", html;
    std::vector<std::string> known;
    JudgeOptions judge;
    Format format = Format::AsText;
};

constexpr std::size_t kNamesInText = 10;

// Phones of each rule, in the order of the inventory; not more than MOST of each.
std::map<phone::Rule, std::vector<const std::string*>> names_by_rule(const phone::Inventory& inventory,
                                                                     const phone::Preflight& result,
                                                                     std::size_t most) {
    std::map<phone::Rule, std::vector<const std::string*>> names;
    for (const auto& one : inventory.phones()) {
        auto& those = names[result.group(one).verdict.rule];
        if (those.size() < most) those.push_back(&one.name);
    }
    return names;
}

Json report_json(const Options& options, const phone::Inventory& inventory, const phone::Preflight& result) {
    Json json{{"list", options.list},
              {"phones", inventory.phones().size()},
              {"accepts", result.count(phone::Outcome::Accepts)},
              {"refuses", result.count(phone::Outcome::Refuses)},
              {"not-known", result.count(phone::Outcome::NotKnown)},
              {"unlisted-models", result.unlisted_models},
              {"rules", Json::array()},
              {"remedies", Json::array()}};
    const auto names = names_by_rule(inventory, result, inventory.phones().size());
    for (const auto& [rule, count] : result.by_rule()) {
        Json entry{{"rule", phone::to_text(rule)},
                   {"outcome", phone::to_text(phone::outcome_of(rule))},
                   {"step", phone::step(rule)},
                   {"text", phone::describe(rule)},
                   {"count", count},
                   {"devices", Json::array()}};
        for (const std::string* name : names.at(rule)) entry["devices"].push_back(*name);
        json["rules"].push_back(std::move(entry));
    }
    for (const auto& [remedy, count] : result.remedies())
        json["remedies"].push_back(
            {{"remedy", phone::to_text(remedy)}, {"text", phone::describe(remedy)}, {"phones", count}});
    return json;
}

std::string report_text(const phone::Inventory& inventory, const phone::Preflight& result) {
    std::string text;
    const auto out = std::back_inserter(text);
    fmt::format_to(out, "{} phones: {} accept, {} refuse, of {} it is not known\n", inventory.phones().size(),
                   result.count(phone::Outcome::Accepts), result.count(phone::Outcome::Refuses),
                   result.count(phone::Outcome::NotKnown));
    const auto names = names_by_rule(inventory, result, kNamesInText);
    for (const auto& [rule, count] : result.by_rule()) {
        const phone::Outcome outcome = phone::outcome_of(rule);
        const bool good = outcome == phone::Outcome::Accepts;
        fmt::format_to(out, "{:>9}  {}: {}\n", count,
                       coloured(phone::to_text(outcome), good ? Tone::Good : Tone::Bad),
                       phone::describe(rule));
        if (good) continue;
        for (const std::string* name : names.at(rule))
            fmt::format_to(out, "             {}\n", printable(*name));
        if (count > kNamesInText)
            fmt::format_to(out, "             and {} more (--json and --html have them)\n",
                           count - kNamesInText);
    }
    const auto remedies = result.remedies();
    if (!remedies.empty()) text += "what would change it:\n";
    for (const auto& [remedy, count] : remedies)
        fmt::format_to(out, "{:>9}  {}\n", count, phone::describe(remedy));
    if (result.unlisted_models > 0)
        fmt::format_to(out, "models not known, judged by the look of the name: of {} phones\n",
                       result.unlisted_models);
    return text;
}

ExitCode run(const Options& options) {
    const TrustList list = load_list(options.list);
    const phone::ListKind kind = kind_of(list);
    const phone::Inventory inventory = load_inventory(options.phones);
    const phone::KnownLists known = load_known(options.known);
    const auto time = now();
    const phone::Preflight result = phone::preflight(inventory, list, kind, known, load_models(options.judge),
                                                     load_tvs(options.judge, list, kind), time);
    if (!options.html.empty()) {
        store_file(options.html, as_bytes(preflight_page({inventory, result, known, list, options.list,
                                                          format_utc(time.time_since_epoch().count())})));
    }
    if (options.format == Format::AsJson) {
        print_json(report_json(options, inventory, result));
    } else {
        print(report_text(inventory, result));
    }
    return result.count(phone::Outcome::Refuses) == 0 ? ExitCode::Done : ExitCode::No;
}

}  // namespace

void add_phone_preflight(CLI::App& parent, Action& action) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = add_command(
        parent, "preflight", "Which phones would take a new list, and why; exit 1 when any would refuse",
        "ctlsign phone preflight NEW.tlv --known CTLFile.tlv --known ITLFile.tlv --html preflight.html");
    command.add_option("NEW", options->list, "CTL or ITL file; which of them, its header says")->required();
    add_inventory_option(command, options->phones);
    add_known_option(command, options->known);
    add_judge_options(command, options->judge);
    command.add_option("--html", options->html, "Write a page, too, that needs no network")
        ->type_name("FILE");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
