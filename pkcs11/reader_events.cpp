#include <algorithm>

#include <pkcs11/reader_events.hpp>

namespace ctlsign::pkcs11 {

namespace {

using namespace std::chrono_literals;

constexpr auto kTryAgain = 500ms;
// pcsc-lite before 2.3 tells of a new reader only to those who are waiting at that moment.
constexpr auto kListAgain = 1s;
constexpr const char* kReaderList = R"(\\?PnP?\Notification)";
constexpr std::size_t kMaxDescription = 64;  // CK_SLOT_INFO

}  // namespace

bool ReaderEvents::connect() {
    const auto now = Clock::now();
    if (connected_ || now < try_again_) return false;
    try_again_ = now + kTryAgain;
    SCARDCONTEXT context = 0;
    if (SCardEstablishContext(SCARD_SCOPE_SYSTEM, nullptr, nullptr, &context) != SCARD_S_SUCCESS)
        return false;
    context_ = context;
    connected_ = true;
    list_readers();
    return true;
}

void ReaderEvents::disconnect() noexcept {
    if (connected_) SCardReleaseContext(context_);
    connected_ = false;
    readers_.clear();
    states_.clear();
}

// True when the list, or what is in the readers, is another than before.
bool ReaderEvents::list_readers() {
    list_again_ = Clock::now() + kListAgain;
    std::vector<char> names;
    LONG rv{};
    do {  // again where a reader came between the two calls
        DWORD size = 0;
        rv = SCardListReaders(context_, nullptr, nullptr, &size);
        names.resize(rv == SCARD_S_SUCCESS ? size : 0);
        if (rv == SCARD_S_SUCCESS) rv = SCardListReaders(context_, nullptr, names.data(), &size);
    } while (rv == SCARD_E_INSUFFICIENT_BUFFER);
    if (rv != SCARD_S_SUCCESS && rv != SCARD_E_NO_READERS_AVAILABLE) {
        disconnect();
        return true;
    }
    // Name after name, each with its NUL, and one more NUL.
    std::map<std::string, Reader> listed;
    for (const char* name = names.data(); !names.empty() && *name != '\0';
         name += std::string_view(name).size() + 1) {
        const auto known = readers_.find(name);
        listed.emplace(name, known == readers_.end() ? Reader{} : known->second);
    }
    const bool same = std::ranges::equal(listed, readers_, {}, &decltype(listed)::value_type::first,
                                         &decltype(listed)::value_type::first);
    if (same && !states_.empty()) return false;
    readers_ = std::move(listed);
    states_.clear();
    for (const auto& [name, reader] : readers_) {
        SCARD_READERSTATE state{};
        state.szReader = name.c_str();
        state.dwCurrentState = SCARD_STATE_UNAWARE;
        states_.push_back(state);
    }
    SCARD_READERSTATE list{};
    list.szReader = kReaderList;
    states_.push_back(list);
    // What they hold is known a moment later.
    if (SCardGetStatusChange(context_, 0, states_.data(), static_cast<DWORD>(states_.size())) ==
        SCARD_S_SUCCESS) {
        take_states();
    }
    return true;
}

// What the last call told; true when a card came or went.
bool ReaderEvents::take_states() {
    bool changed = false;
    auto state = states_.begin();
    for (auto& [name, reader] : readers_) {
        const Reader now{.card_present = (state->dwEventState & SCARD_STATE_PRESENT) != 0,
                         .events = static_cast<unsigned>(state->dwEventState >> 16)};
        changed |= now != reader;
        reader = now;
        state->dwCurrentState = state->dwEventState & ~static_cast<DWORD>(SCARD_STATE_CHANGED);
        ++state;
    }
    return changed;
}

void ReaderEvents::cancel() noexcept {
    if (waiting_) SCardCancel(context_);
}

bool ReaderEvents::wait(std::chrono::milliseconds limit) {
    waiting_ = true;
    const LONG rv = SCardGetStatusChange(context_, static_cast<DWORD>(limit.count()), states_.data(),
                                         static_cast<DWORD>(states_.size()));
    waiting_ = false;
    if (rv == SCARD_E_CANCELLED) return false;
    const bool told = rv == SCARD_S_SUCCESS || rv == SCARD_E_TIMEOUT;
    if (!told && rv != SCARD_E_UNKNOWN_READER) {
        disconnect();
        return true;
    }
    bool changed = told && take_states();
    const bool list_changed = !told || (states_.back().dwEventState & SCARD_STATE_CHANGED) != 0;
    if (list_changed || Clock::now() >= list_again_) changed |= list_readers();
    return changed;
}

const ReaderEvents::Reader* ReaderEvents::find(std::string_view slot_description) const {
    // Cut to the length of the field, and then without the blanks at its end.
    for (const auto& [name, reader] : readers_) {
        std::string_view shown = std::string_view(name).substr(0, kMaxDescription);
        while (shown.ends_with(' ')) shown.remove_suffix(1);
        if (shown == slot_description) return &reader;
    }
    return nullptr;
}

}  // namespace ctlsign::pkcs11
