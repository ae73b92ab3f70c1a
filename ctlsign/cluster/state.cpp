#include <algorithm>
#include <array>
#include <utility>

#include <ctlsign/cluster/state.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::array<std::pair<Store, std::string_view>, 14> kStores{{
    {Store::CallManager, "CallManager"},
    {Store::Capf, "CAPF"},
    {Store::Tvs, "TVS"},
    {Store::ItlRecovery, "ITLRecovery"},
    {Store::Tomcat, "tomcat"},
    {Store::Ipsec, "ipsec"},
    {Store::CallManagerTrust, "CallManager-trust"},
    {Store::PhoneSastTrust, "Phone-SAST-trust"},
    {Store::CapfTrust, "CAPF-trust"},
    {Store::TomcatTrust, "tomcat-trust"},
    {Store::IpsecTrust, "ipsec-trust"},
    {Store::PhoneTrust, "phone-trust"},
    {Store::PhoneCtlTrust, "phone-ctl-trust"},
    {Store::PhoneVpnTrust, "phone-vpn-trust"},
}};

constexpr std::array<std::string_view, 5> kTokenStates{"in use", "lost", "locked", "PIN forgotten",
                                                       "retired"};

char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

std::string_view to_text(Mode mode) noexcept {
    return mode == Mode::Mixed ? "mixed" : "non-secure";
}

std::string_view to_text(Way way) noexcept {
    return way == Way::Tokens ? "tokens" : "tokenless";
}

std::optional<Way> find_way(std::string_view text) noexcept {
    for (const Way way : {Way::Tokenless, Way::Tokens})
        if (text == to_text(way)) return way;
    return std::nullopt;
}

std::string_view to_text(Store store) noexcept {
    return kStores[static_cast<std::size_t>(store)].second;
}

std::optional<Store> find_store(std::string_view name) noexcept {
    const auto same = [&](const auto& entry) {
        return std::ranges::equal(name, entry.second, {}, lower, lower);
    };
    const auto found = std::ranges::find_if(kStores, same);
    if (found == kStores.end()) return std::nullopt;
    return found->first;
}

bool is_own(Store store) noexcept {
    return store <= Store::Ipsec;
}

std::string_view to_text(TokenState state) noexcept {
    return kTokenStates[static_cast<std::size_t>(state)];
}

std::optional<TokenState> find_token_state(std::string_view text) noexcept {
    const auto found = std::ranges::find(kTokenStates, text);
    if (found == kTokenStates.end()) return std::nullopt;
    return static_cast<TokenState>(found - kTokenStates.begin());
}

const Node* State::publisher() const noexcept {
    const auto found = std::ranges::find(nodes, Place::Publisher, &Node::place);
    return found == nodes.end() ? nullptr : &*found;
}

const Node* State::find_node(std::string_view node_name) const noexcept {
    const auto found = std::ranges::find(nodes, node_name, &Node::name);
    return found == nodes.end() ? nullptr : &*found;
}

const KnownToken* State::find_token(const sast::Certificate& certificate) const noexcept {
    const auto found = std::ranges::find(tokens, certificate, &KnownToken::certificate);
    return found == tokens.end() ? nullptr : &*found;
}

const Node* State::find_node(std::optional<std::int64_t> id) const noexcept {
    const auto found = std::ranges::find_if(nodes, [&](const Node& node) { return node.id == id; });
    return found == nodes.end() ? nullptr : &*found;
}

const StoredCertificate* State::find_own(Store store, const Node& node) const noexcept {
    const auto found = std::ranges::find_if(certificates, [&](const StoredCertificate& stored) {
        return stored.store == store && stored.node == node.id;
    });
    return found == certificates.end() ? nullptr : &*found;
}

bool State::holds(Store store, const sast::Certificate& certificate) const noexcept {
    return std::ranges::any_of(certificates, [&](const StoredCertificate& stored) {
        return stored.store == store && stored.certificate == certificate;
    });
}

}  // namespace ctlsign::cluster
