#pragma once

#include <p11-kit/pkcs11.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

namespace ctlsign::virtual_token {

class SoftHsmPool;

/// A SoftHSM2 of one token's own, initialised; finalized when the object goes.
class SoftHsm {
  public:
    SoftHsm(SoftHsmPool& pool, CK_FUNCTION_LIST* functions);
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
    CK_SLOT_ID slot_ = 0;
};

/// Copies of SoftHSM2 in this process. One that was finalized is used again, because none can be unloaded.
class SoftHsmPool {
  public:
    /// CONFIGURATION is a softhsm2.conf. Throws Error.
    std::unique_ptr<SoftHsm> start(const std::filesystem::path& configuration);

    /// Refuses calls from now on and waits for those that run, ten seconds at most: SoftHSM2's destructors
    /// crash under a call.
    void close_for_exit() noexcept;

  private:
    friend class SoftHsm;
    CK_FUNCTION_LIST* take_idle();
    void give_back(CK_FUNCTION_LIST* functions);
    bool enter() noexcept;
    void leave() noexcept { --calls_; }

    std::mutex mutex_;              // guards idle_
    std::mutex environment_mutex_;  // SoftHSM2 takes its configuration from the environment
    std::vector<CK_FUNCTION_LIST*> idle_;
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
