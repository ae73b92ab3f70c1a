#include <limits>

#include <bindings/python/python.hpp>

namespace ctlsign::python {

py::str to_str(std::string_view text) {
    PyObject* object =
        PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape");
    if (object == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::str>(object);
}

std::string to_path(const py::object& path) {
    PyObject* octets = nullptr;
    if (PyUnicode_FSConverter(path.ptr(), &octets) == 0) throw py::error_already_set();
    return py::reinterpret_steal<py::bytes>(octets);
}

py::object to_datetime(std::int64_t unix_seconds) {
    const auto datetime = py::module_::import("datetime");
    return datetime.attr("datetime")
        .attr("fromtimestamp")(unix_seconds, datetime.attr("timezone").attr("utc"));
}

std::uint32_t to_timestamp(const py::object& time) {
    if (time.is_none()) return to_timestamp(py::int_(now().time_since_epoch().count()));
    const auto number =
        py::int_(py::hasattr(time, "timestamp") ? time.attr("timestamp")() : time).cast<std::int64_t>();
    if (number < 0 || number > std::numeric_limits<std::uint32_t>::max())
        throw py::value_error("a trust list holds times from 1970 to 2106");
    return static_cast<std::uint32_t>(number);
}

std::chrono::sys_seconds now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

void check_signals() {
    const py::gil_scoped_acquire held;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace ctlsign::python
