#include <fmt/format.h>

#include <cli/expiry_report.hpp>
#include <cli/token_report.hpp>

namespace ctlsign::cli {

namespace {

constexpr std::string_view kAlarm =
    "Alarm to indicate that Certificate has Expired or Expires in less than seven days";

std::vector<std::string_view> restarts_of(const cluster::Expiry& expiry) {
    std::vector<std::string_view> names;
    for (const cluster::Service service : expiry.restarts) names.push_back(to_text(service));
    return names;
}

}  // namespace

std::string expiry_line(const cluster::Expiry& expiry) {
    const std::string when = expiry.days < 0 ? fmt::format("expired {} days ago", -expiry.days)
                                             : fmt::format("expires in {} days", expiry.days);
    std::string line = fmt::format(
        "{} {}: {}, {} on {}; then {}",
        expiry.urgency == cluster::Urgency::Alarm ? kAlarm : to_text(expiry.urgency), expiry.where,
        expiry.certificate.subject_text(), when, date_text(expiry.certificate.not_after()), expiry.breaks);
    if (!expiry.renewal.empty()) line += fmt::format("; {}", expiry.renewal);
    if (!expiry.restarts.empty())
        line += fmt::format(", then restart {}", fmt::join(restarts_of(expiry), ", "));
    return line + "\n";
}

Json expiry_json(const cluster::Expiry& expiry) {
    Json row{{"where", expiry.where},
             {"subject", expiry.certificate.subject_text()},
             {"serial", to_hex(expiry.certificate.serial())},
             {"not-after", date_text(expiry.certificate.not_after())},
             {"days", expiry.days},
             {"urgency", to_text(expiry.urgency)},
             {"breaks", expiry.breaks}};
    if (expiry.urgency == cluster::Urgency::Alarm) row["text"] = kAlarm;
    if (!expiry.renewal.empty()) {
        row["renewal"] = expiry.renewal;
        row["restart"] = restarts_of(expiry);
    }
    return row;
}

}  // namespace ctlsign::cli
