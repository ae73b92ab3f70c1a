#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/cluster/release.hpp>
#include <ctlsign/trustlist/model.hpp>
#include <sast/certificate.hpp>

namespace ctlsign::cluster {

/// ClusterSecurityMode of processconfig.
enum class Mode { NonSecure = 0, Mixed = 1 };
std::string_view to_text(Mode mode) noexcept;  ///< "non-secure", "mixed"

/// Who signs the cluster's CTL: the publisher's key, or security tokens.
enum class Way { Tokenless, Tokens };
std::string_view to_text(Way way) noexcept;  ///< "tokenless", "tokens"
std::optional<Way> find_way(std::string_view text) noexcept;

enum class Place { Publisher, Subscriber };

/// A server of the cluster, and how its TFTP files are reached.
struct Node {
    std::int64_t id = 0;
    std::string name;
    Bytes address;  ///< 4 or 16 octets
    Place place = Place::Subscriber;
    Role role = Role::CcmTftp;            ///< CCM, CCM+TFTP or TFTP
    std::string target;                   ///< where its TFTP files are: a folder, or an sftp:// address
    std::string host_key;                 ///< of an sftp:// address, "SHA256:..."
    std::optional<std::string> identity;  ///< a private key for it, instead of the SSH agent's
};

/// The certificate stores of a Unified CM. Own certificates belong to a node and have a private key; the
/// others are trusted by the whole cluster.
enum class Store {
    CallManager,
    Capf,
    Tvs,
    ItlRecovery,
    Tomcat,
    Ipsec,
    CallManagerTrust,
    PhoneSastTrust,
    CapfTrust,
    TomcatTrust,
    IpsecTrust,
    PhoneTrust,
    PhoneCtlTrust,
    PhoneVpnTrust,
};
std::string_view to_text(Store store) noexcept;                   ///< "Phone-SAST-trust"
std::optional<Store> find_store(std::string_view name) noexcept;  ///< in either case
bool is_own(Store store) noexcept;  ///< it holds the certificates of servers, with their keys

/// How far it has gone that phones know of a server's own certificate. The numbers stand in databases.
enum class Settling {
    Settled = 0,    ///< they do
    Changed = 1,    ///< it took the place of another
    Published = 2,  ///< and stands in a CTL that came since: phones learn of it when they are reset
};

/// A certificate and the store that it stands in.
struct StoredCertificate {
    std::int64_t id = 0;
    Store store{};
    std::optional<std::int64_t> node;  ///< of an own certificate
    sast::Certificate certificate;
    std::optional<std::string> key;  ///< where its private key is: a file, or a PKCS#11 URI
    Settling settling = Settling::Settled;
};

/// What became of a token; InUse: it stands in the CTL, or is about to.
enum class TokenState { InUse, Lost, Locked, Forgotten, Retired };
std::string_view to_text(
    TokenState state) noexcept;  ///< "in use", "lost", "locked", "PIN forgotten", "retired"
std::optional<TokenState> find_token_state(std::string_view text) noexcept;

/// A security token that has stood in a CTL of this cluster, or is about to.
struct KnownToken {
    std::int64_t id = 0;
    std::string label, serial;
    sast::Certificate certificate;
    TokenState state = TokenState::InUse;
};

/// A CTL that was put on every node, or taken from every node (no octets).
struct Publication {
    std::int64_t id = 0;
    std::int64_t time = 0;  ///< Unix seconds
    std::string operation;
    Way way = Way::Tokenless;
    Mode mode = Mode::NonSecure;
    Bytes octets;
};

/// What is known of a cluster at one moment.
struct State {
    std::string name;
    Release release;
    Mode mode = Mode::NonSecure;
    bool prepared_for_rollback = false;  ///< the parameter "Prepare cluster for rollback to pre-8.0"
    std::vector<Node> nodes;             ///< the publisher first
    std::vector<StoredCertificate> certificates;
    std::vector<KnownToken> tokens;
    std::optional<Publication> last;  ///< the last CTL that was published
    bool deleted = false;             ///< it was taken from the nodes since

    /// The CTL that the nodes serve.
    const Publication* ctl() const noexcept { return last && !deleted ? &*last : nullptr; }
    /// Null where there is none, as of the others; what is found lives as long as this state is not changed.
    const Node* publisher() const noexcept;
    const Node* find_node(std::string_view node_name) const noexcept;
    const KnownToken* find_token(const sast::Certificate& certificate) const noexcept;
    /// By a node's id; no id is no node.
    const Node* find_node(std::optional<std::int64_t> id) const noexcept;
    /// NODE's own certificate in STORE.
    const StoredCertificate* find_own(Store store, const Node& node) const noexcept;
    /// Whether CERTIFICATE stands in STORE, of whichever node.
    bool holds(Store store, const sast::Certificate& certificate) const noexcept;
};

}  // namespace ctlsign::cluster
