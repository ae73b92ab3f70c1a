#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <ctlsign/phone/model.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/model.hpp>
#include <sast/certificate.hpp>

namespace ctlsign::phone {

/// The file that a list was fetched as: the two are of one format.
enum class ListKind { Ctl, Itl };

/// A signer that TVS has vouched for.
struct CachedSigner {
    SignerId signer;
    sast::Certificate certificate;
    std::chrono::sys_seconds expires;
    std::chrono::seconds ttl{86400};  ///< as TVS said
};

/// What a phone holds. Lists are shared: a cluster's phones hold few different ones.
struct Installed {
    std::shared_ptr<const TrustList> ctl, itl;
    std::vector<CachedSigner> cache;

    /// Puts LIST in its place. The cache goes with any change.
    void take(std::shared_ptr<const TrustList> list, ListKind kind);
    /// Whether a server that presents CERTIFICATE may answer: a TVS record of the ITL holds it, or its hash.
    bool trusts_tvs(const sast::Certificate& certificate) const;
};

/// One phone, as far as it decides about lists.
struct Device {
    Model model;
    Installed installed;
};

/// What "Prepare cluster for rollback to pre-8.0" serves: neither a TVS nor a TFTP record has a certificate.
bool is_rollback_itl(const TrustList& itl) noexcept;

/// What a phone does for the sake of its CTL: with a certificate in a TFTP or CCM+TFTP record it asks for
/// signed configuration, without one it registers unsecured.
enum class Registration { Signed, Unsecured };
Registration registration_of(const TrustList& ctl) noexcept;

}  // namespace ctlsign::phone
