#pragma once

#include <string>
#include <vector>

#include <cli/command.hpp>
#include <ctlsign/trustlist/verify.hpp>

namespace ctlsign::cli {

/// --installed and --certificate: what is trusted already.
struct AnchorOptions {
    std::vector<std::string> installed, certificates;  ///< paths
};
void add_anchor_options(Command command, AnchorOptions& options);

/// The same, loaded. view() lives as long as this.
struct Anchors {
    std::vector<TrustList> installed;
    std::vector<sast::Certificate> certificates;
    TrustAnchors view() const noexcept { return {installed, certificates}; }
};
Anchors load_anchors(const AnchorOptions& options);

/// A line that says whether the signer is trusted, and by what; with nothing given, that nothing is proven.
std::string trust_line(const Verdict& verdict, const AnchorOptions& options);

}  // namespace ctlsign::cli
