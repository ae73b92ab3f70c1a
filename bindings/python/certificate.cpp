#include <pybind11/operators.h>

#include <bindings/python/python.hpp>
#include <ctlsign/files/certificates.hpp>
#include <sast/certificate.hpp>

namespace ctlsign::python {

using sast::Certificate;

namespace {

constexpr const char* kName = "the certificate given";

}  // namespace

void add_certificate(py::module_& module) {
    py::class_<Certificate>(module, "Certificate", "An X.509 certificate.")
        .def_static(
            "decode", [](const Octets& data) { return decode_certificates(data.view(), kName).front(); },
            "data"_a, "decode(data)\n--\n\nThe certificate in DER, or the first of a PEM text.")
        .def_static(
            "decode_all", [](const Octets& data) { return decode_certificates(data.view(), kName); },
            "data"_a, "decode_all(data)\n--\n\nThe certificate in DER, or each of a PEM text; at least one.")
        .def_property_readonly(
            "der", [](const Certificate& self) { return to_bytes(self.der()); }, "The certificate itself.")
        .def_property_readonly(
            "serial", [](const Certificate& self) { return to_bytes(self.serial()); },
            "The serial number's octets, big-endian, as encoded.")
        .def_property_readonly(
            "subject", [](const Certificate& self) { return to_str(self.subject_text()); },
            "\"CN=...,O=...\" as RFC 2253 writes it.")
        .def_property_readonly(
            "issuer", [](const Certificate& self) { return to_str(self.issuer_text()); },
            "The same of the issuer.")
        .def_property_readonly(
            "common_name", [](const Certificate& self) { return to_str(self.common_name()); },
            "The subject's first common name; empty when it has none.")
        .def_property_readonly(
            "not_before", [](const Certificate& self) { return to_datetime(self.not_before()); },
            "Valid from, in UTC.")
        .def_property_readonly(
            "not_after", [](const Certificate& self) { return to_datetime(self.not_after()); },
            "Valid until, in UTC.")
        .def_property_readonly(
            "key_bits", [](const Certificate& self) { return self.key_bits(); },
            "Of the RSA modulus or the EC field; 0 when unknown.")
        .def("to_pem", &Certificate::to_pem, "to_pem(self)\n--\n\nThe certificate as PEM text.")
        .def(py::self == py::self)
        .def("__hash__", [](const Certificate& self) { return py::hash(to_bytes(self.der())); })
        .def("__repr__", [](const Certificate& self) {
            return py::str("<ctlsign.Certificate {}>").format(to_str(self.subject_text()));
        });
}

}  // namespace ctlsign::python
