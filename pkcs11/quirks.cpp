#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include <pkcs11/error.hpp>
#include <pkcs11/file.hpp>
#include <pkcs11/limits.hpp>
#include <pkcs11/private_files.hpp>
#include <pkcs11/quirks.hpp>
#include <pkcs11/quirks_shipped.hpp>
#include <pkcs11/token.hpp>

namespace ctlsign::pkcs11 {

namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kLongest = 60'000;  // a token that takes longer has failed

template <typename Value>
struct Key {
    std::string_view name;
    Value value;
};

constexpr Key<std::string (*)(const TokenInfo&)> kTokenConditions[] = {
    {"manufacturer", [](const TokenInfo& token) { return token.manufacturer; }},
    {"model", [](const TokenInfo& token) { return token.model; }},
    {"serial", [](const TokenInfo& token) { return token.serial; }},
    {"hardware", [](const TokenInfo& token) { return token.hardware_version; }},
    {"firmware", [](const TokenInfo& token) { return token.firmware_version; }},
};
constexpr Key<bool Quirks::*> kTokenSwitches[] = {
    {"no-sign-final", &Quirks::no_sign_final},
    {"no-combined-sha1", &Quirks::no_combined_sha1},
    {"one-operation-at-a-time", &Quirks::one_operation_at_a_time},
};
constexpr Key<milliseconds Quirks::*> kTokenTimes[] = {
    {"settle-milliseconds", &Quirks::settle},
    {"busy-after-close-milliseconds", &Quirks::busy_after_close},
};

constexpr Key<std::string (*)(const Module::Info&)> kModuleConditions[] = {
    {"manufacturer", [](const Module::Info& module) { return module.manufacturer; }},
    {"description", [](const Module::Info& module) { return module.description; }},
    {"version",
     [](const Module::Info& module) {
         return fmt::format("{}.{}", module.library_major, module.library_minor);
     }},
};
constexpr Key<bool ModuleQuirks::*> kModuleSwitches[] = {
    {"never-finalize", &ModuleQuirks::never_finalize},
    {"spurious-first-event", &ModuleQuirks::spurious_first_event},
    {"no-slot-events", &ModuleQuirks::no_slot_events},
};

template <typename Keys>
auto find_key(const Keys& keys, std::string_view name) {
    const auto found = std::ranges::find_if(keys, [&](const auto& key) { return key.name == name; });
    return found == std::end(keys) ? std::nullopt : std::optional(found->value);
}

bool matches(std::string_view text, std::string_view pattern) {
    return pattern.ends_with('*') ? text.starts_with(pattern.substr(0, pattern.size() - 1)) : text == pattern;
}

}  // namespace

struct QuirkTable::Decoder {
    std::string_view name;

    [[noreturn]] void malformed(const toml::source_region& where, std::string_view what) const {
        throw Error(Errc::MalformedQuirks, "reading", name,
                    fmt::format("line {}: {}", where.begin.line, what));
    }

    std::string text(const toml::node& node) const {
        auto value = node.value_exact<std::string>();
        if (!value || value->empty()) malformed(node.source(), "expected a text");
        return std::move(*value);
    }

    std::vector<std::string> patterns(const toml::node& node) const {
        if (!node.is_array()) return {text(node)};
        std::vector<std::string> patterns;
        for (const toml::node& element : *node.as_array()) patterns.push_back(text(element));
        if (patterns.empty()) malformed(node.source(), "an empty list matches nothing");
        return patterns;
    }

    template <typename Row>
    Row row(const toml::node& node, const auto& conditions, const auto& switches, const auto& times) const {
        if (!node.is_table()) malformed(node.source(), "expected a row");
        Row row;
        for (const auto& [key, value] : *node.as_table()) {
            if (key == "why") {
                row.why = text(value);
            } else if (const auto text_of = find_key(conditions, key)) {
                row.conditions.push_back({*text_of, patterns(value)});
            } else if (const auto member = find_key(switches, key)) {
                const auto on = value.template value_exact<bool>();
                if (!on) malformed(value.source(), fmt::format("'{}' must be true or false", key.str()));
                row.switches.emplace_back(*member, *on);
            } else if (const auto time = find_key(times, key)) {
                const auto count = value.template value_exact<std::int64_t>();
                if (!count || *count < 0 || *count > kLongest)
                    malformed(value.source(), fmt::format("'{}' must be 0 to {}", key.str(), kLongest));
                row.times.emplace_back(*time, milliseconds(*count));
            } else {
                malformed(key.source(), fmt::format("no such row has the key '{}'", key.str()));
            }
        }
        if (row.why.empty()) malformed(node.source(), "this row does not say why");
        if (row.conditions.empty()) malformed(node.source(), "this row does not say what it is for");
        return row;
    }

    QuirkTable table(const toml::table& root) const {
        QuirkTable table;
        for (const auto& [key, value] : root) {
            const bool tokens = key == "token";
            if (!tokens && key != "module")
                malformed(key.source(), fmt::format("expected [[token]] or [[module]], not '{}'", key.str()));
            if (!value.is_array()) malformed(value.source(), fmt::format("expected [[{}]]", key.str()));
            for (const toml::node& node : *value.as_array()) {
                if (tokens) {
                    table.tokens_.push_back(
                        row<TokenRow>(node, kTokenConditions, kTokenSwitches, kTokenTimes));
                } else {
                    table.modules_.push_back(
                        row<ModuleRow>(node, kModuleConditions, kModuleSwitches,
                                       std::array<Key<milliseconds ModuleQuirks::*>, 0>{}));
                }
            }
        }
        return table;
    }
};

QuirkTable QuirkTable::decode(std::string_view toml, std::string_view name) {
    const Decoder decoder{name};
    try {
        return decoder.table(toml::parse(toml));
    } catch (const toml::parse_error& e) {
        decoder.malformed(e.source(), e.description());
    }
}

void QuirkTable::append(QuirkTable later) {
    std::ranges::move(later.tokens_, std::back_inserter(tokens_));
    std::ranges::move(later.modules_, std::back_inserter(modules_));
}

namespace {

enum class Absence { Tolerated, Refused };

QuirkTable load() {
    auto table = QuirkTable::decode(shipped_quirks(), "the shipped quirks");
    const auto add = [&](const std::string& path, Absence absence) {
        try {
            table.append(QuirkTable::decode(as_text(read_file(path, limits::kQuirks)), path));
        } catch (const Error& e) {
            if (absence == Absence::Refused || e.code() != std::errc::no_such_file_or_directory) throw;
        }
    };
    add("/etc/ctlsign/quirks.toml", Absence::Tolerated);
    const char* named = std::getenv("CTLSIGN_QUIRKS");
    if (named != nullptr && *named != '\0') {
        add(named, Absence::Refused);
    } else if (const auto own = find_user_configuration_folder()) {
        add((*own / "quirks.toml").string(), Absence::Tolerated);
    }
    return table;
}

}  // namespace

const QuirkTable& QuirkTable::of_process() {
    static const QuirkTable table = load();
    return table;
}

template <typename Subject, typename Found>
Found QuirkTable::merge(const std::vector<Row<Subject, Found>>& rows, const Subject& subject) {
    Found found;
    for (const auto& row : rows) {
        const bool applies = std::ranges::all_of(row.conditions, [&](const auto& condition) {
            return std::ranges::any_of(condition.patterns,
                                       [text = condition.text_of(subject)](const std::string& pattern) {
                                           return matches(text, pattern);
                                       });
        });
        if (!applies) continue;
        for (const auto& [member, value] : row.switches) found.*member = value;
        for (const auto& [member, value] : row.times) found.*member = value;
        found.reasons.push_back(row.why);
    }
    return found;
}

Quirks find_quirks(const QuirkTable& table, const TokenInfo& token) {
    return QuirkTable::merge(table.tokens_, token);
}

ModuleQuirks find_quirks(const QuirkTable& table, const Module::Info& module) {
    return QuirkTable::merge(table.modules_, module);
}

bool may_forbid_finalize(const QuirkTable& table) noexcept {
    return std::ranges::any_of(table.modules_, [](const auto& row) {
        return std::ranges::find(row.switches, std::pair(&ModuleQuirks::never_finalize, true)) !=
               row.switches.end();
    });
}

std::vector<std::string> Quirks::effects() const {
    std::vector<std::string> effects;
    if (settle.count() > 0)
        effects.push_back(fmt::format("may show no objects for {} ms after a plug", settle.count()));
    if (busy_after_close.count() > 0)
        effects.push_back(fmt::format("may be busy for {} ms after a close", busy_after_close.count()));
    if (no_sign_final) effects.emplace_back("no C_SignFinal");
    if (no_combined_sha1) effects.emplace_back("CKM_SHA1_RSA_PKCS does not work");
    if (one_operation_at_a_time) effects.emplace_back("one operation at a time");
    return effects;
}

std::vector<std::string> ModuleQuirks::effects() const {
    std::vector<std::string> effects;
    if (never_finalize) effects.emplace_back("never finalized");
    if (spurious_first_event) effects.emplace_back("tells of a first slot event that did not happen");
    if (no_slot_events) effects.emplace_back("not asked for slot events");
    return effects;
}

}  // namespace ctlsign::pkcs11
