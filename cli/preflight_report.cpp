#include <fmt/format.h>

#include <iterator>
#include <map>

#include <cli/preflight_report.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

constexpr std::size_t kNamesInText = 10;

using Names = std::vector<const std::string*>;

// Phones of each rule, in the order of the inventory; not more than MOST of each.
std::map<phone::Rule, Names> names_by_rule(const phone::Inventory& inventory, const phone::Preflight& result,
                                           std::size_t most) {
    std::map<phone::Rule, Names> names;
    for (const auto& one : inventory.phones()) {
        auto& those = names[result.group(one).verdict.rule];
        if (those.size() < most) those.push_back(&one.name);
    }
    return names;
}

// Phones that each way would help.
std::map<phone::Way, Names> names_by_way(const phone::Inventory& inventory, const phone::Preflight& result) {
    std::map<phone::Way, Names> names;
    for (const auto& one : inventory.phones()) {
        for (const phone::Way& way : result.group(one).verdict.ways) names[way].push_back(&one.name);
    }
    return names;
}

Json names_json(const Names& names) {
    Json json = Json::array();
    for (const std::string* name : names) json.push_back(*name);
    return json;
}

// Phones that have the same, whatever the number of them.
Json groups_json(const phone::Inventory& inventory, const phone::Preflight& result) {
    std::vector<std::size_t> counts(inventory.traits().size());
    for (const auto& one : inventory.phones()) ++counts[one.traits];
    Json groups = Json::array();
    for (std::size_t i = 0; i < counts.size(); ++i) {
        if (counts[i] == 0) continue;
        const phone::Traits& traits = inventory.traits()[i];
        const phone::Verdict& verdict = result.groups[result.group_of[i]].verdict;
        groups.push_back({{"outcome", phone::to_text(verdict.outcome)},
                          {"rule", phone::to_text(verdict.rule)},
                          {"model", traits.model},
                          {"firmware", traits.firmware},
                          {"ctl", traits.ctl},
                          {"itl", traits.itl},
                          {"pool", traits.pool},
                          {"tvs", traits.tvs},
                          {"phones", counts[i]}});
    }
    return groups;
}

}  // namespace

Json preflight_json(const phone::Inventory& inventory, const phone::Preflight& result, Devices devices) {
    Json json{{"phones", inventory.phones().size()},
              {"accepts", result.count(phone::Outcome::Accepts)},
              {"refuses", result.count(phone::Outcome::Refuses)},
              {"not-known", result.count(phone::Outcome::NotKnown)},
              {"unlisted-models", result.unlisted_models},
              {"rules", Json::array()},
              {"remedies", Json::array()}};
    const auto names =
        names_by_rule(inventory, result, devices == Devices::Named ? inventory.phones().size() : 0);
    for (const auto& [rule, count] : result.by_rule()) {
        Json entry{{"rule", phone::to_text(rule)},
                   {"outcome", phone::to_text(phone::outcome_of(rule))},
                   {"step", phone::step(rule)},
                   {"text", phone::describe(rule)},
                   {"count", count}};
        if (devices == Devices::Named) entry["devices"] = names_json(names.at(rule));
        json["rules"].push_back(std::move(entry));
    }
    std::map<phone::Way, Names> helped;
    if (devices == Devices::Named) helped = names_by_way(inventory, result);
    for (const auto& [way, count] : result.ways()) {
        Json steps = Json::array();
        for (const phone::Remedy step : way) steps.push_back(phone::to_text(step));
        Json entry{{"remedy", phone::to_text(way)},
                   {"steps", std::move(steps)},
                   {"text", phone::describe(way)},
                   {"phones", count}};
        if (devices == Devices::Named) entry["devices"] = names_json(helped.at(way));
        json["remedies"].push_back(std::move(entry));
    }
    if (devices == Devices::Named) json["groups"] = groups_json(inventory, result);
    return json;
}

std::string preflight_counts(const phone::Inventory& inventory, const phone::Preflight& result) {
    return fmt::format("{} phones: {} accept, {} refuse, of {} it is not known", inventory.phones().size(),
                       result.count(phone::Outcome::Accepts), result.count(phone::Outcome::Refuses),
                       result.count(phone::Outcome::NotKnown));
}

std::string preflight_text(const phone::Inventory& inventory, const phone::Preflight& result) {
    std::string text = preflight_counts(inventory, result) + '\n';
    const auto out = std::back_inserter(text);
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
            fmt::format_to(out, "             and {} more (--json has them)\n", count - kNamesInText);
    }
    const auto ways = result.ways();
    if (!ways.empty()) text += "what would change it:\n";
    for (const auto& [way, count] : ways) fmt::format_to(out, "{:>9}  {}\n", count, phone::describe(way));
    if (result.unlisted_models > 0)
        fmt::format_to(out, "models not known, judged by the look of the name: of {} phones\n",
                       result.unlisted_models);
    return text;
}

}  // namespace ctlsign::cli
