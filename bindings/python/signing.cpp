#include <bindings/python/manifest.hpp>
#include <bindings/python/signer.hpp>
#include <bindings/python/trust_list.hpp>
#include <ctlsign/trustlist/sign.hpp>
#include <pkcs11/store.hpp>

namespace ctlsign::python {

namespace {

py::bytes sign_draft(const ListDraft& draft, OpenSigner& signer) {
    return to_bytes(signer.use([&](sast::Signer& key) { return sign_list(draft, key); }));
}

py::bytes build(const LoadedManifest& manifest, OpenSigner& signer, const py::object& time) {
    return sign_draft(to_draft(manifest, signer.facts().certificate, time), signer);
}

py::bytes resign(const TrustList& list, OpenSigner& signer, const py::object& time) {
    return sign_draft(make_resign_draft(list, signer.facts().certificate, to_timestamp(time)), signer);
}

py::bytes attach_signature(const Octets& prepared, const Octets& signature,
                           const std::optional<sast::Certificate>& certificate, const py::object& digest) {
    AttachChecks checks{certificate, std::nullopt};
    if (!digest.is_none()) {
        Octets approved;
        if (!approved.open(digest)) throw py::error_already_set();
        checks.digest = Bytes(approved.view().begin(), approved.view().end());
    }
    return to_bytes(attach(prepared.view(), signature.view(), checks));
}

template <typename Value>
Value get_choice(std::optional<Value> found, const char* name) {
    if (!found) throw py::value_error(std::string("not a ") + name);
    return *found;
}

py::bytes sign_config(const Octets& payload, const std::string& filename, OpenSigner& signer,
                      const std::string& digest, const std::string& name_style, const std::string& layout,
                      const py::object& time) {
    const HeaderDraft header = make_sgn_header(signer.facts().certificate, filename, to_digest(digest),
                                               get_choice(find_name_style(name_style), "name style"),
                                               get_choice(find_layout(layout), "layout"), to_timestamp(time));
    return to_bytes(signer.use([&](sast::Signer& key) { return sign_payload(header, payload.view(), key); }));
}

}  // namespace

void add_signing(py::module_& module) {
    py::class_<Prepared>(module, "Prepared", "A list whose signature is made elsewhere.")
        .def_property_readonly(
            "octets", [](const Prepared& self) { return to_bytes(self.octets); }, "What is to be signed.")
        .def_property_readonly(
            "digest", [](const Prepared& self) { return to_bytes(self.digest); },
            "Its digest, to be approved.");

    module.def(
        "build", &build, "manifest"_a, "signer"_a, py::kw_only(), "time"_a = py::none(),
        "build(manifest, signer, *, time=None)\n--\n\n"
        "The finished list: made, signed once, verified. The time of signing is the one given, else the\n"
        "manifest's, else now. What can fail without the PIN fails before it is asked for.");
    module.def("resign", &resign, "trust_list"_a, "signer"_a, py::kw_only(), "time"_a = py::none(),
               "resign(trust_list, signer, *, time=None)\n--\n\n"
               "The list with its records as they stand, signed anew by another of its SASTs.");
    module.def(
        "prepare",
        [](const LoadedManifest& manifest, const sast::Certificate& certificate, const py::object& time) {
            return prepare(to_draft(manifest, certificate, time));
        },
        "manifest"_a, "certificate"_a, py::kw_only(), "time"_a = py::none(),
        "prepare(manifest, certificate, *, time=None)\n--\n\n"
        "What the holder of the certificate has to sign, where the signature is made elsewhere.");
    module.def("attach", &attach_signature, "prepared"_a, "signature"_a, py::kw_only(),
               "certificate"_a = py::none(), "digest"_a = py::none(),
               "attach(prepared, signature, *, certificate=None, digest=None)\n--\n\n"
               "The finished list from Prepared.octets and a raw signature, which is verified with the "
               "certificate,\n"
               "else with the signer's record. Any digest but the approved one is refused.");
    module.def(
        "sign_config", &sign_config, "payload"_a, "filename"_a, "signer"_a, py::kw_only(),
        "digest"_a = "sha1", "name_style"_a = "callmanager", "layout"_a = "cucm", "time"_a = py::none(),
        "sign_config(payload, filename, signer, *, digest='sha1', name_style='callmanager', layout='cucm', "
        "time=None)\n--\n\n"
        "A configuration file behind a signed header, verified; the filename ends in .sgn. SgnFile.payload\n"
        "takes it off again.");
    module.def(
        "store",
        [](const py::object& path, const Octets& data) {
            without_python([file = to_path(path), octets = data.view()] { store_file(file, octets); });
        },
        "path"_a, "data"_a,
        "store(path, data)\n--\n\nPuts a file on the disk, whole or not at all, and flushes it.");
}

}  // namespace ctlsign::python
