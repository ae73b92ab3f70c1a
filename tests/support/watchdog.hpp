#pragma once

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string>
#include <system_error>

namespace ctlsign::testing {

/// Ends the process when it is not destroyed in time: a call into a module that hangs cannot be called back.
/// A timer of the kernel and no thread, since tests make tokens, in forked children: a thread that allocates
/// at that moment takes AddressSanitizer's lock into the child, where nobody gives it back.
class Watchdog {
  public:
    Watchdog(std::chrono::seconds limit, const std::string& what)
        : message_(what + ": hangs for " + std::to_string(limit.count()) + " s\n") {
        struct sigaction action {};
        action.sa_sigaction = end_process;
        action.sa_flags = SA_SIGINFO;
        sigevent event{};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGRTMIN;
        event.sigev_value.sival_ptr = this;
        const itimerspec once{{}, {limit.count(), 0}};
        if (sigaction(SIGRTMIN, &action, nullptr) != 0 ||
            timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0 ||
            timer_settime(timer_, 0, &once, nullptr) != 0)
            throw std::system_error(errno, std::generic_category(), "a watchdog's timer");
    }
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;
    ~Watchdog() { timer_delete(timer_); }

  private:
    static void end_process(int, siginfo_t* info, void*) {
        const auto* self = static_cast<const Watchdog*>(info->si_value.sival_ptr);
        (void)!write(STDERR_FILENO, self->message_.data(), self->message_.size());
        std::abort();
    }

    std::string message_;
    timer_t timer_{};
};

}  // namespace ctlsign::testing
