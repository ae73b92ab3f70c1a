#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <unordered_set>
#include <utility>

#include <ctlsign/cluster/history.hpp>
#include <ctlsign/cluster/phones.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/tvs/phone_answer.hpp>

namespace ctlsign::cluster {

std::vector<tvs::DatabaseEntry> tvs_database(const State& state) {
    std::vector<tvs::DatabaseEntry> database;
    for (const StoredCertificate& stored : state.certificates) {
        const auto vouch = [&](Role role) {
            auto at = std::ranges::find_if(database, [&](const tvs::DatabaseEntry& entry) {
                return equal(entry.certificate.der(), stored.certificate.der());
            });
            if (at == database.end()) at = database.insert(at, {stored.certificate, {}});
            if (std::ranges::find(at->roles, role) == at->roles.end()) at->roles.push_back(role);
        };
        switch (stored.store) {
            case Store::CallManager:
                vouch(Role::Sast);
                if (const Node* node = state.find_node(stored.node)) vouch(node->role);
                break;
            case Store::ItlRecovery:
            case Store::PhoneSastTrust:
                vouch(Role::Sast);
                break;
            case Store::CallManagerTrust:
                // Those of other clusters sign what phones fetch there; copies of CAPF's are in it, too.
                if (!state.holds(Store::CallManager, stored.certificate) &&
                    !state.holds(Store::CapfTrust, stored.certificate))
                    vouch(Role::Tftp);
                break;
            case Store::Capf:
            case Store::CapfTrust:
                vouch(Role::Capf);
                break;
            case Store::Tvs:
                vouch(Role::Tvs);
                break;
            default:  // nothing that phones ask about
                break;
        }
    }
    return database;
}

std::vector<phone::TvsServer> tvs_servers(const State& state, const TrustList& list,
                                          const TrustList* served) {
    const tvs::CertificateStore store(tvs_database(state), served);

    std::vector<phone::TvsServer> servers;
    for (const Node& node : state.nodes) {
        const StoredCertificate* own = state.find_own(Store::Tvs, node);
        if (own == nullptr) continue;
        servers.push_back({phone::TvsServer::State::Answers, false, own->certificate,
                           tvs::to_phone(store.find(list.signer_issuer(), list.signer_serial()).answer)});
    }
    return servers;
}

void add_published(phone::KnownLists& known, const Database& database, const phone::Inventory& inventory) {
    std::unordered_set<std::string_view> held;
    for (const phone::Traits& traits : inventory.traits()) held.insert(traits.ctl);
    for (const HistoryEntry& entry : list_publications(database)) {
        if (!held.contains(phone::as_displayed(entry.md5)) && !held.contains(phone::as_displayed(entry.sha1)))
            continue;
        if (auto octets = find_published(database, entry.id))
            known.add(std::make_shared<const TrustList>(decode_list(std::move(*octets))),
                      fmt::format("publication {}", entry.id));
    }
}

}  // namespace ctlsign::cluster
