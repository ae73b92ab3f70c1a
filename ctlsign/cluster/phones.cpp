#include <fmt/format.h>

#include <memory>
#include <unordered_set>
#include <utility>

#include <ctlsign/cluster/history.hpp>
#include <ctlsign/cluster/phones.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/tvs/certificate_store.hpp>
#include <ctlsign/tvs/phone_answer.hpp>

namespace ctlsign::cluster {

namespace {

// Which certificates TVS calls a SAST: tvs-protocol.md, "Which answers say SAST".
bool vouches_as_sast(Store store) noexcept {
    return store == Store::PhoneSastTrust || store == Store::CallManager || store == Store::ItlRecovery;
}

}  // namespace

std::vector<phone::TvsServer> tvs_servers(const State& state, const TrustList& list,
                                          const TrustList* served) {
    std::vector<tvs::DatabaseEntry> database;
    for (const StoredCertificate& stored : state.certificates)
        if (vouches_as_sast(stored.store)) database.push_back({stored.certificate, {Role::Sast}});
    const tvs::CertificateStore store(database, served);

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
