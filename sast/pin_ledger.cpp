#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include <pkcs11/file.hpp>
#include <pkcs11/free_with.hpp>
#include <pkcs11/openssl_error.hpp>
#include <pkcs11/private_files.hpp>
#include <pkcs11/store.hpp>
#include <sast/error.hpp>
#include <sast/limits.hpp>
#include <sast/pin_ledger.hpp>

namespace ctlsign::sast {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kSaltSize = 16, kHashSize = 32;
// About a tenth of a second and 32 MiB for each guess of a thief: docs/threats.md.
constexpr std::uint64_t kCost = 1U << 15U;
constexpr std::uint32_t kBlockSize = 8, kParallel = 1;
constexpr std::uint64_t kMaxMemory = 64U << 20U;

Bytes compute_scrypt(const pkcs11::Pin& pin, const Bytes& salt) {
    const std::unique_ptr<EVP_KDF, FreeWith<EVP_KDF_free>> kdf(EVP_KDF_fetch(nullptr, "SCRYPT", nullptr));
    if (!kdf) fail_openssl("EVP_KDF_fetch", "SCRYPT");
    const std::unique_ptr<EVP_KDF_CTX, FreeWith<EVP_KDF_CTX_free>> context(EVP_KDF_CTX_new(kdf.get()));
    const std::string_view secret = pin.reveal_secret();
    auto cost = kCost, memory = kMaxMemory;
    auto block = kBlockSize, parallel = kParallel;
    // OpenSSL takes what it only reads through pointers to non-const octets.
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, const_cast<char*>(secret.data()),
                                          secret.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, const_cast<std::uint8_t*>(salt.data()),
                                          salt.size()),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &cost),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &block),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &parallel),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
        OSSL_PARAM_construct_end()};
    Bytes hash(kHashSize);
    if (!context || EVP_KDF_derive(context.get(), hash.data(), hash.size(), parameters) != 1)
        fail_openssl("EVP_KDF_derive", "SCRYPT");
    return hash;
}

}  // namespace

struct PinLedger::Entry {
    Bytes salt;
    unsigned long rank = 0;
    bool counted = false;  ///< the rank is a counter's
    std::vector<Bytes> rejected;
};

PinLedger::PinLedger() : folder_(user_state_folder() / "pin-failures") {}
PinLedger::PinLedger(fs::path folder) : folder_(std::move(folder)) {}

fs::path PinLedger::file_of(const pkcs11::TokenInfo& token) const {
    return folder_ / (token.file_name() + ".json");
}

PinLedger::Entry PinLedger::read(const pkcs11::TokenInfo& token) const {
    const fs::path file = file_of(token);
    Entry entry;
    if (!fs::exists(file)) return entry;
    const Bytes text = read_file(file.string(), limits::kPinLedger);
    try {
        const auto json = nlohmann::json::parse(text.begin(), text.end());
        entry.salt = from_hex(json.at("salt").get<std::string>());
        entry.rank = json.at("rank").get<unsigned long>();
        entry.counted = json.at("counted").get<bool>();
        for (const auto& hash : json.at("rejected"))
            entry.rejected.push_back(from_hex(hash.get<std::string>()));
    } catch (const std::exception&) {
        throw Error(Errc::MalformedLedger, "reading", file.string(),
                    "no PIN was sent; clear it with: ctlsign token forget-pin-failures");
    }
    return entry;
}

void PinLedger::notice(const pkcs11::TokenInfo& token, const pkcs11::PinStatus& now) const {
    const Entry entry = read(token);
    // A counter and flags are compared with their own kind only.
    if (!entry.rejected.empty() && entry.counted == now.tries.has_value() && now.rank() > entry.rank)
        forget(token);
}

bool PinLedger::contains(const pkcs11::TokenInfo& token, const pkcs11::Pin& pin) const {
    const Entry entry = read(token);
    if (entry.rejected.empty()) return false;
    return std::ranges::find(entry.rejected, compute_scrypt(pin, entry.salt)) != entry.rejected.end();
}

void PinLedger::add(const pkcs11::TokenInfo& token, const pkcs11::Pin& pin,
                    const pkcs11::PinStatus& status) const {
    Entry entry = read(token);
    if (entry.salt.empty()) {
        entry.salt.resize(kSaltSize);
        if (RAND_bytes(entry.salt.data(), static_cast<int>(entry.salt.size())) != 1)
            fail_openssl("RAND_bytes", "");
    }
    nlohmann::json rejected = nlohmann::json::array();
    for (const Bytes& hash : entry.rejected) rejected.push_back(to_hex(hash));
    rejected.push_back(to_hex(compute_scrypt(pin, entry.salt)));
    const nlohmann::json json{{"salt", to_hex(entry.salt)},
                              {"rank", status.rank()},
                              {"counted", status.tries.has_value()},
                              {"rejected", std::move(rejected)}};
    make_private_folder(folder_.parent_path());
    make_private_folder(folder_);
    store_file(file_of(token).string(), as_bytes(json.dump() + '\n'), Readers::OwnerAlone);
}

void PinLedger::forget(const pkcs11::TokenInfo& token) const {
    std::error_code code;
    fs::remove(file_of(token), code);
    if (code) throw Error(code, "removing", file_of(token).string(), "");
}

}  // namespace ctlsign::sast
