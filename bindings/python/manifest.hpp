#pragma once

#include <bindings/python/python.hpp>
#include <ctlsign/trustlist/manifest.hpp>

namespace ctlsign::python {

/// The draft of MANIFEST's list for the holder of SIGNER: signed at TIME, else when the manifest says, else
/// now.
ListDraft to_draft(const LoadedManifest& manifest, const sast::Certificate& signer, const py::object& time);

}  // namespace ctlsign::python
