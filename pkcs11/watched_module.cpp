#include <algorithm>
#include <utility>

#include <pkcs11/error.hpp>
#include <pkcs11/quirks.hpp>
#include <pkcs11/reader_events.hpp>
#include <pkcs11/watched_module.hpp>

namespace ctlsign::pkcs11 {

namespace {

using namespace std::chrono_literals;

constexpr int kMostEvents = 64;     // at once; a module that always has one more tells nothing
constexpr auto kEventIsLate = 1s;   // an event that comes later is about something else
constexpr auto kModuleIsGone = 1s;  // a module that fails for so long has no tokens any more
constexpr auto kReadAgain = 1s;     // a token that nobody would tell of when it was replaced

}  // namespace

WatchedModule::WatchedModule(std::shared_ptr<Module> module)
    : module_(std::move(module)), has_events_(!module_->quirks().no_slot_events) {}

std::vector<Token> WatchedModule::tokens() const {
    std::vector<Token> tokens;
    for (const auto& [id, slot] : slots_) {
        if (slot.token) tokens.push_back(*slot.token);
    }
    return tokens;
}

std::set<SlotId> WatchedModule::take_events() {
    std::set<SlotId> slots;
    if (!has_events_) return slots;
    try {
        for (int i = 0; i < kMostEvents; ++i) {
            const auto slot = module_->poll_slot_event();
            if (!slot) return slots;
            slots.insert(*slot);
        }
    } catch (const Error& e) {
        has_events_ = e.code() != Recovery::unsupported;
        return slots;
    }
    has_events_ = false;
    return {};
}

std::optional<std::vector<SlotInfo>> WatchedModule::list_slots(const ReaderEvents& readers,
                                                               Clock::time_point now) {
    std::vector<SlotInfo> slots;
    try {
        slots = module_->slots(Module::Slots::All);
        failing_since_.reset();
    } catch (const Error&) {
        covered_ = false;
        if (!failing_since_) failing_since_ = now;
        if (now - *failing_since_ < kModuleIsGone) return std::nullopt;
        return slots;
    }
    covered_ = readers.connected() && std::ranges::all_of(slots, [&](const SlotInfo& slot) {
                   return readers.find(slot.description) != nullptr;
               });
    std::erase_if(slots, [](const SlotInfo& slot) { return !slot.token_present; });
    return slots;
}

bool WatchedModule::Slot::was_replaced(const ReaderEvents::Reader* reader, bool event) {
    if (reader == nullptr) {
        events.reset();  // another pcscd counts anew
        return event;
    }
    if (!reader->card_present) return false;  // the module does not know yet
    const auto before = std::exchange(events, reader->events);
    return before && *before != reader->events;
}

void WatchedModule::read(SlotId id, Slot& slot, std::vector<Token>& left) const {
    slot.read_at = Clock::now();
    std::optional<TokenInfo> info;
    try {
        info = module_->find_token_info(id);
    } catch (const Error&) {
        return;  // it is there, and cannot say who it is now
    }
    slot.read = info.has_value();
    if (info && !info->initialized) info.reset();
    const bool same = info && slot.token && info->same_token(slot.token->info());
    if (slot.token && !same) left.push_back(std::move(*std::exchange(slot.token, std::nullopt)));
    if (info) slot.token.emplace(module_, id, std::move(*info));
}

std::vector<Token> WatchedModule::look(const ReaderEvents& readers) {
    const auto begin = Clock::now();
    auto events = std::exchange(late_events_, {});
    events.merge(take_events());
    // An event that was awaited tells of what has been seen already.
    std::erase_if(awaited_,
                  [&](const auto& entry) { return events.erase(entry.first) != 0 || entry.second < begin; });
    std::vector<Token> left;
    if (const auto list = list_slots(readers, begin)) {
        std::set<SlotId> changed;
        std::erase_if(slots_, [&](auto& entry) {
            if (std::ranges::find(*list, entry.first, &SlotInfo::id) != list->end()) return false;
            if (entry.second.token) left.push_back(std::move(*entry.second.token));
            changed.insert(entry.first);
            return true;
        });
        for (const SlotInfo& info : *list) {
            const auto [entry, fresh] = slots_.try_emplace(info.id);
            if (fresh) changed.insert(info.id);
            Slot& slot = entry->second;
            const auto* reader = readers.find(info.description);
            if (slot.was_replaced(reader, !fresh && events.contains(info.id))) {
                if (slot.token) left.push_back(std::move(*std::exchange(slot.token, std::nullopt)));
                slot.read = false;
            }
            // Nobody would tell that it was replaced, and asking does not disturb it.
            const bool unwatched = reader == nullptr && begin - slot.read_at > kReadAgain &&
                                   !(slot.token && slot.token->quirks().one_operation_at_a_time);
            if (!slot.read || unwatched) read(info.id, slot, left);
        }
        // The events of what has just been seen are here by now, or still to come.
        auto late = take_events();
        for (const SlotId slot : changed) {
            if (late.erase(slot) == 0 && !events.contains(slot) && looked_)
                awaited_[slot] = begin + kEventIsLate;
        }
        if (looked_) late_events_ = std::move(late);
        looked_ = true;
    }
    cost_ = Clock::now() - begin;
    return left;
}

}  // namespace ctlsign::pkcs11
