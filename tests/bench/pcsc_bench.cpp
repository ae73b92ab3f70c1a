#include <benchmark/benchmark.h>

#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include <pkcs11/reader_events.hpp>
#include <pkcs11/watcher.hpp>
#include <tests/bench/timing.hpp>
#include <tests/pcsc/virtual_card.hpp>

// A card in a reader of the real pcscd; run by tests/pcsc/with_pcscd. Medians in milliseconds.
namespace ctlsign {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Change = pkcs11::Watcher::Change;

// Waits until pcscd tells that a card is in some reader, or in none.
Clock::time_point wait_for_reader(pkcs11::ReaderEvents& readers, bool card_present) {
    const auto* reader = readers.find("Virtual PCD 00 00");
    while (reader == nullptr || reader->card_present != card_present) {
        readers.wait(1s);
        reader = readers.find("Virtual PCD 00 00");
    }
    return Clock::now();
}

// From the pull and the plug until the watcher tells of it, beside when pcscd tells of its reader.
void watcher_notices_card(benchmark::State& state) {
    testing::VirtualCard card(testing::make_piv_card(1, "krakow/tokens/SAST-ADN008580ef"));
    card.insert();
    pkcs11::ReaderEvents readers;
    while (!readers.connect()) std::this_thread::sleep_for(10ms);
    testing::WatcherBell bell;
    const pkcs11::Watcher watcher({pkcs11::Module::open("opensc-pkcs11.so")}, bell.callback());
    bell.wait_for(Change::Arrived, {});
    std::vector<double> reader_times, watcher_times;
    const auto measure = [&](Change change, auto act) {
        std::this_thread::sleep_for(3s);  // so that nobody is on the alert
        const bool present = change == Change::Arrived;
        auto reader = std::async(std::launch::async, [&] { return wait_for_reader(readers, present); });
        const auto since = Clock::now();
        act();
        watcher_times.push_back(bell.wait_for(change, since));
        reader_times.push_back(testing::milliseconds(reader.get() - since));
    };
    for (auto _ : state) {
        measure(Change::Left, [&] { card.pull(); });
        measure(Change::Arrived, [&] { card.insert(); });
    }
    state.counters["pcscd_ms"] = testing::median(reader_times);
    state.counters["watcher_ms"] = testing::median(watcher_times);
    state.counters["beyond_ms"] = testing::median(watcher_times) - testing::median(reader_times);
}
BENCHMARK(watcher_notices_card)->Unit(benchmark::kMillisecond)->Iterations(8);

}  // namespace
}  // namespace ctlsign
