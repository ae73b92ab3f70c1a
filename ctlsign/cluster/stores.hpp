#pragma once

#include <optional>
#include <string>

#include <ctlsign/cluster/database.hpp>

namespace ctlsign::cluster {

/// Puts CERTIFICATE into a node's own store, in place of the one there, and copies it to the trust stores
/// that Unified CM copies it to: CallManager to CallManager-trust, CAPF to CAPF-trust and CallManager-trust,
/// ipsec and tomcat to theirs. KEY says where the private key is.
void put_own_certificate(Writer& writer, Store store, const Node& node, const sast::Certificate& certificate,
                         const std::optional<std::string>& key);
/// The CTL in OCTETS is published: what it holds is known to phones once they are reset. In the transaction
/// under way.
void publish_certificates(Writer& writer, ByteView octets);
/// Phones are reset: of STATE, they know every own certificate that needs no CTL, or stands in the one
/// published. In the transaction under way.
void settle_certificates(Writer& writer, const State& state);
/// Puts CERTIFICATE into a trust store. False: it was there.
bool add_trusted_certificate(Writer& writer, Store store, const sast::Certificate& certificate);
/// From a trust store.
void delete_certificate(Writer& writer, const StoredCertificate& stored);

}  // namespace ctlsign::cluster
