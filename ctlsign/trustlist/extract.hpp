#pragma once

#include <string>
#include <vector>

#include <ctlsign/trustlist/manifest.hpp>
#include <ctlsign/trustlist/model.hpp>
#include <sast/certificate.hpp>

namespace ctlsign {

/// The recipe of a list and what it refers to.
struct Extracted {
    struct File {
        std::string path;  ///< relative to the manifest, "certificates/NAME.pem"
        sast::Certificate certificate;
    };
    Manifest manifest;
    std::vector<File> certificates;  ///< each certificate once
    std::string signer;  ///< path of the signer's among them; empty when the list does not hold it
};

/// A manifest that builds LIST again, with overrides only where a certificate does not say it, and a raw
/// record only where no key of a manifest can. Throws Error with Errc::Unencodable when its header holds what
/// a manifest cannot say.
Extracted extract(const TrustList& list);

/// The order of the elements of LIST's header, which its records share in every file known.
Layout recognise_layout(const TrustList& list) noexcept;

}  // namespace ctlsign
