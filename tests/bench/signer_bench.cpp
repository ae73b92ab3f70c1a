#include <benchmark/benchmark.h>
#include <p11-kit/pkcs11.h>

#include <chrono>
#include <stdexcept>
#include <vector>

#include <sast/identity.hpp>
#include <sast/token_signer.hpp>
#include <tests/bench/timing.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/soft_tokens.hpp>

// TokenSigner against a bare C_SignInit + C_Sign loop on the same token, in turns, so that both meet the same
// weather. The counter "ratio" is median time of the loop / median time of the signer; the aim is 0.97.
namespace ctlsign {
namespace {

using Clock = std::chrono::steady_clock;
using testing::median;

void must(CK_RV rv) {
    if (rv != CKR_OK) throw std::runtime_error("Cryptoki answered " + std::to_string(rv));
}

CK_OBJECT_HANDLE find_private_key(CK_FUNCTION_LIST* p11, CK_SESSION_HANDLE session) {
    CK_OBJECT_CLASS kind = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE wanted{CKA_CLASS, &kind, sizeof kind};
    CK_OBJECT_HANDLE key = 0;
    CK_ULONG count = 0;
    must(p11->C_FindObjectsInit(session, &wanted, 1));
    must(p11->C_FindObjects(session, &key, 1, &count));
    must(p11->C_FindObjectsFinal(session));
    if (count != 1) throw std::runtime_error("no private key");
    return key;
}

void signer_against_bare_cryptoki(benchmark::State& state, const char* stem, const char* profile) {
    testing::SoftTokens tokens;
    tokens.add("A", profile, stem);
    const auto module = tokens.open();
    const auto token = module->tokens().at(0);
    testing::CountingPins pins(tokens.pin());
    sast::TokenSigner signer(sast::choose_identity(token, std::nullopt, std::nullopt), pins);
    signer.unlock();
    const auto message = testing::read_golden("krakow/CTLFile-tokenless.tlv").message;

    auto* p11 = static_cast<CK_FUNCTION_LIST*>(module->native_function_list());
    CK_SESSION_HANDLE session = 0;
    must(p11->C_OpenSession(static_cast<CK_SLOT_ID>(token.slot()), CKF_SERIAL_SESSION, nullptr, nullptr,
                            &session));
    const CK_OBJECT_HANDLE key = find_private_key(p11, session);
    Bytes raw(signer.facts().signature_length);
    const auto sign_bare = [&] {
        CK_MECHANISM mechanism{CKM_SHA1_RSA_PKCS, nullptr, 0};
        CK_ULONG size = raw.size();
        must(p11->C_SignInit(session, &mechanism, key));
        must(p11->C_Sign(session, const_cast<std::uint8_t*>(message.data()), message.size(), raw.data(),
                         &size));
    };

    if (signer.sign(Digest::Sha1, message) != (sign_bare(), raw))
        throw std::runtime_error("signatures differ");
    std::vector<double> bare_times, signer_times;
    for (auto _ : state) {
        const auto t0 = Clock::now();
        sign_bare();
        const auto t1 = Clock::now();
        benchmark::DoNotOptimize(signer.sign(Digest::Sha1, message));
        const auto t2 = Clock::now();
        bare_times.push_back(std::chrono::duration<double>(t1 - t0).count());
        signer_times.push_back(std::chrono::duration<double>(t2 - t1).count());
    }
    state.counters["ratio"] = median(bare_times) / median(signer_times);
    state.counters["signer_us"] = median(signer_times) * 1e6;
}

BENCHMARK_CAPTURE(signer_against_bare_cryptoki, rsa_1024, "krakow/tokens/SAST-ADN008580ef", "plain-softhsm")
    ->Unit(benchmark::kMicrosecond)
    ->MinTime(2);
BENCHMARK_CAPTURE(signer_against_bare_cryptoki, rsa_2048, "krakow/regenerated/cucm-1051-a-pub",
                  "plain-softhsm")
    ->Unit(benchmark::kMicrosecond)
    ->MinTime(2);

}  // namespace
}  // namespace ctlsign
