#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <iterator>
#include <limits>

#include <ctlsign/trustlist/text.hpp>

namespace ctlsign {

namespace {

std::optional<std::int64_t> digits(std::string_view text) noexcept {
    std::int64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{}) return std::nullopt;
    return value;
}

// Seconds east of UTC: "Z", "+01:00", "-05:30".
std::optional<std::int64_t> offset(std::string_view text) noexcept {
    if (text == "Z" || text == "z") return 0;
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
    const auto hours = digits(text.substr(1, 2));
    const auto minutes = digits(text.substr(4, 2));
    if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
    const std::int64_t seconds = *hours * 3600 + *minutes * 60;
    return text[0] == '-' ? -seconds : seconds;
}

std::optional<std::int64_t> rfc3339(std::string_view text) noexcept {
    namespace chr = std::chrono;
    if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':' ||
        (text[10] != 'T' && text[10] != 't' && text[10] != ' ')) {
        return std::nullopt;
    }
    const auto year = digits(text.substr(0, 4));
    const auto month = digits(text.substr(5, 2));
    const auto day = digits(text.substr(8, 2));
    const auto hour = digits(text.substr(11, 2));
    const auto minute = digits(text.substr(14, 2));
    const auto second = digits(text.substr(17, 2));
    const auto east = offset(text.substr(19));
    if (!year || !month || !day || !hour || !minute || !second || !east) return std::nullopt;
    const chr::year_month_day date(chr::year(static_cast<int>(*year)),
                                   chr::month(static_cast<unsigned>(*month)),
                                   chr::day(static_cast<unsigned>(*day)));
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
    const std::int64_t days = chr::sys_days(date).time_since_epoch().count();
    return days * 86400 + *hour * 3600 + *minute * 60 + *second - *east;
}

}  // namespace

std::string format_utc(std::int64_t seconds) {
    namespace chr = std::chrono;
    const chr::sys_seconds time{chr::seconds(seconds)};
    const auto day = chr::floor<chr::days>(time);
    const chr::year_month_day date(day);
    const chr::hh_mm_ss clock(time - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::optional<std::uint32_t> find_timestamp(std::string_view text) noexcept {
    const auto plain = digits(text);
    const auto seconds = plain ? plain : rfc3339(text);
    if (!seconds) return std::nullopt;
    return find_timestamp(std::chrono::sys_seconds(std::chrono::seconds(*seconds)));
}

std::optional<std::uint32_t> find_timestamp(std::chrono::sys_seconds time) noexcept {
    const auto seconds = time.time_since_epoch().count();
    if (seconds < 0 || seconds > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
    return static_cast<std::uint32_t>(seconds);
}

std::optional<Bytes> find_address(const std::string& text) {
    Bytes four(4);
    if (inet_pton(AF_INET, text.c_str(), four.data()) == 1) return four;
    Bytes sixteen(16);
    if (inet_pton(AF_INET6, text.c_str(), sixteen.data()) == 1) return sixteen;
    return std::nullopt;
}

std::optional<std::string> address_text(ByteView octets) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = octets.size() == 4 ? AF_INET : AF_INET6;
    if (octets.size() != 4 && octets.size() != 16) return std::nullopt;
    if (inet_ntop(family, octets.data(), text.data(), text.size()) == nullptr) return std::nullopt;
    return text.data();
}

}  // namespace ctlsign
