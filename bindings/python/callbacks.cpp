#include <array>

#include <bindings/python/callbacks.hpp>
#include <pkcs11/error.hpp>
#include <sast/error.hpp>

namespace ctlsign::python {

using pkcs11::Pin;
using sast::PinRequest;

namespace {

// A copy of ours, wiped when it was taken over.
Pin take_copy(std::span<const char> text) {
    std::array<char, Pin::kMaxSize> copy{};
    if (text.size() > copy.size()) throw py::value_error("a PIN has at most 255 octets");
    std::ranges::copy(text, copy.begin());
    return Pin::take(std::span(copy).first(text.size()));
}

Pin to_pin(const py::object& answer) {
    if (answer.is_none()) return {};
    if (PyUnicode_Check(answer.ptr()) != 0) {
        Py_ssize_t size = 0;
        // ASCII is read where it is; of other texts Python would keep the copy that it makes here.
        if (PyUnicode_IS_ASCII(answer.ptr())) {
            const char* text = PyUnicode_AsUTF8AndSize(answer.ptr(), &size);
            if (text == nullptr) throw py::error_already_set();
            return take_copy({text, static_cast<std::size_t>(size)});
        }
        const auto octets = py::reinterpret_steal<py::bytes>(PyUnicode_AsUTF8String(answer.ptr()));
        if (!octets) throw py::error_already_set();
        const std::span text(PyBytes_AS_STRING(octets.ptr()),
                             static_cast<std::size_t>(PyBytes_GET_SIZE(octets.ptr())));
        Pin pin = take_copy(text);
        pkcs11::wipe_memory(text);
        return pin;
    }
    Octets octets;
    if (!octets.open(answer)) {
        PyErr_Clear();
        throw py::type_error("a PIN must be str or a bytes-like object");
    }
    const std::string_view text = as_text(octets.view());
    return take_copy({text.data(), text.size()});
}

}  // namespace

Callbacks::Callbacks(py::object pin, py::object on_wait, py::object on_reader,
                     std::unique_ptr<sast::PinSource> otherwise)
    : pin_(std::move(pin)),
      on_wait_(std::move(on_wait)),
      on_reader_(std::move(on_reader)),
      otherwise_(std::move(otherwise)) {
    for (const auto* callback : {&pin_, &on_wait_, &on_reader_}) {
        if (!callback->is_none() && PyCallable_Check(callback->ptr()) == 0)
            throw py::type_error("a callback must be callable");
    }
}

Pin Callbacks::ask(const PinRequest& request) {
    if (pin_.is_none()) {
        if (otherwise_) return otherwise_->ask(request);
        throw Error(sast::Errc::PinNeeded, "asking for the PIN", request.subject,
                    "give a function that asks for it");
    }
    const py::gil_scoped_acquire held;
    Pin pin = to_pin(pin_(request));
    if (pin.empty())
        throw Error(sast::Errc::PinNeeded, "asking for the PIN", request.subject, "nothing was entered");
    return pin;
}

void Callbacks::look_at_reader(const PinRequest& request) {
    const py::gil_scoped_acquire held;
    if (!on_reader_.is_none()) on_reader_(request);
}

void Callbacks::tell_to_put_back(const pkcs11::Token& token) const {
    const py::gil_scoped_acquire held;
    if (!on_wait_.is_none()) on_wait_(token);
}

int Callbacks::traverse(visitproc visit, void* arg) const {
    Py_VISIT(pin_.ptr());
    Py_VISIT(on_wait_.ptr());
    Py_VISIT(on_reader_.ptr());
    return 0;
}

void Callbacks::clear() {
    pin_ = on_wait_ = on_reader_ = py::none();
}

void add_pin_request(py::module_& module) {
    py::class_<PinRequest>(module, "PinRequest", "What a PIN or a passphrase is asked for.")
        .def_property_readonly(
            "kind",
            [](const PinRequest& self) {
                return to_enum("PinKind", self.kind == PinRequest::Kind::UserPin ? "PIN" : "passphrase");
            },
            "The PIN of a token, or the passphrase of a file.")
        .def_property_readonly(
            "subject", [](const PinRequest& self) { return to_str(self.subject); },
            "\"token SAST-ADN008580ef (serial 1234)\", or the file.")
        .def_property_readonly(
            "token_label",
            [](const PinRequest& self) {
                return self.token ? py::object(to_str(self.token->label)) : py::none();
            },
            "Of the token; None for a file.")
        .def_property_readonly(
            "token_serial",
            [](const PinRequest& self) {
                return self.token ? py::object(to_str(self.token->serial)) : py::none();
            },
            "Of the token; None for a file.")
        .def_property_readonly(
            "tries_left",
            [](const PinRequest& self) {
                return self.tries ? std::optional(self.tries->left) : std::nullopt;
            },
            "How many PINs may still be tried; None where nobody tells.")
        .def_property_readonly(
            "state", [](const PinRequest& self) { return to_enum("PinState", to_text(self.state)); },
            "What the token says of its PIN.")
        .def("__repr__", [](const PinRequest& self) {
            return py::str("<ctlsign.PinRequest {}>").format(to_str(self.subject));
        });
}

}  // namespace ctlsign::python
