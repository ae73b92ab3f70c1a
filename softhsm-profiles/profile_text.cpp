#include <fmt/format.h>
#include <toml++/toml.h>

#include <sstream>

#include <softhsm-profiles/profile.hpp>

namespace ctlsign::softhsm {

namespace {

template <typename Values>
toml::array to_array(const Values& values) {
    toml::array array;
    for (const auto& value : values) {
        if constexpr (std::is_integral_v<std::decay_t<decltype(value)>>) {
            array.push_back(static_cast<std::int64_t>(value));
        } else {
            array.push_back(value);
        }
    }
    return array;
}

std::int64_t number(std::size_t value) {
    return static_cast<std::int64_t>(value);
}

}  // namespace

std::string encode_profile(const Profile& profile) {
    const auto& [label, manufacturer, model, serial, slots, major, minor, removable, slot_id_changes] =
        profile.token;
    const toml::table document{
        {"description", profile.description},
        {"token", toml::table{{"label", label},
                              {"manufacturer", manufacturer},
                              {"model", model},
                              {"serial", serial},
                              {"slots", number(slots)},
                              {"cryptoki-version", fmt::format("{}.{}", major, minor)},
                              {"removable", removable},
                              {"slot-id-changes", slot_id_changes}}},
        {"pin", toml::table{{"user", profile.pin.user},
                            {"security-officer", profile.pin.security_officer},
                            {"tries", number(profile.pin.tries)},
                            {"minimum-length", number(profile.pin.minimum_length)},
                            {"maximum-length", number(profile.pin.maximum_length)},
                            {"login-required", profile.pin.login_required},
                            {"vendor-counter", profile.pin.vendor_counter}}},
        {"key", toml::table{{"sizes", to_array(profile.key.sizes)},
                            {"subject", profile.key.subject},
                            {"mechanisms", to_array(profile.key.mechanisms)},
                            {"allowed-mechanisms", to_array(profile.key.allowed_mechanisms)},
                            {"always-authenticate", profile.key.always_authenticate}}},
        {"behaviour",
         toml::table{{"settle-milliseconds", profile.behaviour.settle.count()},
                     {"busy-after-close-milliseconds", profile.behaviour.busy_after_close.count()},
                     {"latency-milliseconds", profile.behaviour.latency.count()},
                     {"certificates-hidden", profile.behaviour.certificates_hidden},
                     {"one-operation-at-a-time", profile.behaviour.one_operation_at_a_time},
                     {"no-sign-final", profile.behaviour.no_sign_final},
                     {"no-combined-sha1", profile.behaviour.no_combined_sha1},
                     {"spurious-first-event", profile.behaviour.spurious_first_event}}}};
    std::ostringstream text;
    text << document << '\n';
    return text.str();
}

}  // namespace ctlsign::softhsm
