#pragma once

// What the sources of the extension share: octets and texts in and out, and work without Python's lock.
#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <pkcs11/bytes.hpp>

namespace ctlsign::python {

namespace py = pybind11;
using namespace py::literals;

/// The octets of an argument that has the buffer protocol, where they are. Python keeps them there as long
/// as this lives.
class Octets {
  public:
    Octets() = default;
    ~Octets() {
        if (view_.obj != nullptr) PyBuffer_Release(&view_);
    }
    Octets(const Octets&) = delete;
    Octets& operator=(const Octets&) = delete;

    /// False, with TypeError or BufferError set, when OBJECT cannot give them.
    bool open(py::handle object) { return PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) == 0; }
    ByteView view() const noexcept {
        return {static_cast<const std::uint8_t*>(view_.buf), static_cast<std::size_t>(view_.len)};
    }

  private:
    Py_buffer view_{};
};

inline py::bytes to_bytes(ByteView octets) {
    return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}
/// TEXT as a file or a token has it; what is no UTF-8 survives as os.fsdecode() would have it.
py::str to_str(std::string_view text);
/// The same of what may be absent.
inline py::object or_none(const std::optional<ByteView>& octets) {
    return octets ? py::object(to_bytes(*octets)) : py::none();
}
inline py::object or_none(const std::optional<std::string_view>& text) {
    return text ? py::object(to_str(*text)) : py::none();
}

/// What os.fspath() says that PATH, str, bytes or os.PathLike, is.
std::string to_path(const py::object& path);

/// VALUE as a member of the enumeration NAME in ctlsign/enums.py.
template <typename Value>
py::object to_enum(const char* name, const Value& value) {
    return py::module_::import("ctlsign.enums").attr(name)(value);
}

/// datetime.datetime in UTC.
py::object to_datetime(std::int64_t unix_seconds);
/// Unix seconds of a datetime or of a number; of now when there is none. Throws ValueError on a time that a
/// trust list cannot hold.
std::uint32_t to_timestamp(const py::object& time);
std::chrono::sys_seconds now();

/// Throws what a signal's handler raised: KeyboardInterrupt. Called without Python's lock.
void check_signals();

/// Runs WORK while other threads of Python run.
template <typename Work>
auto without_python(Work work) {
    const py::gil_scoped_release released;
    return work();
}

/// Of what may be a module's last user: the module is finalized while other threads of Python run.
template <typename T>
struct DeleteWithoutPython {
    void operator()(T* object) const noexcept {
        PyThreadState* const python = PyEval_SaveThread();
        delete object;
        PyEval_RestoreThread(python);
    }
};
template <typename T>
using Released = std::unique_ptr<T, DeleteWithoutPython<T>>;
template <typename T>
Released<T> released(T value) {
    return Released<T>(new T(std::move(value)));
}

/// One thread at a time for what is not for two.
class Turn {
  public:
    /// WORK when it is its turn, without Python's lock. Throws RuntimeError in a callback of WORK itself.
    template <typename Work>
    auto take(Work work) {
        const py::gil_scoped_release released;
        if (owner_ == std::this_thread::get_id())
            throw std::runtime_error("a signer cannot be used by its own callback");
        std::unique_lock lock(mutex_, std::defer_lock);
        while (!lock.try_lock_for(std::chrono::milliseconds(50))) check_signals();
        const Owner owner(owner_);
        return work();
    }

  private:
    struct Owner {
        explicit Owner(std::atomic<std::thread::id>& id) : id_(id) { id_ = std::this_thread::get_id(); }
        ~Owner() { id_ = std::thread::id(); }
        Owner(const Owner&) = delete;
        Owner& operator=(const Owner&) = delete;
        std::atomic<std::thread::id>& id_;
    };
    std::timed_mutex mutex_;
    std::atomic<std::thread::id> owner_;
};

// Each noun's classes and functions, in the order in which they need each other.
void add_errors(py::module_& module);
void add_certificate(py::module_& module);
void add_token(py::module_& module);
void add_watcher(py::module_& module);
void add_signer(py::module_& module);
void add_trust_list(py::module_& module);
void add_verdict(py::module_& module);
void add_manifest(py::module_& module);
void add_signing(py::module_& module);

}  // namespace ctlsign::python

namespace pybind11::detail {

template <>
struct type_caster<ctlsign::python::Octets> {
    static constexpr auto name = const_name("Octets");  // NOLINT(readability-identifier-naming): pybind11's
    template <typename>
    using cast_op_type = const ctlsign::python::Octets&;

    bool load(handle source, bool /*convert*/) {
        if (octets_.open(source)) return true;
        PyErr_Clear();
        return false;
    }
    explicit operator const ctlsign::python::Octets&() const { return octets_; }

  private:
    ctlsign::python::Octets octets_;
};

}  // namespace pybind11::detail
