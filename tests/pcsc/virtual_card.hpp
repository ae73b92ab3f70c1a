#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include <tests/pcsc/piv_card.hpp>

namespace ctlsign::testing {

/// A card and the hand that moves it between the readers of vpcd, PC/SC's virtual driver: a connection is a
/// card put in, its end is a card pulled. The card keeps its PIN tries while it is out.
class VirtualCard {
  public:
    /// The port of reader 0 (tests/pcsc/with_pcscd); reader 1 has the next.
    static constexpr unsigned kFirstPort = 0x8C7B;

    explicit VirtualCard(std::unique_ptr<PivCard> card);
    VirtualCard(const VirtualCard&) = delete;
    VirtualCard& operator=(const VirtualCard&) = delete;
    ~VirtualCard();

    /// Throws std::system_error when READER does not listen. A card that is in is pulled first.
    void insert(unsigned reader = 0);
    void pull();

    /// The next signature command is the end of the connection: the card gets it and is gone.
    void pull_in_signature() { pull_in_signature_ = true; }
    /// From now on each signature takes so much longer.
    void delay_signatures(std::chrono::milliseconds delay) { delay_ms_ = delay.count(); }
    /// The next signature command is never answered.
    void be_silent() { silent_ = true; }

    PivCard& card() { return *card_; }
    /// Signature commands that came in.
    unsigned signatures() const { return signatures_; }

  private:
    void serve(int connection);
    /// False when the connection is to end.
    bool serve_one(int connection);
    /// False when the card was pulled meanwhile.
    bool wait_for(std::chrono::milliseconds time);

    std::unique_ptr<PivCard> card_;
    std::thread server_;
    int connection_ = -1;
    std::mutex mutex_;
    std::condition_variable pulled_;
    bool in_ = false;  ///< guarded by mutex_
    std::atomic<bool> pull_in_signature_ = false, silent_ = false;
    std::atomic<std::chrono::milliseconds::rep> delay_ms_ = 0;
    std::atomic<unsigned> signatures_ = 0;
};

}  // namespace ctlsign::testing
