#include <p11-kit/p11-kit.h>

#include <cstdlib>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

#include <pkcs11/cryptoki.hpp>
#include <pkcs11/free_with.hpp>
#include <pkcs11/module.hpp>
#include <pkcs11/quirks.hpp>
#include <pkcs11/token.hpp>

namespace ctlsign::pkcs11 {

namespace {

using KitText = std::unique_ptr<char, FreeWith<std::free>>;

// Modules of this process, by function list: p11-kit gives the same one for the same library. Never
// destroyed, so that no static destructor finalizes a module.
struct Registry {
    ForkSafeMutex mutex;
    std::map<CK_FUNCTION_LIST*, std::weak_ptr<Module>> modules;
    // Those in processes of their own, by path or command: each load of p11-kit's client is another list.
    std::map<std::string, std::weak_ptr<Module>> served;
};
Registry& registry() {
    static auto* instance = new Registry;
    return *instance;
}

}  // namespace

void Module::State::initialize() {
    CK_C_INITIALIZE_ARGS arguments{};
    set_mutex_functions(arguments);
    arguments.pReserved = reserved.empty() ? nullptr : reserved.data();
    const auto call = [&] {
        return try_call(&CK_FUNCTION_LIST::C_Initialize, static_cast<void*>(&arguments));
    };
    const CK_RV rv = served ? served->connect(call) : call();
    if (rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) check(rv, "C_Initialize", path);
    owns_initialization = rv == CKR_OK;
    logins.clear();
    ++lifetime;
    process = getpid();
}

void Module::State::check(CK_RV rv, std::string_view function, std::string_view subject) const {
    if (rv == CKR_OK) return;
    if (served) {
        if (const std::string fault = served->find_fault(rv); !fault.empty())
            throw Error(Errc::ModuleEnded, function, subject, fault);
    }
    const auto code = make_rv(rv);
    throw Error(code, function, subject, advice_for(code));
}

void Module::State::adopt_process() {
    if (process == getpid()) return;
    const std::scoped_lock lock(mutex);
    if (process != getpid()) initialize();
}

Module::Module(std::unique_ptr<State> state) : state_(std::move(state)) {}

std::shared_ptr<Module> Module::State::wrap(std::unique_ptr<State> state) {
    return std::shared_ptr<Module>(new Module(std::move(state)));
}

// The module that KNOWN has under KEY, or the one that MAKE makes.
template <typename Key, typename Make>
static std::shared_ptr<Module> find_or_make(std::map<Key, std::weak_ptr<Module>>& known, const Key& key,
                                            Make make) {
    for (;;) {
        {
            const std::scoped_lock lock(registry().mutex);
            const auto entry = known.find(key);
            if (entry == known.end()) {
                std::shared_ptr<Module> module = make();
                if (may_forbid_finalize(QuirkTable::of_process()) && module->quirks().never_finalize)
                    module->state().finalize = Module::Finalize::Never;
                known.emplace(key, module);
                return module;
            }
            if (auto module = entry->second.lock()) {
                module->state().adopt_process();
                return module;
            }
        }
        // Its last user is finalizing it in another thread: wait until the entry is gone.
        std::this_thread::yield();
    }
}

// FUNCTIONS was just loaded by p11-kit. It is never released again: a vendor's threads may outlive
// C_Finalize, and code that is unloaded under them crashes at exit.
static std::shared_ptr<Module> open_loaded(CK_FUNCTION_LIST* functions, std::string path,
                                           const Module::Options& options) {
    return find_or_make(registry().modules, functions, [&] {
        auto state = std::make_unique<Module::State>();
        state->functions = functions;
        state->path = std::move(path);
        state->finalize = options.finalize;
        state->reserved = options.init_reserved;
        if (const KitText reserved{p11_kit_config_option(functions, "x-init-reserved")};
            reserved && state->reserved.empty()) {
            state->reserved = reserved.get();
        }
        state->initialize();
        return Module::State::wrap(std::move(state));
    });
}

// NAME tells this module from others in processes of their own.
static std::shared_ptr<Module> open_served(const std::string& name, std::vector<std::string> command,
                                           const Module::Isolation& isolation) {
    return find_or_make(registry().served, name, [&] {
        auto state = std::make_unique<Module::State>();
        state->path = name;
        state->served = std::make_unique<ServedModule>(std::move(command), isolation.deadline);
        state->functions = state->served->load_client();
        state->initialize();
        return Module::State::wrap(std::move(state));
    });
}

std::shared_ptr<Module> Module::open(const std::string& path) {
    return open(path, Options{});
}

std::shared_ptr<Module> Module::open(const std::string& path, const Options& options) {
    CK_FUNCTION_LIST* functions =
        p11_kit_module_load(path.c_str(), P11_KIT_MODULE_UNMANAGED | P11_KIT_MODULE_CRITICAL);
    if (functions == nullptr) {
        const char* reason = p11_kit_message();
        throw Error(Errc::ModuleNotLoaded, "loading", path, reason != nullptr ? reason : "check the path");
    }
    return open_loaded(functions, path, options);
}

std::shared_ptr<Module> Module::open_isolated(const std::string& path, const Isolation& isolation) {
    return open_served(path, {"p11-kit", "remote", path}, isolation);
}

std::shared_ptr<Module> Module::open_command(const std::string& command, const Isolation& isolation) {
    return open_served("|" + command, {"/bin/sh", "-c", command}, isolation);
}

std::vector<std::shared_ptr<Module>> Module::open_configured(std::vector<Failure>& failures,
                                                             const std::optional<Isolation>& isolation) {
    QuirkTable::of_process();  // when it cannot be read, that is no module's failure
    std::vector<std::shared_ptr<Module>> modules;
    const std::unique_ptr<CK_FUNCTION_LIST*, FreeWith<std::free>> list(
        p11_kit_modules_load(nullptr, P11_KIT_MODULE_UNMANAGED));
    for (CK_FUNCTION_LIST** at = list.get(); at != nullptr && *at != nullptr; ++at) {
        // A module with a trust policy holds certificates of authorities and no keys.
        const KitText trust{p11_kit_config_option(*at, "trust-policy")};
        if (trust && std::string_view(trust.get()) == "yes") continue;
        const KitText file{p11_kit_module_get_filename(*at)};
        const KitText name{p11_kit_module_get_name(*at)};
        const std::string path = file ? file.get() : name ? name.get() : "a configured module";
        try {
            if (isolation) {
                modules.push_back(open_isolated(path, *isolation));
                continue;
            }
            modules.push_back(open_loaded(*at, path, {}));
        } catch (const Error& e) {
            failures.push_back({path, e.what()});
        }
    }
    return modules;
}

Module::~Module() {
    Registry& known = registry();
    const std::scoped_lock lock(known.mutex);
    // A child abandons what its parent initialised.
    if (state_->process == getpid() && state_->owns_initialization &&
        state_->finalize == Finalize::WhenLastUserGoes) {
        (void)state_->try_call(&CK_FUNCTION_LIST::C_Finalize, static_cast<void*>(nullptr));
        if (state_->served) state_->served->set_finalized();
    }
    if (state_->served) {
        known.served.erase(state_->path);
    } else {
        known.modules.erase(state_->functions);
    }
}

const std::string& Module::path() const noexcept {
    return state_->path;
}
Module::State& Module::state() const {
    return *state_;
}
void* Module::native_function_list() const noexcept {
    return state_->functions;
}

struct NativeCalls::Guards {
    explicit Guards(ServedModule* served) : limited(served) {}
    ModuleCall call;
    ServedModule::Call limited;
};

// A child that has not called the module yet has no connection of its own.
NativeCalls::NativeCalls(const Module& module)
    : guards_(std::make_unique<Guards>(module.state().process == getpid() ? module.state().served.get()
                                                                          : nullptr)) {}
NativeCalls::~NativeCalls() = default;

Module::Info Module::info() const {
    state_->adopt_process();
    CK_INFO info{};
    state_->check(state_->try_call(&CK_FUNCTION_LIST::C_GetInfo, &info), "C_GetInfo", path());
    return {.manufacturer = from_padded(info.manufacturerID),
            .description = from_padded(info.libraryDescription),
            .cryptoki_major = info.cryptokiVersion.major,
            .cryptoki_minor = info.cryptokiVersion.minor,
            .library_major = info.libraryVersion.major,
            .library_minor = info.libraryVersion.minor};
}

ModuleQuirks Module::quirks() const {
    return find_quirks(QuirkTable::of_process(), info());
}

std::vector<SlotInfo> Module::slots(Slots which) const {
    state_->adopt_process();
    const CK_BBOOL with_token = which == Slots::WithToken ? CK_TRUE : CK_FALSE;
    std::vector<CK_SLOT_ID> ids;
    for (;;) {
        CK_ULONG count = 0;
        CK_SLOT_ID* none = nullptr;
        state_->check(state_->try_call(&CK_FUNCTION_LIST::C_GetSlotList, with_token, none, &count),
                      "C_GetSlotList", path());
        ids.resize(count);
        if (count == 0) break;
        const CK_RV rv = state_->try_call(&CK_FUNCTION_LIST::C_GetSlotList, with_token, ids.data(), &count);
        if (rv == CKR_BUFFER_TOO_SMALL) continue;  // a reader came between the two calls
        state_->check(rv, "C_GetSlotList", path());
        ids.resize(count);
        break;
    }
    std::vector<SlotInfo> slots;
    slots.reserve(ids.size());
    for (const CK_SLOT_ID id : ids) {
        CK_SLOT_INFO info{};
        if (state_->try_call(&CK_FUNCTION_LIST::C_GetSlotInfo, id, &info) != CKR_OK)
            continue;  // gone meanwhile
        slots.push_back({.id = SlotId{id},
                         .description = from_padded(info.slotDescription),
                         .manufacturer = from_padded(info.manufacturerID),
                         .token_present = (info.flags & CKF_TOKEN_PRESENT) != 0,
                         .removable = (info.flags & CKF_REMOVABLE_DEVICE) != 0,
                         .hardware = (info.flags & CKF_HW_SLOT) != 0});
    }
    return slots;
}

std::optional<SlotId> Module::poll_slot_event() const {
    state_->adopt_process();
    CK_SLOT_ID slot = 0;
    const CK_RV rv =
        state_->try_call(&CK_FUNCTION_LIST::C_WaitForSlotEvent, static_cast<CK_FLAGS>(CKF_DONT_BLOCK), &slot,
                         static_cast<void*>(nullptr));
    if (rv == CKR_NO_EVENT) return std::nullopt;
    state_->check(rv, "C_WaitForSlotEvent", path());
    return SlotId{slot};
}

std::vector<Token> Module::tokens() const {
    std::vector<Token> tokens;
    const auto self = std::const_pointer_cast<Module>(shared_from_this());
    for (const SlotInfo& slot : slots(Slots::WithToken)) {
        try {
            auto info = find_token_info(slot.id);
            if (info && info->initialized) tokens.emplace_back(self, slot.id, std::move(*info));
        } catch (const Error& e) {
            // A token that cannot say who it is must not hide the others.
            if (e.code() == Recovery::session_lost) throw;
        }
    }
    return tokens;
}

}  // namespace ctlsign::pkcs11
