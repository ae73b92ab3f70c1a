#include <fmt/format.h>

#include <algorithm>

#include <ctlsign/cluster/expiry.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::int64_t kDay = 86400, kWarning = 30, kAlarm = 7;

std::string_view breaks_without(Store store) noexcept {
    switch (store) {
        case Store::CallManager:
            return "signed configuration and ITL are refused, secure trunks go down";
        case Store::Tomcat:
            return "HTTPS services are not trusted";
        case Store::Capf:
            return "phones get no LSCs";
        case Store::Ipsec:
            return "backups and tunnels fail";
        case Store::Tvs:
            return "HTTPS services and configuration are not authenticated";
        case Store::ItlRecovery:
            return "lists that it signs are refused";
        case Store::PhoneSastTrust:
            return "the earlier token can no longer update the CTL";
        default:
            return "what relies on it is refused";
    }
}

Expiry make(std::string where, const sast::Certificate& certificate, std::int64_t now,
            std::string_view breaks) {
    Expiry expiry{std::move(where), certificate, 0, Urgency::Fine, breaks, {}, {}};
    const std::int64_t left = certificate.not_after() - now;
    expiry.days = left >= 0 ? left / kDay : -((-left + kDay - 1) / kDay);
    if (left <= kWarning * kDay) expiry.urgency = Urgency::Warning;
    if (left < kAlarm * kDay) expiry.urgency = Urgency::Alarm;
    return expiry;
}

}  // namespace

std::string_view to_text(Urgency urgency) noexcept {
    switch (urgency) {
        case Urgency::Fine:
            return "fine";
        case Urgency::Warning:
            return "warning";
        case Urgency::Alarm:
            return "alarm";
    }
    return "unknown";
}

std::vector<Expiry> list_expiries(const State& state, std::int64_t now) {
    std::vector<Expiry> expiries;
    for (const StoredCertificate& stored : state.certificates) {
        std::string where(to_text(stored.store));
        const Node* node = state.find_node(stored.node);
        if (node != nullptr) where += " of " + node->name;
        expiries.push_back(make(std::move(where), stored.certificate, now, breaks_without(stored.store)));
        if (node == nullptr) continue;
        expiries.back().renewal = fmt::format("ctlsign cluster certificate regenerate --store {} --node {}",
                                              to_text(stored.store), node->name);
        const auto services = services_of(stored.store);
        expiries.back().restarts.assign(services.begin(), services.end());
    }
    for (const KnownToken& token : state.tokens) {
        if (token.state == TokenState::InUse)
            expiries.push_back(make("token " + printable(token.label), token.certificate, now,
                                    "phones may refuse what it signs"));
    }
    std::ranges::stable_sort(expiries, {},
                             [](const Expiry& expiry) { return expiry.certificate.not_after(); });
    return expiries;
}

}  // namespace ctlsign::cluster
