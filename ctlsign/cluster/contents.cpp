#include <fmt/format.h>

#include <algorithm>

#include <ctlsign/cluster/contents.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cluster {

namespace {

// Writes records in one of the two layouts.
class Layouter {
  public:
    Layouter(const Node& publisher, Way way, Mode mode) : publisher_(publisher), way_(way), mode_(mode) {}

    RecordDraft token(const sast::Certificate& certificate) const {
        RecordDraft record =
            make_record(certificate, NameStyle::CtlClient, Role::Sast, CertificateSignature::Omit);
        record.dns_name = "";
        record.ip_address = publisher_.address;
        return record;
    }
    RecordDraft publisher_sast(const sast::Certificate& certificate) const {
        RecordDraft record = server(certificate, Role::Sast, publisher_);
        if (way_ == Way::Tokens) record.dns_name = "";
        return record;
    }
    RecordDraft capf(const sast::Certificate& certificate) const {
        return server(certificate, Role::Capf, publisher_);
    }
    RecordDraft call_manager(const sast::Certificate& certificate, const Node& node) const {
        if (mode_ == Mode::Mixed) return server(certificate, node.role, node);
        // Phones register unsecured when no server has a certificate.
        RecordDraft record;
        record.dns_name = dns_name(node);
        record.role = node.role;
        record.ip_address = node.address;
        return record;
    }

  private:
    std::string dns_name(const Node& node) const {
        return way_ == Way::Tokens ? address_text(node.address).value() : node.name;
    }
    RecordDraft server(const sast::Certificate& certificate, Role role, const Node& node) const {
        RecordDraft record =
            make_record(certificate, NameStyle::CallManager, role,
                        way_ == Way::Tokens ? CertificateSignature::Omit : CertificateSignature::Write);
        record.dns_name = dns_name(node);
        record.ip_address = node.address;
        return record;
    }

    const Node& publisher_;
    Way way_;
    Mode mode_;
};

// Whether records of ROLE are of certificates in STORE.
bool fits(std::optional<Role> role, Store store) {
    if (store == Store::CallManager) return role == Role::Ccm || role == Role::CcmTftp || role == Role::Tftp;
    return role == (store == Store::Capf ? Role::Capf : Role::Sast);
}

// A record may hold no more than a hash.
bool is_of(const Record& record, const sast::Certificate& certificate) {
    if (record.certificate()) return equal(*record.certificate(), certificate.der());
    return record.serial() && equal(*record.serial(), certificate.serial());
}

}  // namespace

const StoredCertificate* find_publisher_certificate(const State& state, Store store) {
    const Node* publisher = state.publisher();
    return publisher == nullptr ? nullptr : state.find_own(store, *publisher);
}

std::vector<sast::Certificate> publisher_sasts(const State& state) {
    const bool recovery_signs = state.release.signs_with_itl_recovery();
    const auto* first =
        find_publisher_certificate(state, recovery_signs ? Store::ItlRecovery : Store::CallManager);
    const auto* second =
        find_publisher_certificate(state, recovery_signs ? Store::CallManager : Store::ItlRecovery);
    if (first == nullptr) return {};
    std::vector<sast::Certificate> sasts{first->certificate};
    if (second != nullptr && state.release.has_itl_recovery()) sasts.push_back(second->certificate);
    return sasts;
}

bool stands_in_ctl(const State& state, Store store, const Node& node) {
    if (store == Store::CallManager) return true;
    if (node.place != Place::Publisher) return false;
    if (store == Store::Capf) return true;
    const bool tokens = state.last && state.last->way == Way::Tokens;
    return store == Store::ItlRecovery &&
           (tokens ? state.release.keeps_publisher_sast() : state.release.has_itl_recovery());
}

bool waits_for_ctl(const State& state, const StoredCertificate& stored) {
    const Node* node = state.find_node(stored.node);
    return state.mode == Mode::Mixed && stored.settling == Settling::Changed && node != nullptr &&
           stands_in_ctl(state, stored.store, *node);
}

std::string_view remaking_command(const State& state) {
    const Publication* published = state.ctl();
    if (published == nullptr) return "ctlsign cluster mixed-mode";
    if (published->way == Way::Tokens)
        return state.release.takes_tokens() ? "ctlsign cluster update --token"
                                            : "ctlsign cluster update --tokenless";
    const TrustList list = decode_list(ByteView(published->octets));
    const auto sasts = publisher_sasts(state);
    const bool reset = state.release.signs_with_itl_recovery() && sasts.size() == 2 &&
                       !is_sast(list, sasts.front()) && is_sast(list, sasts.back());
    return reset ? kResetLocalKey : "ctlsign cluster update";
}

std::vector<const StoredCertificate*> find_not_in_ctl(const State& state) {
    std::vector<const StoredCertificate*> missing;
    if (state.mode != Mode::Mixed || state.ctl() == nullptr) return missing;
    const TrustList list = decode_list(ByteView(state.ctl()->octets));
    for (const StoredCertificate& stored : state.certificates) {
        const Node* node = state.find_node(stored.node);
        if (node == nullptr || !stands_in_ctl(state, stored.store, *node)) continue;
        const bool held = std::ranges::any_of(list.records(), [&](const Record& record) {
            return fits(record.role(), stored.store) && is_of(record, stored.certificate);
        });
        if (!held) missing.push_back(&stored);
    }
    return missing;
}

std::vector<std::string> describe_not_in_ctl(const State& state) {
    std::vector<std::string> lines;
    for (const StoredCertificate* stored : find_not_in_ctl(state))
        lines.push_back(fmt::format("the CTL does not hold the {} certificate that {} has now: run {}",
                                    to_text(stored->store), state.find_node(stored->node)->name,
                                    remaking_command(state)));
    return lines;
}

std::string token_name(const sast::Certificate& token) {
    std::string name = token.common_name();
    name.erase(name.find_last_not_of(' ') + 1);
    return printable(name);
}

std::string token_names(std::span<const sast::Certificate> tokens, std::string_view separator) {
    std::string names;
    for (const auto& token : tokens) {
        if (!names.empty()) names += separator;
        names += token_name(token);
    }
    return names;
}

std::variant<std::vector<RecordDraft>, Refusal> make_records(const State& state, Way way, Mode mode,
                                                             std::span<const sast::Certificate> sasts) {
    const Node* publisher = state.publisher();
    if (publisher == nullptr)
        return Refusal{ClusterRule::CertificatesThere,
                       "the cluster has no publisher: add it with cluster node add --publisher",
                       std::nullopt};
    const StoredCertificate* capf = state.find_own(Store::Capf, *publisher);
    if (capf == nullptr) return missing_certificate(Store::Capf, *publisher);

    const Layouter layouter(*publisher, way, mode);
    std::vector<RecordDraft> records;
    const auto add_sast = [&](const sast::Certificate& certificate) {
        records.push_back(way == Way::Tokens ? layouter.token(certificate)
                                             : layouter.publisher_sast(certificate));
    };
    // The CTL client begins with one token and puts the others behind the servers; the publisher's own stand
    // together.
    const std::size_t leading = way == Way::Tokens ? std::min<std::size_t>(1, sasts.size()) : sasts.size();
    for (const auto& certificate : sasts.first(leading)) add_sast(certificate);
    for (const Node& node : state.nodes) {
        const StoredCertificate* own = state.find_own(Store::CallManager, node);
        if (own == nullptr) return missing_certificate(Store::CallManager, node);
        records.push_back(layouter.call_manager(own->certificate, node));
        if (&node == publisher) records.push_back(layouter.capf(capf->certificate));
    }
    for (const auto& certificate : sasts.subspan(leading)) add_sast(certificate);
    if (way == Way::Tokens && state.release.keeps_publisher_sast()) {
        const auto publishers = publisher_sasts(state);
        if (publishers.size() < 2)
            return missing_certificate(state.find_own(Store::CallManager, *publisher) == nullptr
                                           ? Store::CallManager
                                           : Store::ItlRecovery,
                                       *publisher);
        for (const auto& certificate : publishers) records.push_back(layouter.publisher_sast(certificate));
    }
    return records;
}

}  // namespace ctlsign::cluster
