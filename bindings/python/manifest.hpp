#pragma once

#include <bindings/python/python.hpp>
#include <ctlsign/trustlist/manifest.hpp>

namespace ctlsign::python {

/// A manifest, and what finds the files that it names.
struct LoadedManifest {
    Manifest manifest;
    CertificateLoader load;

    /// The draft for the holder of SIGNER: signed at TIME, else when the manifest says, else now.
    ListDraft draft(const sast::Certificate& signer, const py::object& time) const;
};

}  // namespace ctlsign::python
