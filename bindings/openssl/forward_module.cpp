// A PKCS#11 module that libp11 loads in the place of one that this process already uses. It passes every call
// to that one, but for those by which libp11 would end what is not its own: it neither initialises, finalizes
// nor logs out, and "close all sessions" closes the sessions that were opened through it (docs/modules.md).
#include <p11-kit/pkcs11.h>

#include <array>
#include <cstddef>
#include <exception>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

namespace {

constexpr std::size_t kMaxTargets = 32;

struct Target {
    CK_FUNCTION_LIST* real = nullptr;
    CK_FUNCTION_LIST shown{};
    std::mutex mutex;
    std::map<CK_SESSION_HANDLE, CK_SLOT_ID> sessions;
};

// Never destroyed: libp11 may be unloaded after static destructors have run.
std::array<Target, kMaxTargets>& targets() {
    static auto* instance = new std::array<Target, kMaxTargets>;
    return *instance;
}

CK_RV do_nothing(void* /*reserved*/) {
    return CKR_OK;
}
CK_RV stay_logged_in(CK_SESSION_HANDLE /*session*/) {
    return CKR_OK;
}

// C has no closures: one set of functions for each target.
template <std::size_t N>
struct Functions {
    static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void* application, CK_NOTIFY notify,
                              CK_SESSION_HANDLE* session) {
        Target& target = targets()[N];
        const CK_RV rv = target.real->C_OpenSession(slot, flags, application, notify, session);
        if (rv != CKR_OK) return rv;
        try {
            const std::scoped_lock lock(target.mutex);
            target.sessions[*session] = slot;
        } catch (const std::exception&) {  // no C function lets one pass
            target.real->C_CloseSession(*session);
            return CKR_HOST_MEMORY;
        }
        return CKR_OK;
    }
    static CK_RV close_session(CK_SESSION_HANDLE session) {
        Target& target = targets()[N];
        {
            const std::scoped_lock lock(target.mutex);
            target.sessions.erase(session);
        }
        return target.real->C_CloseSession(session);
    }
    static CK_RV close_all_sessions(CK_SLOT_ID slot) {
        Target& target = targets()[N];
        std::map<CK_SESSION_HANDLE, CK_SLOT_ID> ours;
        {
            const std::scoped_lock lock(target.mutex);
            for (auto at = target.sessions.begin(); at != target.sessions.end();) {
                const auto next = std::next(at);
                if (at->second == slot) ours.insert(target.sessions.extract(at));  // moves, allocates nothing
                at = next;
            }
        }
        for (const auto& [session, of] : ours) target.real->C_CloseSession(session);
        return CKR_OK;
    }
    static void install(Target& target) {
        target.shown = *target.real;
        target.shown.C_Initialize = do_nothing;
        target.shown.C_Finalize = do_nothing;
        target.shown.C_Logout = stay_logged_in;
        target.shown.C_OpenSession = open_session;
        target.shown.C_CloseSession = close_session;
        target.shown.C_CloseAllSessions = close_all_sessions;
    }
};

template <std::size_t... N>
void install(std::size_t index, std::index_sequence<N...> /*indices*/) {
    ((index == N ? Functions<N>::install(targets()[N]) : void()), ...);
}

std::mutex choice_mutex;
CK_FUNCTION_LIST* chosen = nullptr;

}  // namespace

// What the next C_GetFunctionList gives: a list in front of REAL. Null when there is no room for another
// module.
extern "C" __attribute__((visibility("default"))) void* ctlsign_forward_to(void* real) {
    const std::scoped_lock lock(choice_mutex);
    chosen = nullptr;
    for (std::size_t i = 0; i < kMaxTargets; ++i) {
        Target& target = targets()[i];
        if (target.real == nullptr) {
            target.real = static_cast<CK_FUNCTION_LIST*>(real);
            install(i, std::make_index_sequence<kMaxTargets>());
        }
        if (target.real == real) {
            chosen = &target.shown;
            break;
        }
    }
    return chosen;
}

// NOLINTNEXTLINE(readability-identifier-naming): the name is PKCS#11's
extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
    const std::scoped_lock lock(choice_mutex);
    if (list == nullptr) return CKR_ARGUMENTS_BAD;
    *list = chosen;
    return chosen == nullptr ? CKR_CRYPTOKI_NOT_INITIALIZED : CKR_OK;
}
