#include <new>

#include <pkcs11/mutex.hpp>

namespace ctlsign::pkcs11 {

ForkSafeMutex::Guard& ForkSafeMutex::current() {
    Guard* guard = guard_.load();
    if (guard->process != getpid()) {
        // The first of the child's threads to come here brings a fresh mutex; the parent's, perhaps locked
        // for ever, is left.
        auto* fresh = new Guard;
        if (guard_.compare_exchange_strong(guard, fresh)) {
            guard = fresh;
        } else {
            delete fresh;
        }
    }
    return *guard;
}

ForkSafeMutex::~ForkSafeMutex() {
    if (Guard* guard = guard_.load(); guard->process == getpid()) delete guard;
}

namespace {

using Guard = ForkSafeMutex::Guard;

// What modules have locked in this thread. A list without a destructor: modules lock in static destructors
// too.
thread_local constinit Guard* held = nullptr;

// Where in the list GUARD hangs, or its end.
Guard** find_held(const Guard* guard) noexcept {
    Guard** link = &held;
    while (*link != nullptr && *link != guard) link = &(*link)->next_of_held;
    return link;
}

void unlock_once(Guard** link) noexcept {
    Guard* const guard = *link;
    if (--guard->depth == 0) *link = guard->next_of_held;
    guard->mutex.unlock();
}

void unlock_wholly(Guard** link) noexcept {
    for (unsigned depth = (*link)->depth; depth > 0; --depth) unlock_once(link);
}

// Recursive, because OpenSC 0.23 locks one mutex twice in a thread when a card is pulled, and would hang for
// ever on others.
CK_RV create_mutex(void** mutex) {
    *mutex = new (std::nothrow) ForkSafeMutex;
    return *mutex == nullptr ? CKR_HOST_MEMORY : CKR_OK;
}
CK_RV destroy_mutex(void* mutex) {
    auto* const ours = static_cast<ForkSafeMutex*>(mutex);
    if (Guard** const link = find_held(&ours->current()); *link != nullptr) unlock_wholly(link);
    delete ours;
    return CKR_OK;
}
CK_RV lock_mutex(void* mutex) {
    Guard& guard = static_cast<ForkSafeMutex*>(mutex)->current();
    guard.mutex.lock();
    if (guard.depth++ == 0) {
        guard.next_of_held = held;
        held = &guard;
    }
    return CKR_OK;
}
CK_RV unlock_mutex(void* mutex) {
    Guard** const link = find_held(&static_cast<ForkSafeMutex*>(mutex)->current());
    if (*link == nullptr) return CKR_MUTEX_NOT_LOCKED;
    unlock_once(link);
    return CKR_OK;
}

}  // namespace

void set_mutex_functions(CK_C_INITIALIZE_ARGS& arguments) noexcept {
    arguments.CreateMutex = create_mutex;
    arguments.DestroyMutex = destroy_mutex;
    arguments.LockMutex = lock_mutex;
    arguments.UnlockMutex = unlock_mutex;
    arguments.flags |= CKF_OS_LOCKING_OK;
}

void unlock_forgotten_mutexes() noexcept {
    while (held != nullptr) unlock_wholly(&held);
}

}  // namespace ctlsign::pkcs11
