// The function list of the module: every call passes through run(), which takes in what happened in the
// folder, plays the fault script, and writes the log.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

#include <softhsm-profiles/cryptoki_functions.hpp>
#include <softhsm-profiles/mechanism_names.hpp>
#include <softhsm-profiles/module/answers.hpp>

namespace ctlsign::virtual_token {

namespace {

using softhsm::Fault;
using Clock = std::chrono::steady_clock;

// What the log may know of the arguments: the slot or session, which comes first, and the mechanism.
template <typename Argument>
std::string describe_first(Argument argument) {
    if constexpr (std::is_same_v<Argument, CK_ULONG>) return std::to_string(argument);
    return {};
}
template <typename Argument>
std::string describe_other(Argument argument) {
    if constexpr (std::is_same_v<Argument, CK_MECHANISM*>) {
        if (argument == nullptr) return {};
        const auto name = softhsm::find_mechanism_name(argument->mechanism);
        return name.empty() ? fmt::format(", 0x{:x}", argument->mechanism) : fmt::format(", {}", name);
    }
    return {};
}
std::string describe() {
    return {};
}
template <typename First, typename... Others>
std::string describe(First first, Others... others) {
    return (describe_first(first) + ... + describe_other(others));
}

// Whether a call asks for the length of its result only, which no fault counts.
template <typename... Arguments>
bool is_size_query(Arguments... arguments) {
    const std::tuple<Arguments...> all(arguments...);
    constexpr std::size_t kCount = sizeof...(Arguments);
    if constexpr (kCount >= 2) {
        using Result = std::tuple_element_t<kCount - 2, std::tuple<Arguments...>>;
        using Size = std::tuple_element_t<kCount - 1, std::tuple<Arguments...>>;
        if constexpr (std::is_same_v<Result, CK_BYTE*> && std::is_same_v<Size, CK_ULONG*>)
            return std::get<kCount - 2>(all) == nullptr;
    }
    return false;
}

CK_RV removal(Module& module) {
    return module.notice() ? CKR_DEVICE_REMOVED : CKR_CRYPTOKI_NOT_INITIALIZED;
}

[[noreturn]] void hang() {
    for (;;) ::pause();
}

// What the fault script does to a call of FUNCTION on TOKEN (or none): its answer, or nothing when the call
// goes on.
std::optional<CK_RV> meet_fault(Module& module, std::string_view function, const Token* token,
                                bool& corrupt) {
    const auto fault = module.faults().on_call(function);
    if (!fault) return std::nullopt;
    switch (fault->effect) {
        case Fault::Effect::Return:
            return fault->rv;
        case Fault::Effect::Delay:
            if (!module.pause(fault->delay, token)) return removal(module);
            return std::nullopt;
        case Fault::Effect::Crash:
            std::abort();
        case Fault::Effect::Hang:
            hang();
        case Fault::Effect::Corrupt:
            corrupt = true;
            return std::nullopt;
        case Fault::Effect::Plug:
        case Fault::Effect::Unplug:
            module.fire(*fault);
            if (token != nullptr && token->gone()) return removal(module);
            return std::nullopt;
    }
    return std::nullopt;
}

// ANSWER() with its errors as CK_RV, and a line in the log. Nothing else leaves through a C function.
template <typename Answer, typename... Arguments>
CK_RV run(Module& module, std::string_view function, Answer answer, Arguments... arguments) {
    const auto start = Clock::now();
    CK_RV rv = CKR_GENERAL_ERROR;
    try {
        rv = answer();
    } catch (const std::bad_alloc&) {
        rv = CKR_HOST_MEMORY;
    } catch (const std::exception& e) {
        module.log().write_note(e.what());
    }
    if (module.log().is_open())
        module.log().write(function, describe(arguments...), rv, Clock::now() - start);
    return rv;
}

// The functions of the list, made from the names of the answers. A function's type gives its parameters.
template <auto Answer, const char* Name, typename Function>
struct SlotFunction;
template <auto Answer, const char* Name, typename... Arguments>
struct SlotFunction<Answer, Name, CK_RV (*)(Arguments...)> {
    static CK_RV call(Arguments... arguments) {
        Module* module = Module::find();
        if (module == nullptr) return CKR_CRYPTOKI_NOT_INITIALIZED;
        const auto answer = [&]() -> CK_RV {
            if (!module->notice()) return CKR_CRYPTOKI_NOT_INITIALIZED;
            bool corrupt = false;
            if (const auto rv = meet_fault(*module, Name, nullptr, corrupt)) return *rv;
            return Answer(*module, arguments...);
        };
        return run(*module, Name, answer, arguments...);
    }
};

template <auto Answer, const char* Name, typename Function>
struct SessionFunction;
template <auto Answer, const char* Name, typename... Arguments>
struct SessionFunction<Answer, Name, CK_RV (*)(CK_SESSION_HANDLE, Arguments...)> {
    static CK_RV call(CK_SESSION_HANDLE handle, Arguments... arguments) {
        Module* module = Module::find();
        if (module == nullptr) return CKR_CRYPTOKI_NOT_INITIALIZED;
        const auto answer = [&]() -> CK_RV {
            if (!module->notice()) return CKR_CRYPTOKI_NOT_INITIALIZED;
            SessionCall call{*module, handle, module->find_session(handle)};
            if (!is_size_query(arguments...)) {
                const Token* token = call.session ? call.session->token.get() : nullptr;
                if (const auto rv = meet_fault(*module, Name, token, call.corrupt)) return *rv;
            }
            if (!call.session) return CKR_SESSION_HANDLE_INVALID;
            const CK_RV rv = Answer(call, arguments...);
            if (call.token().gone()) return removal(*module);
            if (call.afterwards) module->fire(*call.afterwards);
            return rv;
        };
        return run(*module, Name, answer, handle, arguments...);
    }
};

template <auto Member, typename Function>
struct Passed;
template <auto Member, typename... Arguments>
struct Passed<Member, CK_RV (*)(CK_SESSION_HANDLE, Arguments...)> {
    static CK_RV answer(SessionCall& call, Arguments... arguments) { return call.pass(Member, arguments...); }
};

CK_RV initialize(void* arguments) {
    Module& module = Module::get();
    const auto answer = [&]() -> CK_RV {
        const CK_RV rv = module.initialize(static_cast<const CK_C_INITIALIZE_ARGS*>(arguments));
        if (rv != CKR_OK) return rv;
        try {
            bool corrupt = false;
            const CK_RV fault = meet_fault(module, "C_Initialize", nullptr, corrupt).value_or(CKR_OK);
            if (fault != CKR_OK) module.finalize();
            return fault;
        } catch (...) {
            module.finalize();
            throw;
        }
    };
    return run(module, "C_Initialize", answer);
}

CK_RV finalize(void* reserved) {
    Module* module = Module::find();
    if (module == nullptr) return CKR_CRYPTOKI_NOT_INITIALIZED;
    const auto answer = [&]() -> CK_RV {
        if (reserved != nullptr) return CKR_ARGUMENTS_BAD;
        if (!module->notice()) return CKR_CRYPTOKI_NOT_INITIALIZED;
        bool corrupt = false;
        if (const auto rv = meet_fault(*module, "C_Finalize", nullptr, corrupt)) return *rv;
        return module->finalize();
    };
    return run(*module, "C_Finalize", answer);
}

#define CTLSIGN_NAME(function) constexpr char kName_##function[] = #function;
CTLSIGN_SLOT_FUNCTIONS(CTLSIGN_NAME)
CTLSIGN_PROFILE_FUNCTIONS(CTLSIGN_NAME)
CTLSIGN_TOKEN_FUNCTIONS(CTLSIGN_NAME)
#undef CTLSIGN_NAME

}  // namespace
}  // namespace ctlsign::virtual_token

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
    using namespace ctlsign::virtual_token;
    static CK_FUNCTION_LIST functions = [] {
        CK_FUNCTION_LIST made{};
        made.version = {2, 40};
        made.C_Initialize = initialize;
        made.C_Finalize = finalize;
        made.C_GetFunctionList = C_GetFunctionList;
#define CTLSIGN_SLOT(function) \
    made.function = SlotFunction<answers::function, kName_##function, CK_##function>::call;
        CTLSIGN_SLOT_FUNCTIONS(CTLSIGN_SLOT)
#define CTLSIGN_PROFILE(function) \
    made.function = SessionFunction<answers::function, kName_##function, CK_##function>::call;
        CTLSIGN_PROFILE_FUNCTIONS(CTLSIGN_PROFILE)
#define CTLSIGN_TOKEN(function)                                                                 \
    made.function = SessionFunction<Passed<&CK_FUNCTION_LIST::function, CK_##function>::answer, \
                                    kName_##function, CK_##function>::call;
        CTLSIGN_TOKEN_FUNCTIONS(CTLSIGN_TOKEN)
        return made;
    }();
    if (list == nullptr) return CKR_ARGUMENTS_BAD;
    *list = &functions;
    return CKR_OK;
}
