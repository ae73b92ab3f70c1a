#pragma once

#include <p11-kit/pkcs11.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace ctlsign::virtual_token {

class SoftHsmPool;

/// A SoftHSM2 of one token's own, initialised; finalized when the object goes.
class SoftHsm {
  public:
    SoftHsm(SoftHsmPool& pool, CK_FUNCTION_LIST* functions, std::string configuration);
    ~SoftHsm();
    SoftHsm(const SoftHsm&) = delete;
    SoftHsm& operator=(const SoftHsm&) = delete;

    /// The slot of its one token.
    CK_SLOT_ID slot() const noexcept { return slot_; }

    /// FUNCTION called with the function list; CKR_CRYPTOKI_NOT_INITIALIZED when the process is exiting.
    template <typename Function>
    CK_RV call(Function function) const;

  private:
    SoftHsmPool& pool_;
    CK_FUNCTION_LIST* functions_;
    std::string configuration_;
    CK_SLOT_ID slot_ = 0;
};

/// Copies of SoftHSM2 in this process. One that was finalized is used again, because none can be unloaded.
class SoftHsmPool {
  public:
    /// CONFIGURATION is a softhsm2.conf. Waits until a SoftHSM2 that had the same one is finalized, a second
    /// at most: within a process SoftHSM2's locks on its files do not hold. Throws Error.
    std::unique_ptr<SoftHsm> start(const std::filesystem::path& configuration);

    /// Refuses calls from now on and waits for those that run, ten seconds at most: SoftHSM2's destructors
    /// crash under a call.
    void close_for_exit() noexcept;

  private:
    friend class SoftHsm;
    CK_FUNCTION_LIST* take_idle();
    void initialize(const CK_FUNCTION_LIST& functions, const std::string& configuration);
    void give_back(CK_FUNCTION_LIST* functions, const std::string& configuration);
    void claim(const std::string& configuration);
    bool enter() noexcept;
    void leave() noexcept { --calls_; }

    std::mutex environment_mutex_;  // SoftHSM2 takes its configuration from the environment
    std::mutex mutex_;              // guards the next two
    std::vector<CK_FUNCTION_LIST*> idle_;
    std::multiset<std::string> configurations_;  // of those that live
    std::condition_variable given_back_;
    std::atomic<int> calls_ = 0;
    std::atomic<bool> exiting_ = false;
};

template <typename Function>
CK_RV SoftHsm::call(Function function) const {
    if (!pool_.enter()) return CKR_CRYPTOKI_NOT_INITIALIZED;
    const CK_RV rv = function(*functions_);
    pool_.leave();
    return rv;
}

}  // namespace ctlsign::virtual_token
