#include <fmt/format.h>

#include <cli/anchors.hpp>
#include <cli/input.hpp>

namespace ctlsign::cli {

void add_anchor_options(Command command, AnchorOptions& options) {
    command
        .add_option("--installed", options.installed,
                    "A trust list that is trusted already, CTL before ITL; again for each")
        .type_name("FILE")
        .one_value();
    command.add_option("--certificate", options.certificates, "A certificate that is trusted; again for each")
        .type_name("PEM")
        .one_value();
}

Anchors load_anchors(const AnchorOptions& options) {
    Anchors anchors;
    for (const std::string& path : options.installed) anchors.installed.push_back(load_list(path));
    for (const std::string& path : options.certificates) {
        for (sast::Certificate& certificate : load_certificates(path))
            anchors.certificates.push_back(std::move(certificate));
    }
    return anchors;
}

std::string trust_line(const Verdict& verdict, const AnchorOptions& options) {
    if (options.installed.empty() && options.certificates.empty()) {
        return "trusted: not known; a certificate inside the file proves nothing, give --installed or "
               "--certificate\n";
    }
    if (verdict.outcome != Outcome::Verified) return "trusted: no\n";
    if (verdict.list) return fmt::format("trusted: yes, by {}\n", options.installed.at(*verdict.list));
    return "trusted: yes, by the certificate given\n";
}

}  // namespace ctlsign::cli
