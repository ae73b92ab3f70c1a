#include <fmt/format.h>

#include <cli/cluster_nodes.hpp>
#include <ctlsign/cluster/target.hpp>

namespace ctlsign::cli {

ServedFile look_at(const cluster::Node& node, const cluster::State& state) {
    ServedFile served{node.name, std::nullopt, {}};
    try {
        const auto octets = cluster::open_target(node)->load();
        if (octets) served.sums = checksums(*octets);
        const cluster::Publication* published = state.ctl();
        if (published == nullptr && octets) served.problem = "serves a CTL that was not published from here";
        // Phones that are not secured need none.
        else if (published != nullptr && !octets && state.mode == cluster::Mode::Mixed)
            served.problem = "serves no CTL: ctlsign cluster update brings it there";
        else if (published != nullptr && octets && !equal(*octets, published->octets))
            served.problem = "serves another CTL than the one published last";
    } catch (const std::exception& error) {
        served.problem = unreached(node, error.what());
    }
    return served;
}

std::string unreached(const cluster::Node& node, std::string_view reason) {
    return fmt::format("{}; when it is gone for good: ctlsign cluster node remove {}", reason, node.name);
}

}  // namespace ctlsign::cli
