#pragma once

#include <signal.h>
#include <time.h>

#include <cerrno>
#include <chrono>
#include <system_error>

namespace ctlsign::testing {

/// Aborts the process when it is not destroyed in time: a call into a module that hangs cannot be called
/// back. A timer of the kernel and no thread, since tests make tokens, in forked children: a thread that
/// allocates at that moment takes AddressSanitizer's lock into the child, where nobody gives it back. The
/// signal has no handler: ThreadSanitizer would keep it back until a call returns.
class Watchdog {
  public:
    explicit Watchdog(std::chrono::seconds limit) {
        sigevent event{};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGABRT;
        const itimerspec once{{}, {limit.count(), 0}};
        if (timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0 ||
            timer_settime(timer_, 0, &once, nullptr) != 0)
            throw std::system_error(errno, std::generic_category(), "a watchdog's timer");
    }
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;
    ~Watchdog() { timer_delete(timer_); }

  private:
    timer_t timer_{};
};

}  // namespace ctlsign::testing
