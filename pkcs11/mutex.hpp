#pragma once

// Private, as cryptoki.hpp: the mutexes of this folder, and those that modules get from us.
#include <p11-kit/pkcs11.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

namespace ctlsign::pkcs11 {

/// A recursive mutex that a forked child finds free: the thread that held it does not exist there.
class ForkSafeMutex {
  public:
    /// What a thread locks; a child gets another.
    struct Guard {
        pid_t process = getpid();
        std::recursive_mutex mutex;
        // Written by the thread that holds the mutex:
        unsigned depth = 0;             ///< how often a module has locked it
        Guard* next_of_held = nullptr;  ///< of this thread's list (mutex.cpp)
    };

    ForkSafeMutex() = default;
    ~ForkSafeMutex();
    ForkSafeMutex(const ForkSafeMutex&) = delete;
    ForkSafeMutex& operator=(const ForkSafeMutex&) = delete;
    void lock() { current().mutex.lock(); }
    void unlock() { current().mutex.unlock(); }
    Guard& current();

  private:
    std::atomic<Guard*> guard_ = new Guard;
};

/// Has a module lock with mutexes of ours, its own where it insists.
void set_mutex_functions(CK_C_INITIALIZE_ARGS& arguments) noexcept;

/// Unlocks what modules have locked in this thread and not unlocked.
void unlock_forgotten_mutexes() noexcept;

}  // namespace ctlsign::pkcs11
