#include <benchmark/benchmark.h>
#include <p11-kit/pkcs11.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <pkcs11/watcher.hpp>
#include <sast/pin_ledger.hpp>
#include <sast/token_signer.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/bench/timing.hpp>
#include <tests/support/counting_pins.hpp>
#include <tests/support/cryptoki.hpp>
#include <tests/support/own_state.hpp>
#include <tests/support/temporary_folder.hpp>

// How long it takes until a token that was pulled, or put back, is known to be, and signs again; and what a
// look into the ledger of PINs costs. Medians in milliseconds.
namespace ctlsign {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using testing::Cryptoki;
using testing::median;
using testing::milliseconds;
using testing::VirtualToken;
using Change = pkcs11::Watcher::Change;

// From the pull and from the plug until the watcher tells of it, each after half a second in which nothing
// happened.
void watcher_notices(benchmark::State& state) {
    VirtualToken token("plain-softhsm");
    testing::WatcherBell bell;
    const pkcs11::Watcher watcher({pkcs11::Module::open(VirtualToken::module())}, bell.callback());
    bell.wait_for(Change::Arrived, {});
    std::vector<double> pulls, plugs;
    for (auto _ : state) {
        std::this_thread::sleep_for(500ms);
        auto since = Clock::now();
        token.unplug();
        pulls.push_back(bell.wait_for(Change::Left, since));
        std::this_thread::sleep_for(500ms);
        since = Clock::now();
        token.plug();
        plugs.push_back(bell.wait_for(Change::Arrived, since));
    }
    state.counters["pull_ms"] = median(pulls);
    state.counters["plug_ms"] = median(plugs);
}
BENCHMARK(watcher_notices)->Unit(benchmark::kMillisecond)->Iterations(20);

// The same steps with nothing but Cryptoki, by somebody who knows when to begin.
double sign_bare(const Cryptoki& cryptoki, const std::string& pin, Clock::time_point since) {
    const CK_SESSION_HANDLE session = cryptoki.open(0);
    Cryptoki::must(cryptoki.login(session, pin), "C_Login");
    const CK_OBJECT_HANDLE key = cryptoki.find(session, CKO_PRIVATE_KEY).at(0);
    CK_BYTE input[3]{}, signature[512]{};
    CK_ULONG size = sizeof signature;
    Cryptoki::must(cryptoki.sign_init(session, CKM_SHA256_RSA_PKCS, key), "C_SignInit");
    Cryptoki::must(cryptoki->C_Sign(session, input, sizeof input, signature, &size), "C_Sign");
    const double time = milliseconds(Clock::now() - since);
    Cryptoki::must(cryptoki->C_CloseSession(session), "C_CloseSession");
    return time;
}

// From the plug until the signature of a signer that waits for the token is there.
void signer_signs_again(benchmark::State& state) {
    const testing::OwnState state_of_its_own;
    VirtualToken token("plain-softhsm");
    const Cryptoki cryptoki(VirtualToken::module());
    const auto module = pkcs11::Module::open(VirtualToken::module());
    testing::CountingPins pins(token.pin());
    sast::TokenPolicy policy;
    policy.wait = 60s;
    sast::TokenSigner signer(sast::choose_identity(module->tokens().at(0), std::nullopt, std::nullopt), pins,
                             policy);
    const Bytes message{'a', 'b', 'c'};
    (void)signer.sign(Digest::Sha256, message);
    std::vector<double> signer_times, bare_times;
    for (auto _ : state) {
        token.unplug();
        auto signature = std::async(std::launch::async, [&] { return signer.sign(Digest::Sha256, message); });
        std::this_thread::sleep_for(200ms);
        auto since = Clock::now();
        token.plug();
        (void)signature.get();
        signer_times.push_back(milliseconds(Clock::now() - since));

        token.unplug();
        since = Clock::now();
        token.plug();
        bare_times.push_back(sign_bare(cryptoki, token.pin(), since));
    }
    state.counters["signer_ms"] = median(signer_times);
    state.counters["bare_ms"] = median(bare_times);
    state.counters["beyond_ms"] = median(signer_times) - median(bare_times);
}
BENCHMARK(signer_signs_again)->Unit(benchmark::kMillisecond)->Iterations(40);

// One scrypt: what a thief of the ledger pays for a guess, and a login whose token has rejected something.
void ledger_looks(benchmark::State& state) {
    const testing::TemporaryFolder folder;
    const sast::PinLedger ledger(folder / "ledger");
    pkcs11::TokenInfo token;
    token.serial = "1";
    const auto pin = [](std::string text) { return pkcs11::Pin::take(text); };
    ledger.add(token, pin("rejected"), {});
    const auto asked = pin("another");
    for (auto _ : state) benchmark::DoNotOptimize(ledger.contains(token, asked));
}
BENCHMARK(ledger_looks)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ctlsign
