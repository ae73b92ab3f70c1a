#include <variant>

#include <bindings/python/signer.hpp>
#include <bindings/python/token.hpp>
#include <sast/publisher_signer.hpp>
#include <sast/token_signer.hpp>

namespace ctlsign::python {

using sast::Identity;
using sast::PublisherSigner;
using sast::TokenSigner;

namespace {

/// A signer of the kind that Python knows it to be.
template <typename Native>
class Open final : public OpenSigner {
  public:
    using OpenSigner::OpenSigner;
    void unlock() override {
        use_native([](Native& signer) { signer.unlock(); });
    }
    template <typename Work>
    auto use_native(Work work) {
        return use([&](sast::Signer& signer) { return work(static_cast<Native&>(signer)); });
    }
};
using OpenToken = Open<TokenSigner>;
using OpenKeyFile = Open<PublisherSigner>;

// What names a token, or already is it.
using TokenChoice = std::variant<std::string, pkcs11::Token, Identity>;

Identity choose_identity(const std::optional<TokenChoice>& choice, const Modules& modules,
                         const std::optional<sast::Certificate>& certificate) {
    if (choice && std::holds_alternative<Identity>(*choice)) return std::get<Identity>(*choice);
    const bool named = !choice || std::holds_alternative<std::string>(*choice);
    std::optional<std::string> name;
    if (choice && named) name = std::get<std::string>(*choice);
    std::optional<pkcs11::Uri> uri;
    if (name && pkcs11::Uri::looks_like(*name)) uri = pkcs11::Uri::parse(*name);
    const auto token = released(named ? choose_token(name, modules) : std::get<pkcs11::Token>(*choice));
    return without_python(
        [&] { return about(*token, [&] { return sast::choose_identity(*token, uri, certificate); }); });
}

// RFC 7512's pin-source of the name, when it is a URI that has one.
std::unique_ptr<sast::PinSource> find_pin_source(const std::optional<TokenChoice>& choice) {
    const auto* name = choice ? std::get_if<std::string>(&*choice) : nullptr;
    if (name == nullptr || !pkcs11::Uri::looks_like(*name)) return nullptr;
    const auto source = pkcs11::Uri::parse(*name).pin_source();
    return source ? sast::make_pin_source(*source) : nullptr;
}

std::unique_ptr<OpenToken> open_token(const std::optional<TokenChoice>& choice, py::object pin,
                                      const Modules& modules,
                                      const std::optional<sast::Certificate>& certificate, double wait,
                                      py::object on_wait, py::object on_reader, bool use_final_try) {
    if (!(wait >= 0 && wait <= 86400)) throw py::value_error("wait is up to a day, in seconds");
    auto callbacks = std::make_unique<Callbacks>(std::move(pin), std::move(on_wait), std::move(on_reader),
                                                 find_pin_source(choice));
    sast::TokenPolicy policy;
    policy.final_try = use_final_try ? pkcs11::FinalTry::Spend : pkcs11::FinalTry::Refuse;
    policy.wait = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(wait));
    policy.on_wait = [own = callbacks.get()](const pkcs11::Token& token) { own->tell_to_put_back(token); };
    policy.on_pause = check_signals;
    const auto identity = released(choose_identity(choice, modules, certificate));
    auto signer = without_python([&] {
        return about(identity->token,
                     [&] { return std::make_unique<TokenSigner>(*identity, *callbacks, std::move(policy)); });
    });
    return std::make_unique<OpenToken>(std::move(callbacks), std::move(signer), std::move(*identity));
}

std::unique_ptr<OpenKeyFile> open_key_file(const std::string& path, py::object passphrase,
                                           const std::optional<sast::Certificate>& certificate) {
    auto callbacks = std::make_unique<Callbacks>(std::move(passphrase), py::none(), py::none(), nullptr);
    auto signer = without_python([&] { return PublisherSigner::open(path, certificate, *callbacks); });
    return std::make_unique<OpenKeyFile>(std::move(callbacks), std::move(signer), std::nullopt);
}

// Nothing while OBJECT is made or unmade.
OpenSigner* find_signer(PyObject* object) {
    const auto value = reinterpret_cast<py::detail::instance*>(object)->get_value_and_holder();
    return value.holder_constructed() ? py::cast<OpenSigner*>(py::handle(object)) : nullptr;
}

// Callbacks are often methods of what holds the signer; Python finds such circles.
void collect_garbage(PyHeapTypeObject* heap_type) {
    PyTypeObject& type = heap_type->ht_type;
    type.tp_flags |= Py_TPFLAGS_HAVE_GC;
    type.tp_traverse = [](PyObject* object, visitproc visit, void* arg) {
        Py_VISIT(Py_TYPE(object));
        OpenSigner* signer = find_signer(object);
        return signer != nullptr ? signer->callbacks().traverse(visit, arg) : 0;
    };
    type.tp_clear = [](PyObject* object) {
        if (OpenSigner* signer = find_signer(object)) signer->callbacks().clear();
        return 0;
    };
}

void add_base(py::module_& module) {
    py::class_<OpenSigner>(
        module, "Signer",
        "Who signs. Opening one spends no PIN; the first signature asks for it, once. Threads\n"
        "may share it: they sign one after the other.",
        py::custom_type_setup(collect_garbage))
        .def_property_readonly(
            "certificate", [](const OpenSigner& self) { return self.facts().certificate; },
            "Whose key it is.")
        .def_property_readonly(
            "description", [](const OpenSigner& self) { return to_str(self.facts().description); },
            "The token with label and serial, or the file.")
        .def_property_readonly(
            "key_bits", [](const OpenSigner& self) { return self.facts().key_bits; }, "Of the RSA modulus.")
        .def_property_readonly(
            "signature_length", [](const OpenSigner& self) { return self.facts().signature_length; },
            "Octets of every signature.")
        .def(
            "sign",
            [](OpenSigner& self, const Octets& data, const std::string& digest) {
                const Digest wanted = to_digest(digest);
                return to_bytes(
                    self.use([&](sast::Signer& signer) { return signer.sign(wanted, data.view()); }));
            },
            "data"_a, "digest"_a,
            "sign(self, data, digest)\n--\n\n"
            "The signature of the data (RSASSA-PKCS1-v1_5), verified with the certificate's key.")
        .def("unlock", &OpenSigner::unlock,
             "unlock(self)\n--\n\nAsks for the PIN or passphrase now; else the first signature does.")
        .def("close", &OpenSigner::close,
             "close(self)\n--\n\nCloses the session and forgets the PIN. May be called again.")
        .def(
            "__enter__", [](py::object self) { return self; }, "__enter__(self)\n--\n\n")
        .def(
            "__exit__", [](OpenSigner& self, const py::args& /*raised*/) { self.close(); },
            "__exit__(self, *raised)\n--\n\n")
        .def("__repr__", [](const py::object& self) {
            return py::str("<ctlsign.{} {}>")
                .format(py::type::of(self).attr("__name__"), self.attr("description"));
        });
}

}  // namespace

Digest to_digest(const std::string& text) {
    const auto digest = find_digest(text);
    if (!digest) throw py::value_error("a digest is sha1, sha256 or sha512");
    return *digest;
}

void add_signer(py::module_& module) {
    add_pin_request(module);
    add_base(module);
    py::class_<OpenToken, OpenSigner> token(
        module, "TokenSigner",
        "TokenSigner(token=None, pin=None, *, modules=None, certificate=None, wait=0.0, on_wait=None, "
        "on_reader=None, use_final_try=False)\n--\n\n"
        "A key on a token or an HSM. The token: its serial number, label or PKCS#11 URI, a Token or an "
        "Identity;\n"
        "without it the only one. A certificate stands in for one that it does not hold.\n\n"
        "pin(request) returns the PIN. A token that was pulled is waited for, for so many seconds; "
        "on_wait(token)\n"
        "is called when that begins, on_reader(request) when the PIN is to be entered at the reader. The "
        "last try\n"
        "before the PIN locks is spent only on demand.",
        py::custom_type_setup(collect_garbage));
    token
        .def(py::init(&open_token), "token"_a = py::none(), "pin"_a = py::none(), py::kw_only(),
             "modules"_a = py::none(), "certificate"_a = py::none(), "wait"_a = 0.0, "on_wait"_a = py::none(),
             "on_reader"_a = py::none(), "use_final_try"_a = false,
             "__init__(self, token=None, pin=None, *, modules=None, certificate=None, wait=0.0, "
             "on_wait=None, "
             "on_reader=None, use_final_try=False)\n--\n\n")
        .def_property_readonly(
            "token", [](const OpenToken& self) { return self.identity().token; },
            "The token, where it was when this was opened.")
        .def(
            "plan",
            [](OpenToken& self, const std::string& digest) {
                const Digest wanted = to_digest(digest);
                return self.use_native(
                    [&](const TokenSigner& signer) { return signer.plan(wanted).explanation; });
            },
            "digest"_a,
            "plan(self, digest)\n--\n\nHow a signature will be made, a line for each mechanism considered.");
    py::class_<OpenKeyFile, OpenSigner> file(
        module, "KeyFileSigner",
        "KeyFileSigner(path, passphrase=None, *, certificate=None)\n--\n\n"
        "A key in a file: PEM or PKCS#12, encrypted or not. The certificate is the one given, else in the "
        "file,\n"
        "else beside it. passphrase(request) returns the passphrase.",
        py::custom_type_setup(collect_garbage));
    file.def(py::init([](const py::object& path, py::object passphrase,
                         const std::optional<sast::Certificate>& certificate) {
                 return open_key_file(to_path(path), std::move(passphrase), certificate);
             }),
             "path"_a, "passphrase"_a = py::none(), py::kw_only(), "certificate"_a = py::none(),
             "__init__(self, path, passphrase=None, *, certificate=None)\n--\n\n");
}

}  // namespace ctlsign::python
