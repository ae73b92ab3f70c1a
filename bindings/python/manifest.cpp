#include <filesystem>

#include <bindings/python/manifest.hpp>
#include <ctlsign/files/certificates.hpp>
#include <ctlsign/files/load.hpp>

namespace ctlsign::python {

ListDraft to_draft(const LoadedManifest& manifest, const sast::Certificate& signer, const py::object& time) {
    const auto& own = manifest.manifest.timestamp;
    const std::uint32_t timestamp = time.is_none() && own ? *own : to_timestamp(time);
    return without_python([&] { return make_draft(manifest.manifest, manifest.load, signer, timestamp); });
}

void add_manifest(py::module_& module) {
    py::class_<LoadedManifest>(
        module, "Manifest", "The recipe of a trust list but for its signer: TOML. Paths are relative to it.")
        .def_static(
            "load",
            [](const py::object& path) {
                const std::string file = to_path(path);
                const Bytes octets = load_file(file, kMaxFileSize).bytes;
                return LoadedManifest{
                    decode_manifest(as_text(octets), file),
                    make_certificate_loader(std::filesystem::path(file).parent_path().string())};
            },
            "path"_a, "load(path)\n--\n\nReads the file.")
        .def_static(
            "decode",
            [](const std::string& toml, const py::object& folder) {
                return LoadedManifest{decode_manifest(toml, "the manifest"),
                                      make_certificate_loader(to_path(folder))};
            },
            "toml"_a, "folder"_a = ".",
            "decode(toml, folder='.')\n--\n\nReads a text that names files in the folder.")
        .def_property_readonly(
            "filename", [](const LoadedManifest& self) { return to_str(self.manifest.filename); },
            "The name that the list will hold.")
        .def_property_readonly(
            "digest",
            [](const LoadedManifest& self) { return to_enum("Digest", to_text(self.manifest.digest)); },
            "What will be signed with.")
        .def_property_readonly(
            "timestamp",
            [](const LoadedManifest& self) {
                return self.manifest.timestamp ? to_datetime(*self.manifest.timestamp) : py::none();
            },
            "When it is to be signed, in UTC; None leaves that to build().")
        .def("__repr__", [](const LoadedManifest& self) {
            return py::str("<ctlsign.Manifest of {}, {} records>")
                .format(to_str(self.manifest.filename), self.manifest.records.size());
        });
}

}  // namespace ctlsign::python
