#pragma once

// Private, as cryptoki.hpp: what pcscd tells of readers and cards.
#include <winscard.h>

#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ctlsign::pkcs11 {

/// Readers and cards as pcscd sees them. Works without pcscd, and with one that goes and comes. For one
/// thread, but for cancel().
class ReaderEvents {
  public:
    struct Reader {
        bool card_present = false;
        unsigned events = 0;  ///< pcscd counts insertions and removals, so it grows even when nobody looked
        bool operator==(const Reader&) const = default;
    };

    ReaderEvents() = default;
    ~ReaderEvents() { disconnect(); }
    ReaderEvents(const ReaderEvents&) = delete;
    ReaderEvents& operator=(const ReaderEvents&) = delete;

    bool connected() const noexcept { return connected_; }
    /// Looks for pcscd, now and then. True when it is newly found.
    bool connect();
    /// Waits for a change at any reader while connected; true when there was one, pcscd's own end included.
    bool wait(std::chrono::milliseconds limit);
    /// Ends a wait() that is under way.
    void cancel() noexcept;
    void disconnect() noexcept;
    /// The reader that a slot's description names, as most modules for cards have it.
    const Reader* find(std::string_view slot_description) const;

  private:
    using Clock = std::chrono::steady_clock;
    bool list_readers();
    bool take_states();

    std::atomic<SCARDCONTEXT> context_ = 0;
    std::atomic<bool> waiting_ = false;
    bool connected_ = false;
    Clock::time_point try_again_, list_again_;
    std::map<std::string, Reader> readers_;
    std::vector<SCARD_READERSTATE> states_;  ///< of readers_, in their order, and of their list
};

}  // namespace ctlsign::pkcs11
