#include <benchmark/benchmark.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/verify.hpp>
#include <sast/certificate.hpp>
#include <tests/bench/timing.hpp>
#include <tests/support/data.hpp>

namespace ctlsign {
namespace {

using Clock = std::chrono::steady_clock;
constexpr const char* kFiles[] = {"krakow/CTLFile-tokenless.tlv", "krakow/CTLFile-tokenless-sha512.tlv",
                                  "krakow/CTLFile-tokens.tlv", "open-tools/itl-sha1-v10.tlv",
                                  "open-tools/ctl-rsa4096.tlv"};
constexpr std::chrono::sys_seconds kNow{std::chrono::seconds(1'425'670'000)};

// Aim: under 5 microseconds for a file of 5 KB.
void decode_and_encode(benchmark::State& state) {
    const Bytes octets = testing::read_data("krakow/CTLFile-tokenless.tlv");
    for (auto _ : state) {
        benchmark::DoNotOptimize(encode(decode_list(ByteView(octets))));
    }
    state.SetLabel(std::to_string(octets.size()) + " octets");
}
BENCHMARK(decode_and_encode);

void decode_only(benchmark::State& state) {
    const Bytes octets = testing::read_data("krakow/CTLFile-tokenless.tlv");
    for (auto _ : state) {
        benchmark::DoNotOptimize(decode_list(ByteView(octets)));
    }
}
BENCHMARK(decode_only);

// The median of what one side took: a busy machine disturbs the mean.
class Side {
  public:
    template <typename Work>
    void run(Work work) {
        const auto begin = Clock::now();
        good_ = work() && good_;
        seconds_.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    }
    bool good() const { return good_; }
    double last() const { return seconds_.back(); }
    double median() { return testing::median(seconds_); }

  private:
    bool good_ = true;
    std::vector<double> seconds_;
};

struct Contest {
    Side ours, plain;
    bool good() const { return ours.good() && plain.good(); }
    double ratio() { return plain.median() / ours.median(); }
};

const EVP_MD* message_digest(Digest digest) {
    return digest == Digest::Sha1 ? EVP_sha1() : digest == Digest::Sha256 ? EVP_sha256() : EVP_sha512();
}

using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

KeyPtr read_key(ByteView rsa_public_key) {
    const unsigned char* at = rsa_public_key.data();
    return {d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, static_cast<long>(rsa_public_key.size())),
            &EVP_PKEY_free};
}

// What OpenSSL alone needs: the digest and one verification.
bool plain_verify(EVP_PKEY* key, const EVP_MD* digest, ByteView message, ByteView signature) {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    const bool valid =
        EVP_DigestVerifyInit(context, nullptr, digest, nullptr, key) == 1 &&
        EVP_DigestVerify(context, signature.data(), signature.size(), message.data(), message.size()) == 1;
    EVP_MD_CTX_free(context);
    return valid;
}

// Ours, from the octets in memory to the verdict, against plain OpenSSL on octets that were put together
// beforehand. Counters, plain / ours, aim at least 0.9: one file, both read the key; and many files of one
// signer, both have the key ready.
void verify_against_openssl(benchmark::State& state) {
    const Bytes octets = testing::read_data(kFiles[state.range(0)]);
    const TrustList list = decode_list(ByteView(octets));
    const std::size_t signer = verify(list, {}, kNow).record.value();
    const ByteView key_octets = *list.records()[signer].public_key();
    const Bytes signature(list.signature().begin(), list.signature().end());
    Bytes message;
    for (const ByteView part : list.signed_parts()) message.insert(message.end(), part.begin(), part.end());
    const KeyPtr key = read_key(key_octets);
    const EVP_MD* digest = message_digest(list.digest());
    Verifier verifier;

    Contest one_file, many_files;
    for (auto _ : state) {
        one_file.ours.run(
            [&] { return verify(decode_list(ByteView(octets)), {}, kNow).outcome == Outcome::Verified; });
        one_file.plain.run(
            [&] { return plain_verify(read_key(key_octets).get(), digest, message, signature); });
        many_files.ours.run([&] {
            return verifier.verify(decode_list(ByteView(octets)), kNow).outcome == Outcome::Verified;
        });
        many_files.plain.run([&] { return plain_verify(key.get(), digest, message, signature); });
        state.SetIterationTime(one_file.ours.last());
    }
    if (!one_file.good() || !many_files.good()) state.SkipWithError("a signature is not valid");
    state.counters["one_file"] = one_file.ratio();
    state.counters["many_files"] = many_files.ratio();
    state.SetLabel(kFiles[state.range(0)]);
}
BENCHMARK(verify_against_openssl)->DenseRange(0, std::size(kFiles) - 1)->UseManualTime();

}  // namespace
}  // namespace ctlsign
