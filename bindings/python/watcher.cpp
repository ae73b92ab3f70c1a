#include <algorithm>
#include <condition_variable>
#include <deque>
#include <set>

#include <bindings/python/token.hpp>
#include <pkcs11/watcher.hpp>

namespace ctlsign::python {

using pkcs11::Watcher;
using Clock = std::chrono::steady_clock;

namespace {

/// Hands the events of a watcher's thread to threads of Python.
class EventQueue {
  public:
    explicit EventQueue(std::vector<std::shared_ptr<pkcs11::Module>> modules)
        : watcher_(std::in_place, std::move(modules), [this](const Watcher::Event& event) { push(event); }) {
        open().insert(this);
    }
    // NOLINTNEXTLINE(bugprone-exception-escape): a mutex that cannot be locked is a fault of this program
    ~EventQueue() { close(); }
    EventQueue(const EventQueue&) = delete;
    EventQueue& operator=(const EventQueue&) = delete;

    /// The next event; nothing when it is closed, or at the end of the time.
    std::optional<Watcher::Event> take(const std::optional<Clock::time_point>& until) {
        std::unique_lock lock(mutex_);
        for (;;) {
            if (!events_.empty()) {
                auto event = std::move(events_.front());
                events_.pop_front();
                return event;
            }
            if (closed_ || (until && Clock::now() >= *until)) return std::nullopt;
            const auto slice = Clock::now() + std::chrono::milliseconds(50);
            came_.wait_until(lock, until ? std::min(slice, *until) : slice);
            lock.unlock();
            check_signals();
            lock.lock();
        }
    }

    void close() {
        open().erase(this);
        without_python([&] {
            {
                const std::scoped_lock lock(mutex_);
                closed_ = true;
                events_.clear();
                came_.notify_all();
            }
            const std::scoped_lock lock(closing_);
            watcher_.reset();
        });
    }

    /// Before the interpreter goes, and the modules' libraries with it.
    static void close_all() {
        while (!open().empty()) (*open().begin())->close();
    }

  private:
    // Guarded by Python's lock.
    static std::set<EventQueue*>& open() {
        static auto* queues = new std::set<EventQueue*>;
        return *queues;
    }
    void push(const Watcher::Event& event) {
        const std::scoped_lock lock(mutex_);
        if (closed_) return;
        events_.push_back(event);
        came_.notify_one();
    }

    std::mutex mutex_, closing_;
    std::condition_variable came_;
    std::deque<Watcher::Event> events_;
    bool closed_ = false;
    std::optional<Watcher> watcher_;  // last: its thread uses the others
};

std::optional<Watcher::Event> wait(EventQueue& queue, std::optional<double> timeout) {
    std::optional<Clock::time_point> until;
    if (timeout)
        until = Clock::now() + std::chrono::ceil<std::chrono::milliseconds>(
                                   std::chrono::duration<double>(std::clamp(*timeout, 0.0, 1e9)));
    return without_python([&] { return queue.take(until); });
}

}  // namespace

void add_watcher(py::module_& module) {
    py::class_<Watcher::Event, Released<Watcher::Event>>(module, "TokenEvent",
                                                         "A token that arrived or left.")
        .def_property_readonly(
            "change",
            [](const Watcher::Event& self) {
                return to_enum("Change", self.change == Watcher::Change::Arrived ? "arrived" : "left");
            },
            "What happened.")
        .def_readonly("token", &Watcher::Event::token, "To which token.")
        .def("__repr__", [](const Watcher::Event& self) {
            return py::str("<ctlsign.TokenEvent {} {}>")
                .format(to_str(self.token.text()),
                        self.change == Watcher::Change::Arrived ? "arrived" : "left");
        });

    py::class_<EventQueue, std::shared_ptr<EventQueue>>(
        module, "TokenWatcher",
        "TokenWatcher(modules=None)\n--\n\n"
        "Tells of tokens that arrive and leave, known by serial and label in whichever slot; those plugged "
        "in at\n"
        "first arrive first. Iterating waits for the next event, until the watcher is closed.")
        .def(py::init([](const Modules& modules) {
                 return std::make_shared<EventQueue>(to_native(modules, std::nullopt));
             }),
             "modules"_a = py::none(), "__init__(self, modules=None)\n--\n\n")
        .def("wait", &wait, "timeout"_a = py::none(),
             "wait(self, timeout=None)\n--\n\n"
             "The next event; None when there is none within so many seconds, or the watcher is closed.")
        .def("close", &EventQueue::close,
             "close(self)\n--\n\nEnds the watcher, and the loops over it in other threads.")
        .def(
            "__iter__", [](const std::shared_ptr<EventQueue>& self) { return self; },
            "__iter__(self)\n--\n\n")
        .def(
            "__next__",
            [](EventQueue& self) {
                auto event = wait(self, std::nullopt);
                if (!event) throw py::stop_iteration();
                return std::move(*event);
            },
            "__next__(self)\n--\n\n")
        .def(
            "__enter__", [](const std::shared_ptr<EventQueue>& self) { return self; },
            "__enter__(self)\n--\n\n")
        .def(
            "__exit__", [](EventQueue& self, const py::args& /*raised*/) { self.close(); },
            "__exit__(self, *raised)\n--\n\n");

    py::module_::import("atexit").attr("register")(py::cpp_function(&EventQueue::close_all));
}

}  // namespace ctlsign::python
