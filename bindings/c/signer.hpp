#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include <bindings/c/argument.hpp>
#include <pkcs11/digest.hpp>
#include <sast/pin_source.hpp>
#include <sast/signer.hpp>

namespace ctlsign::c {

/// One thread at a time. One that comes again from a callback is refused, as it would wait for itself.
class OneAtATime {
  public:
    class Turn {
      public:
        explicit Turn(OneAtATime& all);
        ~Turn();
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

      private:
        OneAtATime& all_;
        std::unique_lock<std::mutex> lock_;
    };

  private:
    std::mutex mutex_;
    std::atomic<std::thread::id> owner_;
};

/// Asks the caller's callback.
class CallbackPins final : public sast::PinSource {
  public:
    CallbackPins(ctlsign_pin_callback callback, void* user) noexcept : callback_(callback), user_(user) {}
    pkcs11::Pin ask(const sast::PinRequest& request) override;
    void look_at_reader(const sast::PinRequest& request) override;

  private:
    ctlsign_pin_callback callback_;
    void* user_;
};

/// Throws Refusal (CTLSIGN_STATUS_ARGUMENT) on a number that is none.
Digest digest_of(ctlsign_digest digest);

}  // namespace ctlsign::c

struct ctlsign_signer : ctlsign::c::Object {
    ctlsign_signer(ctlsign_pin_callback callback, void* user) : pins(callback, user) {}

    /// For one operation.
    class Use {
      public:
        explicit Use(ctlsign_signer& signer) : turn_(signer.in_use), signer_(*signer.signer) {}
        ctlsign::sast::Signer& operator*() const noexcept { return signer_; }

      private:
        ctlsign::c::OneAtATime::Turn turn_;
        ctlsign::sast::Signer& signer_;
    };

    void handle_closed() override { closed = true; }

    std::atomic<bool> closed = false;
    ctlsign::c::CallbackPins pins;
    std::unique_ptr<ctlsign::sast::Signer> signer;
    std::function<void()> unlock;
    ctlsign::c::OneAtATime in_use;
};
