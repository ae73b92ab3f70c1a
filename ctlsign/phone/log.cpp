#include <fmt/format.h>

#include <chrono>
#include <string_view>

#include <ctlsign/phone/log.hpp>

namespace ctlsign::phone {

namespace {

void log_server(const TvsTrace& server, std::vector<std::string>& lines) {
    lines.push_back(fmt::format("Attempting connect to TVS server addr [{}]", server.address));
    if (server.met == TvsTrace::Met::NotConnected) {
        lines.emplace_back("TCP connect() failed");
        return;
    }
    lines.emplace_back("TCP connect() successful");
    if (server.met == TvsTrace::Met::NoHandshake) {
        lines.emplace_back("Handshake failed: no TLS version in common, or closed by the server");
        return;
    }
    if (server.met == TvsTrace::Met::NotTrusted) {
        lines.emplace_back("Handshake failed: certificate not found in ITL");
        return;
    }
    lines.emplace_back("Role is = 21");
    lines.emplace_back("Certificate is valid");
    lines.emplace_back("Handshake successful");
    lines.emplace_back("processing TVS Query Certificate request");
    lines.push_back(fmt::format("bytes written : {}", server.written));
    lines.push_back(fmt::format("TVS Service receives {} bytes of data", server.received));
}

// "24 hours", as phones say of the default; in smaller units what is no whole number of those.
std::string time_text(std::chrono::seconds time) {
    const auto text = [](auto count, std::string_view unit) {
        return fmt::format("{} {}{}", count.count(), unit, count.count() == 1 ? "" : "s");
    };
    if (time % std::chrono::hours{1} == std::chrono::seconds{0})
        return text(std::chrono::duration_cast<std::chrono::hours>(time), "hour");
    if (time % std::chrono::minutes{1} == std::chrono::seconds{0})
        return text(std::chrono::duration_cast<std::chrono::minutes>(time), "minute");
    return text(time, "second");
}

}  // namespace

std::vector<std::string> log_lines(const Verdict& verdict, const TrustList& list, const Model& model,
                                   const std::vector<TvsTrace>& servers) {
    std::vector<std::string> lines;
    if (verdict.rule == Rule::AlreadyInstalled) return lines;
    for (const TvsTrace& server : servers) log_server(server, lines);
    if (verdict.outcome != Outcome::Accepts) {
        lines.push_back(fmt::format("TL file not verified: {}", describe(verdict.rule)));
        return lines;
    }
    if (verdict.learned)
        lines.push_back(
            fmt::format("TVS added cert to TVS cache - expires in {}", time_text(verdict.learned->ttl)));
    const bool checked = verdict.rule != Rule::FirstList && verdict.rule != Rule::AfterRollback;
    if (checked) lines.emplace_back("Hashes match... authentication successful.");
    lines.emplace_back("AUTH: early exit from parser loop; old version header?");
    if (verdict.newer_header) {
        lines.push_back(fmt::format("AUTH: hdr ver {} (knows only upto {})", ctlsign::to_text(list.version()),
                                    ctlsign::to_text(model.newest_header)));
    }
    lines.emplace_back("TL parse to table: CTL_SUCCESS");
    lines.emplace_back("Updating master TL table");
    lines.emplace_back("TL file verified successfully.");
    lines.emplace_back("TL file updated.");
    return lines;
}

std::string status_message(const Verdict& verdict, ListKind kind, const Installed& before,
                           const Installed& after) {
    if (verdict.rule == Rule::AlreadyInstalled) return {};
    if (verdict.outcome != Outcome::Accepts) return failed_update(kind, before);
    if (before.ctl || before.itl)
        return before.ctl && before.itl ? "Trust List updated" : summary_message(after);
    return summary_message(after);
}

std::string failed_update(ListKind kind, const Installed& before) {
    return kind == ListKind::Ctl && !before.itl ? "CTL update failed" : "Trust List update failed";
}

std::string summary_message(const Installed& installed) {
    if (installed.ctl && installed.itl) return "CTL and ITL installed";
    if (installed.ctl) return "CTL Installed";
    if (installed.itl) return "ITL installed";
    return "No Trust List installed";
}

std::string file_not_found(std::string_view file) {
    return fmt::format("File Not Found <{}>", file);
}

}  // namespace ctlsign::phone
