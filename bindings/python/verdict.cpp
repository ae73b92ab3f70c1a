#include <bindings/python/trust_list.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/show.hpp>

namespace ctlsign::python {

namespace {

Verdict verify_file(const AnyFile& file, const std::vector<std::shared_ptr<TrustList>>& installed,
                    const std::vector<sast::Certificate>& certificates, const py::object& time) {
    std::vector<TrustList> lists;  // side by side, as the library wants them
    lists.reserve(installed.size());
    for (const auto& list : installed) lists.push_back(decode_list(list->octets()));
    const std::chrono::sys_seconds at{std::chrono::seconds(to_timestamp(time))};
    return std::visit([&](const auto& one) { return verify(*one, {lists, certificates}, at); }, file);
}

std::string show_file(const AnyFile& file, const std::optional<Verdict>& verdict,
                      const std::optional<std::string>& modified) {
    return std::visit(
        [&](const auto& one) { return show(*one, verdict ? *verdict : verify(*one, {}, now()), modified); },
        file);
}

void add_warning(py::module_& module) {
    py::class_<Warning>(module, "VerdictWarning", "What a verdict draws attention to.")
        .def_property_readonly(
            "caution", [](const Warning& self) { return to_enum("Caution", to_text(self.caution)); },
            "What about.")
        .def_readonly("record", &Warning::record, "The record, counted from 0; None for the file.")
        .def_readonly("value", &Warning::value, "Unix seconds of an expiry, bits of a key, octets.")
        .def("__str__", [](const Warning& self) { return to_str(to_text(self)); });
}

void add_signer_id(py::module_& module) {
    py::class_<SignerId>(module, "SignerId", "A signer as a header names it, as stored.")
        .def_property_readonly(
            "name", [](const SignerId& self) { return to_str(self.name); }, "SIGNERNAME.")
        .def_property_readonly(
            "issuer", [](const SignerId& self) { return to_str(self.issuer); }, "CANAME.")
        .def_property_readonly(
            "serial", [](const SignerId& self) { return to_bytes(self.serial); }, "SERIALNUMBER.");
}

}  // namespace

void add_verdict(py::module_& module) {
    add_warning(module);
    add_signer_id(module);
    py::class_<Verdict>(
        module, "Verdict",
        "Whether a file is signed by whom it says. True when it is trusted; str() gives one line of why.")
        .def_property_readonly(
            "outcome", [](const Verdict& self) { return to_enum("Outcome", to_text(self.outcome)); },
            "The answer.")
        .def_property_readonly(
            "rule", [](const Verdict& self) { return to_enum("Rule", to_text(self.rule)); },
            "The rule that decided.")
        .def_property_readonly(
            "basis", [](const Verdict& self) { return to_enum("Basis", to_text(self.basis)); },
            "Where the key came from. FILE_ITSELF says nothing about trust.")
        .def_readonly("signer", &Verdict::signer, "As the header names it.")
        .def_readonly("installed", &Verdict::list, "Which installed list holds the signer; None for none.")
        .def_readonly("record", &Verdict::record, "The signer's record there, or in the file, from 0.")
        .def_readonly("certificate", &Verdict::certificate, "Which certificate given is the signer's.")
        .def_readonly("warnings", &Verdict::warnings, "What else there is to know.")
        .def_property_readonly(
            "trusted", &Verdict::trusted,
            "Verified with a key that was given, not only with one that the file itself brings.")
        .def("__bool__", &Verdict::trusted)
        .def("__str__", [](const Verdict& self) { return to_str(to_text(self)); })
        .def("__repr__",
             [](const Verdict& self) { return py::str("<ctlsign.Verdict {}>").format(to_text(self.rule)); });

    module.def(
        "verify", &verify_file, "file"_a, py::kw_only(), "installed"_a = py::tuple(),
        "certificates"_a = py::tuple(), "time"_a = py::none(),
        "verify(file, *, installed=(), certificates=(), time=None)\n--\n\n"
        "By whom a file is signed, as one would answer who trusts the lists and certificates given. Without\n"
        "them a trust list is checked against itself, which proves nothing about trust. The time, that of\n"
        "now, serves the warnings about expiry alone.");
    module.def(
        "show",
        [](const AnyFile& file, const std::optional<Verdict>& verdict,
           const std::optional<std::string>& modified) { return to_str(show_file(file, verdict, modified)); },
        "file"_a, "verdict"_a = py::none(), py::kw_only(), "modified"_a = py::none(),
        "show(file, verdict=None, *, modified=None)\n--\n\n"
        "The file as `show ctl` prints it. Without a verdict it is checked against itself; without the time "
        "when\n"
        "it was modified, a text, that line is left out.");
}

}  // namespace ctlsign::python
