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
constexpr auto kLongestFarewell = std::chrono::seconds(1);

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

SoftHsm::SoftHsm(SoftHsmPool& pool, CK_FUNCTION_LIST* functions, std::string configuration)
    : pool_(pool), functions_(functions), configuration_(std::move(configuration)) {
    try {
        slot_ = find_token(*functions_);
    } catch (...) {
        functions_->C_Finalize(nullptr);
        pool_.give_back(functions_, configuration_);
        throw;
    }
}

SoftHsm::~SoftHsm() {
    if (!pool_.enter()) return;
    functions_->C_Finalize(nullptr);
    pool_.leave();
    pool_.give_back(functions_, configuration_);
}

void SoftHsmPool::give_back(CK_FUNCTION_LIST* functions, const std::string& configuration) {
    {
        const std::scoped_lock lock(mutex_);
        if (functions != nullptr) idle_.push_back(functions);
        configurations_.erase(configurations_.find(configuration));
    }
    given_back_.notify_all();
}

void SoftHsmPool::claim(const std::string& configuration) {
    std::unique_lock lock(mutex_);
    given_back_.wait_for(lock, kLongestFarewell, [&] { return !configurations_.contains(configuration); });
    configurations_.insert(configuration);
}

CK_FUNCTION_LIST* SoftHsmPool::take_idle() {
    const std::scoped_lock lock(mutex_);
    if (idle_.empty()) return nullptr;
    CK_FUNCTION_LIST* functions = idle_.back();
    idle_.pop_back();
    return functions;
}

std::unique_ptr<SoftHsm> SoftHsmPool::start(const std::filesystem::path& file) {
    const std::string configuration = file.string();
    claim(configuration);
    CK_FUNCTION_LIST* functions = take_idle();
    try {
        const bool loaded = functions == nullptr;
        if (loaded) functions = softhsm::load_private_copy(softhsm::find_softhsm_module());
        initialize(*functions, configuration);
        // What is registered last runs first: before the destructors of this copy and OpenSSL's.
        if (loaded) std::atexit(close_at_exit);
    } catch (...) {
        give_back(functions, configuration);
        throw;
    }
    return std::make_unique<SoftHsm>(*this, functions, configuration);
}

void SoftHsmPool::initialize(const CK_FUNCTION_LIST& functions, const std::string& configuration) {
    const std::scoped_lock lock(environment_mutex_);
    const Variable variable("SOFTHSM2_CONF", configuration);
    CK_C_INITIALIZE_ARGS arguments{};
    arguments.flags = CKF_OS_LOCKING_OK;
    check(functions.C_Initialize(&arguments), "C_Initialize");
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
