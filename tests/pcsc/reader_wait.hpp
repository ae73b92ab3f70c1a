#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include <pkcs11/reader_events.hpp>

namespace ctlsign::testing {

/// Reader 0 of VirtualCard, as pcscd calls it.
inline constexpr const char* kReader = "Virtual PCD 00 00";

/// Whether CONDITION comes true within half a minute; it is asked at each change that pcscd tells of.
inline bool wait_for(pkcs11::ReaderEvents& readers, const std::function<bool()>& condition) {
    using namespace std::chrono_literals;
    for (const auto end = std::chrono::steady_clock::now() + 30s; std::chrono::steady_clock::now() < end;) {
        if (condition()) return true;
        if (readers.connected()) {
            readers.wait(100ms);
        } else if (!readers.connect()) {
            std::this_thread::sleep_for(10ms);
        }
    }
    return false;
}

enum class Card { In, Out };
/// Whether pcscd comes to see CARD in reader 0, or out of it.
inline bool wait_for(pkcs11::ReaderEvents& readers, Card card) {
    return wait_for(readers, [&] {
        const auto* reader = readers.find(kReader);
        return reader != nullptr && reader->card_present == (card == Card::In);
    });
}

}  // namespace ctlsign::testing
