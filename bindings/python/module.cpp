#include <bindings/python/python.hpp>

// The functions of the package ctlsign. Docstrings begin with the signature that inspect.signature() and
// help() show; the types are in ctlsign/_ctlsign.pyi.
PYBIND11_MODULE(_ctlsign, module) {
    pybind11::options options;
    options.disable_function_signatures();
    module.doc() = "What the package ctlsign is made of.";
    ctlsign::python::add_errors(module);
    ctlsign::python::add_certificate(module);
    ctlsign::python::add_token(module);
    ctlsign::python::add_watcher(module);
    ctlsign::python::add_signer(module);
    ctlsign::python::add_trust_list(module);
    ctlsign::python::add_verdict(module);
    ctlsign::python::add_manifest(module);
    ctlsign::python::add_signing(module);
}
