#include <bindings/python/python.hpp>
#include <ctlsign/trustlist/text.hpp>

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
    auto at = now();
    if (!time.is_none()) {
        const py::object number = py::hasattr(time, "timestamp") ? time.attr("timestamp")() : time;
        at = std::chrono::sys_seconds(std::chrono::seconds(py::int_(number).cast<std::int64_t>()));
    }
    const auto timestamp = find_timestamp(at);
    if (!timestamp) throw py::value_error("a trust list holds times from 1970 to 2106");
    return *timestamp;
}

std::chrono::sys_seconds now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

void check_signals() {
    const py::gil_scoped_acquire held;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace ctlsign::python
