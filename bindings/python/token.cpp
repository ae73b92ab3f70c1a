#include <bindings/python/error.hpp>
#include <bindings/python/token.hpp>
#include <pkcs11/session.hpp>
#include <sast/identity.hpp>

namespace ctlsign::python {

using pkcs11::Module;
using pkcs11::PinStatus;
using pkcs11::Token;
using sast::Identity;

namespace {

std::chrono::milliseconds to_duration(double seconds) {
    if (!(seconds > 0 && seconds <= 86400)) throw py::value_error("a deadline is up to a day, in seconds");
    return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

void warn(const std::vector<Module::Failure>& failures) {
    const auto category = py::module_::import("ctlsign.errors").attr("ModuleWarning");
    for (const auto& failure : failures) {
        if (PyErr_WarnEx(category.ptr(), ("module left out: " + failure.reason).c_str(), 1) != 0)
            throw py::error_already_set();
    }
}

std::vector<std::shared_ptr<Module>> open_native(const std::optional<std::string>& path,
                                                 const std::optional<pkcs11::Uri>& uri,
                                                 const std::optional<Module::Isolation>& isolation) {
    std::vector<Module::Failure> failures;
    const auto modules =
        released(without_python([&] { return sast::open_modules(path, uri, isolation, failures); }));
    warn(failures);
    return std::move(*modules);
}

std::vector<std::shared_ptr<OpenModule>> open_modules(const std::optional<std::string>& path,
                                                      const std::optional<std::string>& uri, bool isolated,
                                                      double deadline) {
    std::optional<pkcs11::Uri> named;
    if (uri) named = pkcs11::Uri::parse(*uri);
    // A command that serves a module has a process of its own anyway.
    std::optional<Module::Isolation> isolation;
    if (isolated || (path && path->starts_with('|'))) isolation = Module::Isolation{to_duration(deadline)};
    std::vector<std::shared_ptr<OpenModule>> opened;
    for (auto& module : open_native(path, named, isolation))
        opened.push_back(std::make_shared<OpenModule>(std::move(module)));
    return opened;
}

std::vector<Token> list_tokens(const Modules& modules) {
    const auto native = released(to_native(modules, std::nullopt));
    return without_python([&] { return sast::list_tokens(*native); });
}

template <typename Work>
auto ask(const Token& token, Work work) {
    return without_python([&] { return about(token, work); });
}

py::object pin_state(pkcs11::PinState state) {
    return to_enum("PinState", to_text(state));
}

void add_module(py::module_& module) {
    py::class_<OpenModule, std::shared_ptr<OpenModule>>(
        module, "Module",
        "A PKCS#11 module. It is finalized when it was closed and nothing that came from it is left.")
        .def_property_readonly(
            "path", [](const OpenModule& self) { return to_str(self.path()); },
            "Its file; \"|COMMAND\" when a command serves it.")
        .def(
            "tokens",
            [](const OpenModule& self) {
                const auto own = released(std::shared_ptr(self.get()));
                return without_python([&] { return (*own)->tokens(); });
            },
            "tokens(self)\n--\n\nEvery token plugged in and initialised. No login.")
        .def("close", &OpenModule::close, "close(self)\n--\n\nGives the module back. May be called again.")
        .def(
            "__enter__", [](const std::shared_ptr<OpenModule>& self) { return self; },
            "__enter__(self)\n--\n\n")
        .def(
            "__exit__", [](OpenModule& self, const py::args& /*raised*/) { self.close(); },
            "__exit__(self, *raised)\n--\n\n")
        .def("__repr__", [](const OpenModule& self) {
            return py::str("<ctlsign.Module {}>").format(to_str(self.path()));
        });
}

void add_pin_status(py::module_& module) {
    py::class_<PinStatus>(module, "PinStatus", "What a token says of its user PIN at one moment.")
        .def_property_readonly(
            "state", [](const PinStatus& self) { return pin_state(self.state); },
            "The worse of what flags and counter say.")
        .def_property_readonly(
            "tries_left",
            [](const PinStatus& self) { return self.tries ? std::optional(self.tries->left) : std::nullopt; },
            "How many PINs may still be tried; None where the token does not tell.")
        .def_property_readonly(
            "tries_maximum",
            [](const PinStatus& self) {
                return self.tries ? std::optional(self.tries->maximum) : std::nullopt;
            },
            "How many it is after a login.")
        .def("__str__", [](const PinStatus& self) { return to_text(self); });
}

template <auto Member>
py::cpp_function info_text() {
    return [](const Token& self) { return to_str(self.info().*Member); };
}

void add_identity(py::module_& module) {
    py::class_<Identity, Released<Identity>>(
        module, "Identity", "A certificate on a plugged token, found without login: somebody who could sign.")
        .def_readonly("token", &Identity::token, "Where it is.")
        .def_readonly("certificate", &Identity::certificate, "Who it is.")
        .def_property_readonly(
            "key_id", [](const Identity& self) { return to_bytes(self.key_id); },
            "CKA_ID of certificate and key.")
        .def_property_readonly(
            "label", [](const Identity& self) { return to_str(self.label); }, "CKA_LABEL.")
        .def_property_readonly(
            "key_seen", [](const Identity& self) { return self.evidence == sast::KeyEvidence::Seen; },
            "Whether a key with this key_id was seen, private or public. Private keys are often hidden until "
            "login.")
        .def_property_readonly("is_sast", &Identity::is_sast,
                               "A security token of a trust list: its common name begins with \"SAST-\".")
        .def("__repr__", [](const Identity& self) {
            return py::str("<ctlsign.Identity {} on {}>")
                .format(to_str(self.certificate.subject_text()), to_str(self.token.text()));
        });
}

}  // namespace

std::vector<std::shared_ptr<Module>> to_native(const Modules& modules,
                                               const std::optional<pkcs11::Uri>& uri) {
    if (!modules) return open_native(std::nullopt, uri, std::nullopt);
    std::vector<std::shared_ptr<Module>> native;
    for (const auto& module : *modules) native.push_back(module->get());
    return native;
}

Token choose_token(const std::optional<std::string>& name, const Modules& modules) {
    std::optional<sast::TokenName> wanted;
    if (name) wanted = sast::TokenName::parse(*name);
    const auto native = released(to_native(modules, wanted ? wanted->uri() : std::nullopt));
    return without_python([&] { return sast::choose_token(sast::list_tokens(*native), wanted); });
}

void add_token(py::module_& module) {
    add_module(module);
    add_pin_status(module);
    py::class_<Token, Released<Token>> token(
        module, "Token", "A token where it was found. Tokens are equal in whichever slot.");
    add_identity(module);
    token.def_property_readonly("label", info_text<&pkcs11::TokenInfo::label>(), "CK_TOKEN_INFO's label.")
        .def_property_readonly("serial", info_text<&pkcs11::TokenInfo::serial>(),
                               "CK_TOKEN_INFO's serialNumber.")
        .def_property_readonly("manufacturer", info_text<&pkcs11::TokenInfo::manufacturer>(),
                               "CK_TOKEN_INFO's manufacturerID.")
        .def_property_readonly("model", info_text<&pkcs11::TokenInfo::model>(), "CK_TOKEN_INFO's model.")
        .def_property_readonly("hardware_version", info_text<&pkcs11::TokenInfo::hardware_version>(),
                               "\"8.0\".")
        .def_property_readonly("firmware_version", info_text<&pkcs11::TokenInfo::firmware_version>(),
                               "\"8.0\".")
        .def_property_readonly(
            "slot", [](const Token& self) { return static_cast<unsigned long>(self.slot()); },
            "Where it was found; another number may be its slot once it was pulled.")
        .def_property_readonly(
            "module_path", [](const Token& self) { return to_str(self.module()->path()); },
            "The module that showed it.")
        .def_property_readonly(
            "uri", [](const Token& self) { return to_str(pkcs11::Uri::of(self).to_text()); },
            "The PKCS#11 URI (RFC 7512) that names it by label and serial.")
        .def_property_readonly(
            "login_required", [](const Token& self) { return self.info().login_required; },
            "Whether its keys need a PIN.")
        .def_property_readonly(
            "pin_at_reader", [](const Token& self) { return self.info().protected_authentication_path; },
            "Whether the PIN is entered at the reader.")
        .def(
            "identities",
            [](const Token& self) { return ask(self, [&] { return sast::list_identities(self); }); },
            "identities(self)\n--\n\nEvery X.509 certificate on it, an issuer's without a key included. No "
            "login.")
        .def(
            "pin_status",
            [](const Token& self) {
                return ask(self, [&] { return pkcs11::Session::open(self).read_pin_status(); });
            },
            "pin_status(self)\n--\n\nWhat it says of its PIN now. No login, no PIN.")
        .def(
            "mechanisms",
            [](const Token& self) {
                std::vector<std::string> names;
                for (const auto mechanism : ask(self, [&] { return self.mechanisms(); }))
                    names.push_back(to_text(mechanism));
                return names;
            },
            "mechanisms(self)\n--\n\nC_GetMechanismList: \"CKM_RSA_PKCS\", or \"CKM_0x...\".")
        .def(
            "__eq__",
            [](const Token& self, const Token& other) { return self.info().same_token(other.info()); },
            py::is_operator())
        .def("__hash__",
             [](const Token& self) {
                 return py::hash(py::make_tuple(to_str(self.info().manufacturer), to_str(self.info().serial),
                                                to_str(self.info().label)));
             })
        .def("__str__", [](const Token& self) { return to_str(self.text()); })
        .def("__repr__",
             [](const Token& self) { return py::str("<ctlsign.Token {}>").format(to_str(self.text())); });

    module.def(
        "open_modules", &open_modules, "path"_a = py::none(), py::kw_only(), "uri"_a = py::none(),
        "isolated"_a = false, "deadline"_a = 120.0,
        "open_modules(path=None, *, uri=None, isolated=False, deadline=120.0)\n--\n\n"
        "The module in a file, or that \"|COMMAND\" serves; else the one that a PKCS#11 URI names; else each "
        "that\n"
        "p11-kit has configured, with a ModuleWarning for those that do not start. Isolated ones run in a "
        "process\n"
        "of their own: one that hangs for longer than the deadline (seconds), or crashes, costs an Error.");
    module.def(
        "list_tokens", &list_tokens, "modules"_a = py::none(),
        "list_tokens(modules=None)\n--\n\nEvery token plugged in; of the modules given, or of p11-kit's.");
    module.def(
        "find_token", &choose_token, "name"_a = py::none(), "modules"_a = py::none(),
        "find_token(name=None, modules=None)\n--\n\n"
        "The one token with this serial number or label, or that this PKCS#11 URI means; without a name\n"
        "the only one. An Error lists what is there when it is not exactly one.");
}

}  // namespace ctlsign::python
