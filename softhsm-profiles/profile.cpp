#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <optional>

#include <pkcs11/file.hpp>
#include <softhsm-profiles/error.hpp>
#include <softhsm-profiles/limits.hpp>
#include <softhsm-profiles/profile.hpp>
#include <softhsm-profiles/shipped.hpp>

namespace ctlsign::softhsm {

namespace {

[[noreturn]] void malformed(std::string_view name, const toml::source_region& where, std::string_view what) {
    throw Error(Errc::MalformedProfile, "reading", fmt::format("profile {}", name),
                fmt::format("line {}: {}", where.begin.line, what));
}

// One table of a profile. Every key that the file has must be asked for, so that a misspelt one is found.
class Section {
  public:
    Section(const toml::table& table, std::string_view profile, std::initializer_list<std::string_view> keys)
        : table_(table), profile_(profile) {
        for (const auto& [key, node] : table) {
            if (std::ranges::find(keys, key.str()) == keys.end()) {
                malformed(profile, node.source(), fmt::format("no profile has the key '{}'", key.str()));
            }
        }
    }

    void read(std::string_view key, std::string& value) const {
        value = get<std::string>(key, "a text").value_or(value);
    }
    void read(std::string_view key, bool& value) const {
        value = get<bool>(key, "true or false").value_or(value);
    }
    template <std::unsigned_integral T>
    void read(std::string_view key, T& value) const {
        if (const auto number = get<std::int64_t>(key, "a number"))
            value = in_range<T>(*number, *table_.get(key));
    }
    void read(std::string_view key, std::chrono::milliseconds& value) const {
        std::uint32_t count = 0;
        read(key, count);
        value = std::chrono::milliseconds(count);
    }
    void read(std::string_view key, std::vector<std::string>& values) const {
        for_each(key, [&](const toml::node& node) {
            const auto text = node.value_exact<std::string>();
            // SoftHSM2's list ends at a comma, so a name is only what a mechanism's name can be.
            if (!text || !text->starts_with("CKM_") ||
                text->find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != std::string::npos) {
                malformed(profile_, node.source(), "expected names of mechanisms, CKM_...");
            }
            values.push_back(*text);
        });
    }
    void read(std::string_view key, std::vector<unsigned>& values) const {
        for_each(key, [&](const toml::node& node) {
            const auto number = node.value_exact<std::int64_t>();
            if (!number) malformed(profile_, node.source(), "expected numbers");
            values.push_back(in_range<unsigned>(*number, node));
        });
    }

    const toml::table& sub_table(std::string_view key) const {
        static const toml::table empty;
        const toml::node* node = table_.get(key);
        if (node == nullptr) return empty;
        if (!node->is_table()) wrong(key, *node, "a table");
        return *node->as_table();
    }
    toml::source_region where(std::string_view key) const {
        const toml::node* node = table_.get(key);
        return node != nullptr ? node->source() : table_.source();
    }

  private:
    template <typename T>
    std::optional<T> get(std::string_view key, std::string_view what) const {
        const toml::node* node = table_.get(key);
        if (node == nullptr) return std::nullopt;
        std::optional<T> value = node->value_exact<T>();
        if (!value) wrong(key, *node, what);
        return value;
    }
    template <typename T>
    T in_range(std::int64_t number, const toml::node& node) const {
        if (number < 0 || number > std::numeric_limits<int>::max()) {
            malformed(profile_, node.source(), fmt::format("{} is out of range", number));
        }
        return static_cast<T>(number);
    }
    template <typename Take>
    void for_each(std::string_view key, Take take) const {
        const toml::node* node = table_.get(key);
        if (node == nullptr) return;
        if (!node->is_array()) wrong(key, *node, "an array");
        for (const toml::node& element : *node->as_array()) take(element);
    }
    [[noreturn]] void wrong(std::string_view key, const toml::node& node, std::string_view what) const {
        malformed(profile_, node.source(), fmt::format("'{}' must be {}", key, what));
    }

    const toml::table& table_;
    std::string_view profile_;
};

void read_version(const Section& section, std::string_view profile, Profile::Token& token) {
    std::string text;
    section.read("cryptoki-version", text);
    if (text.empty()) return;
    const char* const end = text.data() + text.size();
    const auto major = std::from_chars(text.data(), end, token.cryptoki_major);
    if (major.ec == std::errc{} && major.ptr != end && *major.ptr == '.') {
        const auto minor = std::from_chars(major.ptr + 1, end, token.cryptoki_minor);
        if (minor.ec == std::errc{} && minor.ptr == end && token.cryptoki_major <= 255 &&
            token.cryptoki_minor <= 255)
            return;
    }
    malformed(profile, section.where("cryptoki-version"), "expected a version such as \"2.20\"");
}

Profile read_profile(const toml::table& table, std::string_view name) {
    Profile profile;
    const Section root(table, name, {"description", "token", "pin", "key", "behaviour"});
    root.read("description", profile.description);

    const Section token(root.sub_table("token"), name,
                        {"label", "manufacturer", "model", "serial", "slots", "cryptoki-version", "removable",
                         "slot-id-changes"});
    token.read("label", profile.token.label);
    token.read("manufacturer", profile.token.manufacturer);
    token.read("model", profile.token.model);
    token.read("serial", profile.token.serial);
    token.read("slots", profile.token.slots);
    token.read("removable", profile.token.removable);
    token.read("slot-id-changes", profile.token.slot_id_changes);
    read_version(token, name, profile.token);

    const Section pin(root.sub_table("pin"), name,
                      {"user", "security-officer", "tries", "minimum-length", "maximum-length",
                       "login-required", "vendor-counter"});
    pin.read("user", profile.pin.user);
    pin.read("security-officer", profile.pin.security_officer);
    pin.read("tries", profile.pin.tries);
    pin.read("minimum-length", profile.pin.minimum_length);
    pin.read("maximum-length", profile.pin.maximum_length);
    pin.read("login-required", profile.pin.login_required);
    pin.read("vendor-counter", profile.pin.vendor_counter);

    const Section key(root.sub_table("key"), name,
                      {"sizes", "subject", "mechanisms", "allowed-mechanisms", "always-authenticate"});
    key.read("sizes", profile.key.sizes);
    key.read("subject", profile.key.subject);
    key.read("mechanisms", profile.key.mechanisms);
    key.read("allowed-mechanisms", profile.key.allowed_mechanisms);
    key.read("always-authenticate", profile.key.always_authenticate);

    const Section behaviour(root.sub_table("behaviour"), name,
                            {"settle-milliseconds", "busy-after-close-milliseconds", "latency-milliseconds",
                             "certificates-hidden", "one-operation-at-a-time", "no-sign-final",
                             "no-combined-sha1", "spurious-first-event"});
    behaviour.read("settle-milliseconds", profile.behaviour.settle);
    behaviour.read("busy-after-close-milliseconds", profile.behaviour.busy_after_close);
    behaviour.read("latency-milliseconds", profile.behaviour.latency);
    behaviour.read("certificates-hidden", profile.behaviour.certificates_hidden);
    behaviour.read("one-operation-at-a-time", profile.behaviour.one_operation_at_a_time);
    behaviour.read("no-sign-final", profile.behaviour.no_sign_final);
    behaviour.read("no-combined-sha1", profile.behaviour.no_combined_sha1);
    behaviour.read("spurious-first-event", profile.behaviour.spurious_first_event);

    for (const std::string* text : {&profile.pin.user, &profile.pin.security_officer}) {
        if (text->size() < profile.pin.minimum_length || text->size() > profile.pin.maximum_length) {
            malformed(name, root.where("pin"),
                      "needs a user and a security-officer PIN of the profile's own lengths");
        }
    }
    if (profile.key.sizes.empty()) malformed(name, root.where("key"), "needs at least one key size");
    return profile;
}

}  // namespace

Profile decode_profile(std::string_view toml, std::string_view name) {
    try {
        Profile profile = read_profile(toml::parse(toml), name);
        profile.name = name;
        profile.text = toml;
        return profile;
    } catch (const toml::parse_error& e) {
        malformed(name, e.source(), e.description());
    }
}

Profile load_profile(const std::string& name_or_path) {
    const bool is_path = name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".toml");
    if (!is_path) {
        const auto found = std::ranges::find(shipped(), std::string_view(name_or_path), &Shipped::name);
        if (found == shipped().end()) {
            throw Error(Errc::UnknownProfile, "looking for", "profile " + name_or_path,
                        fmt::format("shipped are {}; any other is named by the path of its file",
                                    fmt::join(shipped_profiles(), ", ")));
        }
        return decode_profile(found->toml, found->name);
    }
    const Bytes text = read_file(name_or_path, limits::kProfile);
    return decode_profile(as_text(text), std::filesystem::path(name_or_path).stem().string());
}

std::vector<std::string> shipped_profiles() {
    std::vector<std::string> names;
    for (const Shipped& profile : shipped()) names.emplace_back(profile.name);
    return names;
}

}  // namespace ctlsign::softhsm
