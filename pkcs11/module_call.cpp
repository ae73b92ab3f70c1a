#include <ctime>

#include <pkcs11/module_call.hpp>
#include <pkcs11/mutex.hpp>

namespace ctlsign::pkcs11 {

namespace {

// A module may call back, and be called again by what it called.
thread_local constinit unsigned depth = 0;

sigset_t only_pipe() noexcept {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    return pipe;
}

}  // namespace

ModuleCall::ModuleCall() noexcept {
    ++depth;
    const sigset_t pipe = only_pipe();
    pthread_sigmask(SIG_BLOCK, &pipe, &mask_);
}

ModuleCall::~ModuleCall() {
    // A caller that blocks SIGPIPE itself sees to it itself; else none was waiting before the call.
    if (sigismember(&mask_, SIGPIPE) == 0) {
        sigset_t pending;
        sigpending(&pending);
        if (sigismember(&pending, SIGPIPE) == 1) {
            const sigset_t pipe = only_pipe();
            const timespec at_once{};
            sigtimedwait(&pipe, nullptr, &at_once);
        }
        pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
    }
    if (--depth == 0) unlock_forgotten_mutexes();
}

}  // namespace ctlsign::pkcs11
