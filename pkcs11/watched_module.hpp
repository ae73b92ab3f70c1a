#pragma once

// Private, as cryptoki.hpp: one module under a watcher's eye.
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include <pkcs11/module.hpp>
#include <pkcs11/reader_events.hpp>
#include <pkcs11/token.hpp>

namespace ctlsign::pkcs11 {

/// The tokens of a module as they were at the last look, and what it takes to look again. For one thread.
class WatchedModule {
  public:
    using Clock = std::chrono::steady_clock;

    explicit WatchedModule(std::shared_ptr<Module> module);

    /// Asks the module for its events and slots, and for tokens that may be others than before. READERS is
    /// believed about cards where it knows a slot. Returns the tokens that have left, among them those that
    /// are back already. A module that fails for a second has none any more.
    std::vector<Token> look(const ReaderEvents& readers);
    /// What is there now.
    std::vector<Token> tokens() const;
    /// How long the last look took.
    Clock::duration cost() const noexcept { return cost_; }
    /// Whether pcscd tells of every slot, so that there is little to look for.
    bool covered() const noexcept { return covered_; }

  private:
    /// A slot in which there is a token.
    struct Slot {
        std::optional<Token> token;      ///< none when not initialised, or not read yet
        bool read = false;               ///< it has said who it is
        Clock::time_point read_at;       ///< the last attempt
        std::optional<unsigned> events;  ///< pcscd's count when it was there

        /// Whether it was out and in again, as pcscd's READER says, or else the module's EVENT.
        bool was_replaced(const ReaderEvents::Reader* reader, bool event);
    };

    std::set<SlotId> take_events();
    /// Those with something in them; nothing when the module does not answer.
    std::optional<std::vector<SlotInfo>> list_slots(const ReaderEvents& readers, Clock::time_point now);
    void read(SlotId id, Slot& slot, std::vector<Token>& left) const;

    std::shared_ptr<Module> module_;
    bool has_events_;
    bool covered_ = false;
    bool looked_ = false;
    Clock::duration cost_{};
    std::map<SlotId, Slot> slots_;
    /// Told behind the last look's back.
    std::set<SlotId> late_events_;
    /// Slots that changed before the module told, and until when it may tell of that.
    std::map<SlotId, Clock::time_point> awaited_;
    std::optional<Clock::time_point> failing_since_;
};

}  // namespace ctlsign::pkcs11
