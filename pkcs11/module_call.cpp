#include <ctime>

#include <pkcs11/module_call.hpp>
#include <pkcs11/mutex.hpp>

namespace ctlsign::pkcs11 {

namespace {

// A module may call back, and be called again by what it called.
thread_local constinit unsigned depth = 0;

bool pipe_signal_pending() noexcept {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGPIPE) == 1;
}

}  // namespace

ModuleCall::ModuleCall() noexcept : pending_(pipe_signal_pending()) {
    ++depth;
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &mask_);
}

ModuleCall::~ModuleCall() {
    if (!pending_ && pipe_signal_pending()) {
        sigset_t pipe;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        const timespec at_once{};
        sigtimedwait(&pipe, nullptr, &at_once);
    }
    pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
    if (--depth == 0) unlock_forgotten_mutexes();
}

}  // namespace ctlsign::pkcs11
