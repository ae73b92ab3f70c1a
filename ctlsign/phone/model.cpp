#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include <ctlsign/error.hpp>
#include <ctlsign/phone/model.hpp>
#include <ctlsign/phone/models_shipped.hpp>
#include <ctlsign/phone/words.hpp>

namespace ctlsign::phone {

namespace {

// TEXT is in lower case; so are patterns, since they were read.
bool matches(std::string_view text, std::string_view pattern) {
    return pattern.ends_with('*') ? text.starts_with(pattern.substr(0, pattern.size() - 1)) : text == pattern;
}

bool matches_any(std::string_view text, const std::vector<std::string>& patterns) {
    return std::ranges::any_of(patterns, [&](const std::string& pattern) { return matches(text, pattern); });
}

}  // namespace

std::string_view own_name(std::string_view name) {
    constexpr std::array<std::string_view, 5> kFronts{"cisco ", "unified ", "ip phone ", "ip ", "cp-"};
    name = trim(name);
    for (const std::string_view front : kFronts) {
        if (lower(name.substr(0, front.size())) == front) name = trim(name.substr(front.size()));
    }
    return name;
}

struct ModelTable::Decoder {
    std::string_view name;

    [[noreturn]] void malformed(const toml::source_region& where, std::string_view what) const {
        throw Error(Errc::Malformed, "reading", name, fmt::format("line {}: {}", where.begin.line, what));
    }

    std::string text(const toml::node& node) const {
        auto value = node.value_exact<std::string>();
        if (!value || value->empty()) malformed(node.source(), "expected a text");
        return std::move(*value);
    }

    std::vector<std::string> patterns(const toml::node& node) const {
        if (!node.is_array()) return {lower(text(node))};
        std::vector<std::string> patterns;
        for (const toml::node& element : *node.as_array()) patterns.push_back(lower(text(element)));
        if (patterns.empty()) malformed(node.source(), "an empty list matches nothing");
        return patterns;
    }

    bool flag(const toml::node& node) const {
        const auto value = node.value_exact<bool>();
        if (!value) malformed(node.source(), "expected true or false");
        return *value;
    }

    Version version(const toml::node& node) const {
        const std::string value = text(node);
        const auto digit = [](char c) { return c >= '0' && c <= '9'; };
        if (value.size() != 3 || !digit(value[0]) || value[1] != '.' || !digit(value[2]))
            malformed(node.source(), "expected a version, \"1.2\"");
        return {static_cast<std::uint8_t>(value[0] - '0'), static_cast<std::uint8_t>(value[2] - '0')};
    }

    Row row(const toml::node& node) const {
        if (!node.is_table()) malformed(node.source(), "expected a row");
        constexpr std::array<std::pair<std::string_view, std::optional<bool> Row::*>, 4> kFlags{
            {{"guess", &Row::guess},
             {"security-by-default", &Row::security_by_default},
             {"sha1-only", &Row::sha1_only},
             {"tls10-only", &Row::tls10_only}}};
        Row row;
        for (const auto& [key, value] : *node.as_table()) {
            const auto known = std::ranges::find(kFlags, key.str(), &decltype(kFlags)::value_type::first);
            if (known != kFlags.end()) {
                row.*known->second = flag(value);
            } else if (key == "why") {
                row.why = text(value);
            } else if (key == "name") {
                row.names = patterns(value);
            } else if (key == "firmware") {
                row.firmware = patterns(value);
            } else if (key == "newest-header") {
                row.newest_header = version(value);
            } else {
                malformed(key.source(), fmt::format("no row has the key '{}'", key.str()));
            }
        }
        if (row.why.empty()) malformed(node.source(), "this row does not say why");
        if (row.names.empty()) malformed(node.source(), "this row does not say what it is for");
        return row;
    }

    ModelTable table(const toml::table& root) const {
        ModelTable table;
        for (const auto& [key, value] : root) {
            if (key != "model" || !value.is_array()) malformed(key.source(), "expected [[model]]");
            for (const toml::node& node : *value.as_array()) table.rows_.push_back(row(node));
        }
        return table;
    }
};

ModelTable ModelTable::decode(std::string_view toml, std::string_view name) {
    const Decoder decoder{name};
    try {
        return decoder.table(toml::parse(toml));
    } catch (const toml::parse_error& e) {
        decoder.malformed(e.source(), e.description());
    }
}

const ModelTable& ModelTable::shipped() {
    static const ModelTable table = decode(shipped_models(), "the shipped models");
    return table;
}

void ModelTable::append(ModelTable later) {
    std::ranges::move(later.rows_, std::back_inserter(rows_));
}

Model ModelTable::find(std::string_view name, std::string_view firmware) const {
    Model model;
    const std::string own = lower(own_name(name)), load = lower(trim(firmware));
    for (const Row& row : rows_) {
        if (!matches_any(own, row.names)) continue;
        if (!row.firmware.empty() && !matches_any(load, row.firmware)) continue;
        if (row.guess) model.listed = !*row.guess;
        if (row.security_by_default) model.security_by_default = row.security_by_default;
        if (row.sha1_only) model.sha1_only = *row.sha1_only;
        if (row.tls10_only) model.tls10_only = *row.tls10_only;
        if (row.newest_header) model.newest_header = *row.newest_header;
        model.reasons.push_back(row.why);
    }
    return model;
}

}  // namespace ctlsign::phone
