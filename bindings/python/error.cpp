#include <bindings/python/error.hpp>
#include <bindings/python/python.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <sast/error.hpp>

namespace ctlsign::python {

namespace {

// The text of an error may hold what a file or a token calls itself.
py::str for_people(const char* text) {
    return py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8(
        text, static_cast<Py_ssize_t>(std::string_view(text).size()), "backslashreplace"));
}

py::object to_code(const std::error_code& code) {
    if (code.category() == pkcs11::category()) return to_enum("TokenCode", code.value());
    if (code.category() == sast::category()) return to_enum("SignerCode", code.value());
    if (code.category() == category()) return to_enum("ListCode", code.value());
    return py::int_(static_cast<unsigned>(code.value()));
}

py::object to_condition(const std::error_code& code) {
    const auto condition = pkcs11::find_recovery(code);
    return condition ? to_enum("Recovery", static_cast<int>(*condition)) : py::none();
}

py::object to_exception(const Error& error) {
    const auto errors = py::module_::import("ctlsign.errors");
    if (error.code().category() == std::generic_category() ||
        error.code().category() == std::system_category()) {
        return py::reinterpret_borrow<py::object>(PyExc_OSError)(
            error.code().value(), for_people(error.what()), to_str(error.subject()));
    }
    const auto* decoding = dynamic_cast<const DecodeError*>(&error);
    py::object exception =
        errors.attr(decoding != nullptr ? "DecodeError" : "Error")(for_people(error.what()));
    exception.attr("code") = to_code(error.code());
    exception.attr("category") = error.code().category().name();
    exception.attr("reason") = for_people(error.code().message().c_str());
    exception.attr("condition") = to_condition(error.code());
    exception.attr("function") = for_people(error.failed().c_str());
    exception.attr("subject") = for_people(error.subject().c_str());
    exception.attr("advice") = for_people(error.advice().c_str());
    if (decoding != nullptr) exception.attr("position") = decoding->position();
    if (const auto* of_token = dynamic_cast<const TokenError*>(&error)) {
        exception.attr("token_label") = to_str(of_token->label());
        exception.attr("token_serial") = to_str(of_token->serial());
    }
    return exception;
}

void translate(std::exception_ptr raised) {  // NOLINT(performance-unnecessary-value-param): pybind11's type
    try {
        if (raised) std::rethrow_exception(raised);
    } catch (const Error& error) {
        const py::object exception = to_exception(error);
        PyErr_SetObject(py::type::of(exception).ptr(), exception.ptr());
    }
}

}  // namespace

void add_errors(py::module_& /*module*/) {
    py::register_local_exception_translator(&translate);
}

}  // namespace ctlsign::python
