#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ctlsign/cluster/contents.hpp>
#include <ctlsign/cluster/state.hpp>
#include <tests/support/key_signer.hpp>
#include <tests/support/krakow.hpp>

/// The krakow cluster as a state, without a database.
namespace ctlsign::testing {

inline void put(cluster::State& state, cluster::Store store, std::int64_t node,
                const sast::Certificate& certificate) {
    std::erase_if(state.certificates,
                  [&](const auto& stored) { return stored.store == store && stored.node == node; });
    cluster::StoredCertificate stored;
    stored.id = static_cast<std::int64_t>(state.certificates.size()) + 1;
    stored.store = store;
    if (node != 0) stored.node = node;
    stored.certificate = certificate;
    state.certificates.push_back(std::move(stored));
}

/// A change that phones do not know of yet.
inline void replace(cluster::State& state, cluster::Store store, std::int64_t node,
                    const sast::Certificate& certificate) {
    put(state, store, node, certificate);
    state.certificates.back().settling = cluster::Settling::Changed;
}

inline constexpr std::int64_t kPublisherNode = 1, kSubscriberNode = 2;

inline cluster::State krakow_state(const std::string& release) {
    cluster::State state;
    state.name = "krakow";
    state.release = cluster::Release::parse(release).value();
    state.nodes = {{kPublisherNode, "cucm-1051-a-pub", krakow::kPublisherAddress, cluster::Place::Publisher,
                    Role::CcmTftp, "/pub", "", std::nullopt},
                   {kSubscriberNode, "cucm-1051-a-sub1", krakow::kSubscriberAddress,
                    cluster::Place::Subscriber, Role::CcmTftp, "/sub", "", std::nullopt}};
    put(state, cluster::Store::CallManager, kPublisherNode, load_certificate(krakow::kPublisher + ".pem"));
    put(state, cluster::Store::CallManager, kSubscriberNode, load_certificate(krakow::kSubscriber + ".pem"));
    put(state, cluster::Store::Capf, kPublisherNode, load_certificate(krakow::kCapf + ".pem"));
    return state;
}

inline sast::Certificate krakow_recovery() {
    static const sast::Certificate certificate =
        make_certificate(load_key(krakow::kRegenerated + ".key"), "ITLRECOVERY_cucm-1051-a-pub", 77);
    return certificate;
}

inline Bytes golden_ctl(const std::string& name) {
    return read_data("krakow/CTLFile-" + name + ".tlv");
}

/// As if FILE had been published as number ID.
inline void publish(cluster::State& state, cluster::Way way, cluster::Mode mode, Bytes file,
                    std::int64_t id = 1) {
    state.last = cluster::Publication{id, krakow::kTimestamp, "mixed-mode", way, mode, std::move(file)};
    state.deleted = false;
    state.mode = mode;
    for (auto& stored : state.certificates)
        if (waits_for_ctl(state, stored)) stored.settling = cluster::Settling::Published;
}

/// The services are restarted, and the phones reset.
inline void restart(cluster::State& state) {
    for (auto& stored : state.certificates)
        if (!waits_for_ctl(state, stored)) stored.settling = cluster::Settling::Settled;
}

inline std::vector<sast::Certificate> krakow_tokens() {
    return {load_certificate(krakow::kFirstToken + ".pem"), load_certificate(krakow::kSecondToken + ".pem")};
}

}  // namespace ctlsign::testing
