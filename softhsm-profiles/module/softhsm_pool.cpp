#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>

#include <pkcs11/error.hpp>
#include <softhsm-profiles/module/module.hpp>
#include <softhsm-profiles/module/softhsm_pool.hpp>
#include <softhsm-profiles/private_copy.hpp>
#include <softhsm-profiles/softhsm_module.hpp>

namespace ctlsign::virtual_token {

namespace {

constexpr auto kLongestCallAtExit = std::chrono::seconds(10);

// A variable of the environment that has another value for the life of the object.
class Variable {
  public:
    Variable(const char* name, const std::string& value) : name_(name) {
        if (const char* now = std::getenv(name)) before_ = now;
        setenv(name, value.c_str(), 1);
    }
    ~Variable() {
        if (before_) {
            setenv(name_, before_->c_str(), 1);
        } else {
            unsetenv(name_);
        }
    }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

  private:
    const char* name_;
    std::optional<std::string> before_;
};

void close_at_exit() {
    if (Module* module = Module::find()) module->pool().close_for_exit();
}

void check(CK_RV rv, const char* function) {
    if (rv != CKR_OK) throw Error(pkcs11::make_rv(rv), function, "a virtual token's SoftHSM2", "");
}

CK_SLOT_ID find_token(const CK_FUNCTION_LIST& softhsm) {
    CK_ULONG count = 0;
    check(softhsm.C_GetSlotList(CK_TRUE, nullptr, &count), "C_GetSlotList");
    std::vector<CK_SLOT_ID> slots(count);
    check(softhsm.C_GetSlotList(CK_TRUE, slots.data(), &count), "C_GetSlotList");
    for (const CK_SLOT_ID slot : slots) {
        CK_TOKEN_INFO info{};
        if (softhsm.C_GetTokenInfo(slot, &info) == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED) != 0)
            return slot;
    }
    check(CKR_TOKEN_NOT_RECOGNIZED, "C_GetSlotList");
    return 0;
}

}  // namespace

SoftHsm::SoftHsm(SoftHsmPool& pool, CK_FUNCTION_LIST* functions) : pool_(pool), functions_(functions) {
    try {
        slot_ = find_token(*functions_);
    } catch (...) {
        functions_->C_Finalize(nullptr);
        pool_.give_back(functions_);
        throw;
    }
}

SoftHsm::~SoftHsm() {
    if (!pool_.enter()) return;
    functions_->C_Finalize(nullptr);
    pool_.leave();
    pool_.give_back(functions_);
}

void SoftHsmPool::give_back(CK_FUNCTION_LIST* functions) {
    const std::scoped_lock lock(mutex_);
    idle_.push_back(functions);
}

CK_FUNCTION_LIST* SoftHsmPool::take_idle() {
    const std::scoped_lock lock(mutex_);
    if (idle_.empty()) return nullptr;
    CK_FUNCTION_LIST* functions = idle_.back();
    idle_.pop_back();
    return functions;
}

std::unique_ptr<SoftHsm> SoftHsmPool::start(const std::filesystem::path& configuration) {
    CK_FUNCTION_LIST* functions = take_idle();
    const bool loaded = functions == nullptr;
    if (loaded) functions = softhsm::load_private_copy(softhsm::find_softhsm_module());
    CK_RV rv = CKR_OK;
    {
        const std::scoped_lock lock(environment_mutex_);
        const Variable variable("SOFTHSM2_CONF", configuration.string());
        CK_C_INITIALIZE_ARGS arguments{};
        arguments.flags = CKF_OS_LOCKING_OK;
        rv = functions->C_Initialize(&arguments);
    }
    // What is registered last runs first: before the destructors of this copy and OpenSSL's.
    if (loaded) std::atexit(close_at_exit);
    if (rv != CKR_OK) {
        give_back(functions);
        check(rv, "C_Initialize");
    }
    return std::make_unique<SoftHsm>(*this, functions);
}

bool SoftHsmPool::enter() noexcept {
    ++calls_;
    if (!exiting_) return true;
    leave();
    return false;
}

void SoftHsmPool::close_for_exit() noexcept {
    exiting_ = true;
    const auto deadline = std::chrono::steady_clock::now() + kLongestCallAtExit;
    while (calls_ > 0 && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

}  // namespace ctlsign::virtual_token
