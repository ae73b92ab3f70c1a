#pragma once

// Private: the PKCS#11 C header and what stands directly on it. Only sources of pkcs11/ include this file.
#include <p11-kit/pkcs11.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <pkcs11/error.hpp>
#include <pkcs11/module.hpp>
#include <pkcs11/module_call.hpp>
#include <pkcs11/mutex.hpp>
#include <pkcs11/served_module.hpp>

namespace ctlsign::pkcs11 {

/// One loaded and initialised module.
struct Module::State {
    CK_FUNCTION_LIST* functions = nullptr;
    std::string path;                    // as it was asked for, or p11-kit's name of a configured one
    std::string reserved;                // pReserved of C_Initialize
    std::atomic<pid_t> process = 0;      // that called C_Initialize
    std::atomic<unsigned> lifetime = 0;  // grows with each C_Initialize; sessions of an older one are dead
    std::atomic<unsigned> closings = 0;  // grows with each session that ends
    bool owns_initialization = false;
    Finalize finalize = Finalize::WhenLastUserGoes;
    ForkSafeMutex mutex;                       // guards logins and initialisation
    std::map<unsigned long, unsigned> logins;  // by slot: how many sessions of ours have logged in

    std::unique_ptr<ServedModule> served;  // where the module runs in a process of its own

    static std::shared_ptr<Module> wrap(std::unique_ptr<State> state);
    void initialize();
    /// In a forked child the module is initialised anew, once.
    void adopt_process();

    template <typename... Parameters, typename... Arguments>
    CK_RV try_call(CK_RV (*CK_FUNCTION_LIST::*function)(Parameters...), Arguments... arguments) const {
        const auto pointer = functions->*function;
        if (pointer == nullptr) return CKR_FUNCTION_NOT_SUPPORTED;
        const ModuleCall call;
        const ServedModule::Call limited(served.get());
        return pointer(arguments...);
    }

    /// Throws Error unless RV is CKR_OK.
    void check(CK_RV rv, std::string_view function, std::string_view subject) const;
};

/// What the reader of an error can do about RV.
std::string_view advice_for(std::error_code code) noexcept;

/// Blank-padded text of a CK_*_INFO.
template <std::size_t N>
std::string from_padded(const unsigned char (&field)[N]) {
    std::size_t size = N;
    while (size > 0 && (field[size - 1] == ' ' || field[size - 1] == '\0')) --size;
    return {reinterpret_cast<const char*>(field), size};
}

}  // namespace ctlsign::pkcs11
