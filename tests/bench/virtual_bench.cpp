#include <benchmark/benchmark.h>
#include <p11-kit/pkcs11.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <thread>
#include <vector>

#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <softhsm-profiles/softhsm_module.hpp>
#include <tests/bench/timing.hpp>
#include <tests/support/cryptoki.hpp>
#include <tests/support/process_state.hpp>

// The module of virtual tokens against SoftHSM2 alone, on the same token, in turns, so that both meet the
// same weather. The counter "ratio" is SoftHSM2's median time / the module's; the aim is 0.97.
namespace ctlsign {
namespace {

using Clock = std::chrono::steady_clock;
using testing::Cryptoki;
using testing::median;
using testing::VirtualToken;

double microseconds(Clock::duration time) {
    return std::chrono::duration<double, std::micro>(time).count();
}

// A session that signs a digest's worth of octets.
class Signer {
  public:
    Signer(const Cryptoki& cryptoki, CK_SLOT_ID slot, const std::string& pin)
        : cryptoki_(cryptoki), session_(cryptoki.open(slot)) {
        const CK_RV rv = cryptoki.login(session_, pin);
        if (rv != CKR_USER_ALREADY_LOGGED_IN) Cryptoki::must(rv, "C_Login");
        key_ = cryptoki.find(session_, CKO_PRIVATE_KEY).at(0);
    }
    void sign() {
        CK_ULONG size = sizeof signature_;
        Cryptoki::must(cryptoki_.sign_init(session_, CKM_RSA_PKCS, key_), "C_SignInit");
        Cryptoki::must(cryptoki_->C_Sign(session_, input_, sizeof input_, signature_, &size), "C_Sign");
    }

  private:
    const Cryptoki& cryptoki_;
    CK_SESSION_HANDLE session_;
    CK_OBJECT_HANDLE key_ = 0;
    CK_BYTE input_[51]{};
    CK_BYTE signature_[512]{};
};

std::string configuration(const VirtualToken& token) {
    return token.folder() / "softhsm/softhsm2.conf";
}

void signing(benchmark::State& state) {
    const VirtualToken token("plain-softhsm");
    const Cryptoki alone(softhsm::find_softhsm_module(), configuration(token)),
        through(VirtualToken::module());
    Signer by_softhsm(alone, alone.tokens().at(0), token.pin()), by_module(through, 0, token.pin());
    std::vector<double> softhsm_times, module_times;
    for (auto _ : state) {
        const auto t0 = Clock::now();
        by_softhsm.sign();
        const auto t1 = Clock::now();
        by_module.sign();
        const auto t2 = Clock::now();
        softhsm_times.push_back(microseconds(t1 - t0));
        module_times.push_back(microseconds(t2 - t1));
    }
    state.counters["softhsm_us"] = median(softhsm_times);
    state.counters["module_us"] = median(module_times);
    state.counters["ratio"] = median(softhsm_times) / median(module_times);
}
BENCHMARK(signing)->Unit(benchmark::kMicrosecond)->MinTime(3);

double signatures_per_second(const Cryptoki& cryptoki, CK_SLOT_ID slot, const std::string& pin,
                             long threads) {
    std::deque<Signer> signers;
    for (long i = 0; i < threads; ++i) signers.emplace_back(cryptoki, slot, pin);
    std::atomic<bool> stop = false;
    std::atomic<long> count = 0;
    std::vector<std::thread> workers;
    const auto start = Clock::now();
    for (Signer& signer : signers) {
        workers.emplace_back([&] {
            for (; !stop; ++count) signer.sign();
        });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    stop = true;
    for (std::thread& worker : workers) worker.join();
    return static_cast<double>(count) / std::chrono::duration<double>(Clock::now() - start).count();
}

void signing_in_threads(benchmark::State& state) {
    const VirtualToken token("plain-softhsm");
    const Cryptoki alone(softhsm::find_softhsm_module(), configuration(token)),
        through(VirtualToken::module());
    const CK_SLOT_ID slot = alone.tokens().at(0);
    double by_softhsm = 0, by_module = 0;
    for (auto _ : state) {
        by_softhsm += signatures_per_second(alone, slot, token.pin(), state.range(0));
        by_module += signatures_per_second(through, 0, token.pin(), state.range(0));
    }
    state.counters["module_per_s"] = by_module / static_cast<double>(state.iterations());
    state.counters["ratio"] = by_module / by_softhsm;
}
BENCHMARK(signing_in_threads)->Arg(1)->Arg(2)->Arg(4)->Unit(benchmark::kMillisecond)->Iterations(8);

double resident_mib() {
    return static_cast<double>(testing::resident_memory()) / (1024 * 1024);
}

void memory_of_eight(benchmark::State& state) {
    std::deque<VirtualToken> tokens;
    for (int i = 0; i < 8; ++i) tokens.emplace_back("plain-softhsm");
    for (auto _ : state) {
        const double before = resident_mib();
        const Cryptoki cryptoki(VirtualToken::module());
        std::deque<Signer> signers;
        signers.emplace_back(cryptoki, 0, tokens[0].pin()).sign();
        const double one = resident_mib();
        for (CK_SLOT_ID slot = 1; slot < 8; ++slot)
            signers.emplace_back(cryptoki, slot, tokens[0].pin()).sign();
        state.counters["first_MiB"] = one - before;
        state.counters["each_further_MiB"] = (resident_mib() - one) / 7;
    }
}
BENCHMARK(memory_of_eight)->Unit(benchmark::kMillisecond)->Iterations(1);

// From the pull until a thread that waits for it knows, and from the plug until the next signature.
void noticing(benchmark::State& state) {
    VirtualToken token("plain-softhsm");
    const Cryptoki cryptoki(VirtualToken::module());
    std::vector<double> pulls, plugs;
    for (auto _ : state) {
        std::atomic<bool> waits = false;
        Clock::time_point noticed;
        std::thread waiter([&] {
            CK_SLOT_ID slot = 0;
            while (cryptoki->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, nullptr) == CKR_OK) {
            }
            waits = true;
            Cryptoki::must(cryptoki->C_WaitForSlotEvent(0, &slot, nullptr), "C_WaitForSlotEvent");
            noticed = Clock::now();
        });
        while (!waits) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        const auto pulled = Clock::now();
        token.unplug();
        waiter.join();
        pulls.push_back(microseconds(noticed - pulled));
        const auto plugged = Clock::now();
        token.plug();
        Signer(cryptoki, 0, token.pin()).sign();
        plugs.push_back(microseconds(Clock::now() - plugged));
    }
    state.counters["pull_to_event_us"] = median(pulls);
    state.counters["plug_to_signature_us"] = median(plugs);
}
BENCHMARK(noticing)->Unit(benchmark::kMillisecond)->Iterations(200);

}  // namespace
}  // namespace ctlsign
