#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include <bindings/c/tokens.hpp>
#include <pkcs11/error.hpp>
#include <pkcs11/watcher.hpp>

using namespace ctlsign;
using namespace ctlsign::c;

struct ctlsign_watcher : Object {
    using Event = pkcs11::Watcher::Event;

    explicit ctlsign_watcher(std::vector<std::shared_ptr<pkcs11::Module>> modules)
        : watcher(std::move(modules), [this](const Event& event) {
              const std::scoped_lock lock(mutex);
              events.push_back(event);
              changed.notify_one();
          }) {}
    void handle_closed() override { stop(); }
    void stop() {
        const std::scoped_lock lock(mutex);
        stopped = true;
        changed.notify_all();
    }
    Event next(std::uint32_t timeout_ms) {
        std::unique_lock lock(mutex);
        const auto ready = [this] { return stopped || !events.empty(); };
        if (timeout_ms == CTLSIGN_FOREVER) {
            changed.wait(lock, ready);
        } else if (!changed.wait_for(lock, std::chrono::milliseconds(timeout_ms), ready)) {
            throw Refusal(CTLSIGN_STATUS_TIMEOUT, "no token has arrived or left in time");
        }
        if (stopped) throw Refusal(CTLSIGN_STATUS_STOPPED, "the watcher was stopped");
        Event event = std::move(events.front());
        events.pop_front();
        return event;
    }

    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Event> events;
    bool stopped = false;
    pkcs11::Watcher watcher;  // last: it calls as soon as it is there, and until it is gone
};

ctlsign_status ctlsign_watcher_open(ctlsign_modules* modules, ctlsign_watcher** watcher,
                                    ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(watcher, "watcher");
        const auto object = get_object(modules);
        if (object->modules.empty())
            throw Error(pkcs11::Errc::ModuleNotLoaded, "looking for", "a PKCS#11 module", "name one");
        out = open_handle(std::make_shared<ctlsign_watcher>(object->modules));
    });
}

ctlsign_status ctlsign_watcher_next(ctlsign_watcher* watcher, uint32_t timeout_ms, ctlsign_change* change,
                                    ctlsign_tokens** token, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& kind = result(change, "change");
        auto& out = result(token, "token");
        const auto event = get_object(watcher)->next(timeout_ms);
        out = open_handle(std::make_shared<ctlsign_tokens>(std::vector{event.token}));
        kind =
            event.change == pkcs11::Watcher::Change::Arrived ? CTLSIGN_CHANGE_ARRIVED : CTLSIGN_CHANGE_LEFT;
    });
}

ctlsign_status ctlsign_watcher_stop(ctlsign_watcher* watcher, ctlsign_error* error) {
    return guarded(error, [&] { get_object(watcher)->stop(); });
}
