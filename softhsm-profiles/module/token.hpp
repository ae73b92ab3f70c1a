#pragma once

#include <p11-kit/pkcs11.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>

#include <pkcs11/descriptor.hpp>
#include <softhsm-profiles/module/pin_counter.hpp>
#include <softhsm-profiles/module/softhsm_pool.hpp>
#include <softhsm-profiles/profile.hpp>

namespace ctlsign::virtual_token {

/// A token from the moment that it is plugged in until it is pulled. Plugged in again it is another object:
/// nothing of the first life is left in the second.
class Token {
  public:
    /// PLUGGED_SINCE: when its link was made. Throws Error when there is no such token.
    Token(const std::filesystem::path& folder, const std::string& name,
          std::chrono::system_clock::time_point plugged_since, SoftHsmPool& pool);

    const softhsm::Profile& profile() const noexcept { return profile_; }
    PinCounter& pin_counter() noexcept { return pin_counter_; }

    /// Pulled, or C_Finalize was called.
    bool gone() const noexcept { return gone_; }
    void leave() noexcept { gone_ = true; }

    /// FUNCTION(function list, slot), called on the token's SoftHSM2, which is started when it is needed.
    /// Throws Error when it does not start.
    template <typename Function>
    CK_RV call(Function function) {
        if (gone_) return CKR_DEVICE_REMOVED;
        const SoftHsm& softhsm = start();
        return softhsm.call([&](CK_FUNCTION_LIST& list) { return function(list, softhsm.slot()); });
    }

    /// Whether its objects can be seen already.
    bool settled() const;
    /// Whether MECHANISM is one that the profile leaves.
    bool offers(CK_MECHANISM_TYPE mechanism) const;

    /// A profile that names its mechanisms names its key sizes too.
    bool restricts_key_sizes() const noexcept { return !profile_.key.mechanisms.empty(); }

    /// CKR_SESSION_COUNT while the token is busy after the last session.
    CK_RV admit_session() const;
    void count_opened_session();
    void count_closed_session();
    bool has_sessions() const;
    /// The user PIN that it was made with.
    std::string read_pin() const;

    /// Of a profile that does one operation at a time: whether SESSION may begin one, has one already, or
    /// must wait for another session or process.
    enum class Turn { Begun, Had, Busy };
    Turn begin_operation(CK_SESSION_HANDLE session);
    void end_operation(CK_SESSION_HANDLE session);

  private:
    const SoftHsm& start();

    std::filesystem::path folder_;
    softhsm::Profile profile_;
    PinCounter pin_counter_;
    std::chrono::system_clock::time_point plugged_since_;
    SoftHsmPool& pool_;
    std::atomic<bool> gone_ = false;

    mutable std::mutex mutex_;
    std::unique_ptr<SoftHsm> softhsm_;
    std::atomic<const SoftHsm*> started_ = nullptr;
    unsigned sessions_ = 0;
    std::optional<std::chrono::steady_clock::time_point> closed_;  // the last session
    CK_SESSION_HANDLE operating_ = CK_INVALID_HANDLE;
    Descriptor operation_lock_;
};

}  // namespace ctlsign::virtual_token
