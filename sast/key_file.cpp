#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include <pkcs11/free_with.hpp>
#include <pkcs11/openssl_digest.hpp>
#include <pkcs11/openssl_error.hpp>
#include <sast/error.hpp>
#include <sast/key_file.hpp>
#include <sast/limits.hpp>

namespace ctlsign::sast {

namespace {

void free_safes(STACK_OF(PKCS7) * safes) {
    sk_PKCS7_pop_free(safes, PKCS7_free);
}
void free_bags(STACK_OF(PKCS12_SAFEBAG) * bags) {
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
}
using SafesPtr = std::unique_ptr<STACK_OF(PKCS7), FreeWith<free_safes>>;
using BagsPtr = std::unique_ptr<STACK_OF(PKCS12_SAFEBAG), FreeWith<free_bags>>;
using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free>>;
using Pkcs8Ptr = std::unique_ptr<PKCS8_PRIV_KEY_INFO, FreeWith<PKCS8_PRIV_KEY_INFO_free>>;
using SigPtr = std::unique_ptr<X509_SIG, FreeWith<X509_SIG_free>>;
using Pkcs12Ptr = std::unique_ptr<PKCS12, FreeWith<PKCS12_free>>;
using CipherPtr = std::unique_ptr<EVP_CIPHER, FreeWith<EVP_CIPHER_free>>;
using X509Ptr = std::unique_ptr<X509, FreeWith<X509_free>>;
using Pbes2Ptr = std::unique_ptr<PBE2PARAM, FreeWith<PBE2PARAM_free>>;
using Pbkdf2Ptr = std::unique_ptr<PBKDF2PARAM, FreeWith<PBKDF2PARAM_free>>;
using ScryptPtr = std::unique_ptr<SCRYPT_PARAMS, FreeWith<SCRYPT_PARAMS_free>>;
using PbeParametersPtr = std::unique_ptr<PBEPARAM, FreeWith<PBEPARAM_free>>;

[[noreturn]] void fail(Errc code, const std::string& name, std::string_view advice) {
    ERR_clear_error();
    throw Error(code, "reading the key in", name, advice);
}

template <typename Owner>
Owner unpack(const X509_ALGOR& algorithm, const ASN1_ITEM* kind) {
    return Owner(static_cast<typename Owner::pointer>(ASN1_TYPE_unpack_sequence(kind, algorithm.parameter)));
}

constexpr std::int64_t kBeyondReason = limits::kStretching + 1;

std::int64_t count(const ASN1_INTEGER* number) {
    const long value = number == nullptr ? 1 : ASN1_INTEGER_get(number);
    return value < 0 ? kBeyondReason : std::min<std::int64_t>(value, kBeyondReason);
}

// How often a passphrase is worked on for a key of ALGORITHM. What is not known here OpenSSL refuses.
std::int64_t count_iterations(const X509_ALGOR& algorithm) {
    Pbes2Ptr scheme;
    if (OBJ_obj2nid(algorithm.algorithm) == NID_pbes2)
        scheme = unpack<Pbes2Ptr>(algorithm, ASN1_ITEM_rptr(PBE2PARAM));
    const X509_ALGOR& stretching = scheme ? *scheme->keyfunc : algorithm;
    switch (OBJ_obj2nid(stretching.algorithm)) {
        case NID_id_pbkdf2: {
            const auto terms = unpack<Pbkdf2Ptr>(stretching, ASN1_ITEM_rptr(PBKDF2PARAM));
            return terms ? count(terms->iter) : 0;
        }
        case NID_id_scrypt: {
            const auto terms = unpack<ScryptPtr>(stretching, ASN1_ITEM_rptr(SCRYPT_PARAMS));
            return terms ? count(terms->costParameter) * count(terms->blockSize) *
                               count(terms->parallelizationParameter)
                         : 0;
        }
        default: {
            const auto terms = unpack<PbeParametersPtr>(stretching, ASN1_ITEM_rptr(PBEPARAM));
            return terms ? count(terms->iter) : 0;
        }
    }
}

// The file itself says how much work its passphrase is, before that is known.
void require_reason(std::int64_t iterations, const std::string& name) {
    if (iterations > limits::kStretching)
        fail(Errc::MalformedKey, name, "its passphrase is stretched beyond reason");
}

// OpenSSL's default and legacy algorithms in a context of their own: RC2-40 for an old file becomes available
// to nobody else in the process.
class LegacyContext {
  public:
    LegacyContext() : context_(OSSL_LIB_CTX_new()) {
        if (context_ == nullptr) throw std::bad_alloc();
        standard_ = OSSL_PROVIDER_load(context_, "default");
        legacy_ = OSSL_PROVIDER_load(context_, "legacy");
        ERR_clear_error();  // a system without the legacy module reads all but old files
    }
    ~LegacyContext() {
        if (legacy_ != nullptr) OSSL_PROVIDER_unload(legacy_);
        if (standard_ != nullptr) OSSL_PROVIDER_unload(standard_);
        OSSL_LIB_CTX_free(context_);
    }
    LegacyContext(const LegacyContext&) = delete;
    LegacyContext& operator=(const LegacyContext&) = delete;

    OSSL_LIB_CTX* get() const { return context_; }

    /// Tells a wrong passphrase from an algorithm that is missing, by what OpenSSL has just complained about.
    [[noreturn]] void fail_to_decrypt(const std::string& name) const {
        while (const unsigned long code = ERR_get_error()) {
            const int reason = ERR_GET_REASON(code);
            const bool missing =
                reason == ERR_R_UNSUPPORTED ||
                (ERR_GET_LIB(code) == ERR_LIB_EVP &&
                 (reason == EVP_R_UNKNOWN_PBE_ALGORITHM || reason == EVP_R_UNSUPPORTED_CIPHER ||
                  reason == EVP_R_UNSUPPORTED_ALGORITHM || reason == EVP_R_UNSUPPORTED_PRF));
            if (missing) {
                fail(Errc::MalformedKey, name,
                     legacy_ == nullptr
                         ? "it is encrypted in an old way, and OpenSSL's legacy module is not installed"
                         : "OpenSSL does not have the way it is encrypted");
            }
        }
        fail(Errc::WrongPassphrase, name, "nothing was changed; start again with the right one");
    }

  private:
    OSSL_LIB_CTX* context_;
    OSSL_PROVIDER* standard_ = nullptr;
    OSSL_PROVIDER* legacy_ = nullptr;
};

PrivateKey decode_info(const PKCS8_PRIV_KEY_INFO* info, const std::string& name) {
    unsigned char* der = nullptr;
    const int size = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    if (size <= 0) fail(Errc::MalformedKey, name, "");
    const KeyOctets octets(Bytes(der, der + size));
    OPENSSL_clear_free(der, static_cast<std::size_t>(size));
    return PrivateKey::decode(octets.octets(), name);
}

// What the bags of a PKCS#12 file hold (RFC 7292, 4.2).
class BagReader {
  public:
    BagReader(const std::string& name, std::optional<std::string_view> passphrase,
              const LegacyContext& context)
        : name_(name), passphrase_(passphrase), context_(context) {}

    void read(const PKCS12* pfx) {
        STACK_OF(PKCS7)* safes = PKCS12_unpack_authsafes(pfx);
        if (safes == nullptr) fail(Errc::MalformedKey, name_, "a PKCS#12 file without contents");
        const SafesPtr owner(safes);
        for (int i = 0; i < sk_PKCS7_num(safes); ++i) read_safe(sk_PKCS7_value(safes, i));
    }

    /// Those that name their key come first.
    std::vector<Certificate> take_certificates() {
        std::ranges::move(others_, std::back_inserter(with_key_));
        return std::move(with_key_);
    }
    std::optional<PrivateKey> take_key() { return std::move(key_); }

  private:
    void read_safe(PKCS7* safe) {
        const bool encrypted = PKCS7_type_is_encrypted(safe);
        if (encrypted && safe->d.encrypted != nullptr)
            count_encrypted(*safe->d.encrypted->enc_data->algorithm);
        if (encrypted && !passphrase_) return;
        BagsPtr bags;
        if (encrypted) {
            bags.reset(
                PKCS12_unpack_p7encdata(safe, passphrase_->data(), static_cast<int>(passphrase_->size())));
        } else if (PKCS7_type_is_data(safe)) {
            bags.reset(PKCS12_unpack_p7data(safe));
        }
        if (!bags && encrypted) context_.fail_to_decrypt(name_);
        if (!bags) fail(Errc::MalformedKey, name_, "a part of this PKCS#12 file cannot be read");
        read_bags(bags.get());
    }

    void read_bags(const STACK_OF(PKCS12_SAFEBAG) * bags) {
        for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags); ++i) {
            const PKCS12_SAFEBAG* bag = sk_PKCS12_SAFEBAG_value(bags, i);
            switch (PKCS12_SAFEBAG_get_nid(bag)) {
                case NID_keyBag:
                    keep_key(PKCS12_SAFEBAG_get0_p8inf(bag));
                    break;
                case NID_pkcs8ShroudedKeyBag:
                    read_shrouded(bag);
                    break;
                case NID_certBag:
                    read_certificate(bag);
                    break;
                case NID_safeContentsBag:
                    read_bags(PKCS12_SAFEBAG_get0_safes(bag));
                    break;
                default:
                    break;
            }
        }
    }

    void read_shrouded(const PKCS12_SAFEBAG* bag) {
        const X509_ALGOR* algorithm = nullptr;
        X509_SIG_get0(PKCS12_SAFEBAG_get0_pkcs8(bag), &algorithm, nullptr);
        count_encrypted(*algorithm);
        if (!passphrase_) return;
        const Pkcs8Ptr info(PKCS12_decrypt_skey_ex(
            bag, passphrase_->data(), static_cast<int>(passphrase_->size()), context_.get(), nullptr));
        if (!info) context_.fail_to_decrypt(name_);
        keep_key(info.get());
    }

    void keep_key(const PKCS8_PRIV_KEY_INFO* info) {
        if (key_) fail(Errc::UnsupportedKey, name_, "it holds more than one private key");
        key_ = decode_info(info, name_);
    }

    void read_certificate(const PKCS12_SAFEBAG* bag) {
        if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate) return;
        const X509Ptr certificate(PKCS12_SAFEBAG_get1_cert(bag));
        unsigned char* der = nullptr;
        const int size = certificate ? i2d_X509(certificate.get(), &der) : 0;
        if (size <= 0) fail(Errc::MalformedKey, name_, "a certificate in this PKCS#12 file cannot be read");
        const Bytes octets(der, der + size);
        OPENSSL_free(der);
        const bool names_key = PKCS12_SAFEBAG_get0_attr(bag, NID_localKeyID) != nullptr;
        (names_key ? with_key_ : others_).push_back(Certificate::decode(octets));
    }

    // Each part that is encrypted has its own work.
    void count_encrypted(const X509_ALGOR& algorithm) {
        require_reason(count_iterations(algorithm), name_);
        if (++encrypted_ > limits::kEncryptedParts)
            fail(Errc::MalformedKey, name_, "it has more encrypted parts than any key needs");
    }

    const std::string& name_;
    std::optional<std::string_view> passphrase_;
    const LegacyContext& context_;
    std::size_t encrypted_ = 0;
    std::vector<Certificate> with_key_, others_;
    std::optional<PrivateKey> key_;
};

Pkcs12Ptr parse_pkcs12(ByteView content, const LegacyContext& context, const std::string& name) {
    PKCS12* pfx = PKCS12_init_ex(NID_pkcs7_data, context.get(), nullptr);
    if (pfx == nullptr) throw std::bad_alloc();
    const unsigned char* at = content.data();
    // On failure d2i frees what it was given.
    Pkcs12Ptr parsed(d2i_PKCS12(&pfx, &at, static_cast<long>(content.size())));
    if (!parsed) fail(Errc::MalformedKey, name, "neither PEM nor PKCS#12");
    if (PKCS12_mac_present(parsed.get()) == 1) {
        const ASN1_INTEGER* iterations = nullptr;
        PKCS12_get0_mac(nullptr, nullptr, nullptr, &iterations, parsed.get());
        require_reason(count(iterations), name);
    }
    return parsed;
}

SigPtr parse_pkcs8(ByteView content, const std::string& name) {
    const unsigned char* at = content.data();
    SigPtr parsed(d2i_X509_SIG(nullptr, &at, static_cast<long>(content.size())));
    if (!parsed) fail(Errc::MalformedKey, name, "");
    const X509_ALGOR* algorithm = nullptr;
    X509_SIG_get0(parsed.get(), &algorithm, nullptr);
    require_reason(count_iterations(*algorithm), name);
    return parsed;
}

}  // namespace

KeyOctets::~KeyOctets() {
    OPENSSL_cleanse(octets_.data(), octets_.size());
}

void PrivateKey::Free::operator()(evp_pkey_st* key) const noexcept {
    EVP_PKEY_free(key);
}

PrivateKey PrivateKey::decode(ByteView der, const std::string& name) {
    const unsigned char* at = der.data();
    EVP_PKEY* key = d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size()));
    if (key == nullptr) fail(Errc::MalformedKey, name, "");
    PrivateKey owner(key);
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
        fail(Errc::UnsupportedKey, name, "only RSA keys sign trust lists");
    }
    return owner;
}

Bytes PrivateKey::public_key() const {
    unsigned char* der = nullptr;
    const int size = i2d_PublicKey(key_.get(), &der);
    if (size <= 0) throw std::bad_alloc();
    Bytes octets(der, der + size);
    OPENSSL_free(der);
    return octets;
}

Bytes PrivateKey::sign(Digest digest, ByteView message) const {
    const EVP_MD* md = openssl_digest(digest);
    const std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
    if (!context) throw std::bad_alloc();
    Bytes signature(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())));
    std::size_t size = signature.size();
    // RSA keys sign with PKCS#1 v1.5 padding unless told otherwise.
    if (EVP_DigestSignInit(context.get(), nullptr, md, nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) != 1)
        fail_openssl("EVP_DigestSign", to_text(digest));
    signature.resize(size);
    return signature;
}

KeyFile KeyFile::decode(ByteView content, const std::string& name) {
    if (content.empty()) fail(Errc::MalformedKey, name, "it is empty");
    if (content.size() > std::numeric_limits<int>::max()) fail(Errc::MalformedKey, name, "it is too large");
    constexpr std::uint8_t kDerBegin = 0x30;  // all of interest, and no PEM
    return content.front() == kDerBegin ? decode_pkcs12(content, name) : decode_pem(content, name);
}

KeyFile KeyFile::decode_pem(ByteView content, const std::string& name) {
    KeyFile file;
    file.name_ = name;
    file.certificates_ = Certificate::decode_pem(as_text(content));
    const BioPtr in(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
    if (!in) throw std::bad_alloc();
    bool any_block = false;
    while (!file.key_ && file.locked_.empty()) {
        char* label = nullptr;
        char* header = nullptr;
        unsigned char* data = nullptr;
        long size = 0;
        if (PEM_read_bio(in.get(), &label, &header, &data, &size) != 1) break;
        any_block = true;
        const std::string_view kind = label;
        const KeyOctets body(Bytes(data, data + size));
        OPENSSL_clear_free(data, static_cast<std::size_t>(size));
        file.header_ = header;
        const bool pkcs8 = kind == PEM_STRING_PKCS8;
        const bool key = pkcs8 || kind.ends_with("PRIVATE KEY");
        const bool encrypted = pkcs8 || file.header_.find("ENCRYPTED") != std::string::npos;
        OPENSSL_free(label);
        OPENSSL_free(header);
        if (!key) continue;
        if (encrypted) {
            file.kind_ = pkcs8 ? Kind::Pkcs8 : Kind::Traditional;
            file.locked_ = body.octets();
            if (pkcs8) parse_pkcs8(file.locked_, name);
        } else {
            file.key_ = PrivateKey::decode(body.octets(), name);
        }
    }
    ERR_clear_error();
    if (file.key_ || !file.locked_.empty()) return file;
    if (any_block) fail(Errc::NoKey, name, "it holds no private key; name the file of the key");
    fail(Errc::MalformedKey, name, "neither PEM nor PKCS#12");
}

KeyFile KeyFile::decode_pkcs12(ByteView content, const std::string& name) {
    const LegacyContext context;
    const Pkcs12Ptr pfx = parse_pkcs12(content, context, name);
    KeyFile file;
    file.kind_ = Kind::Pkcs12;
    file.name_ = name;
    // An empty passphrase is written in two ways.
    std::optional<std::string_view> passphrase;
    if (PKCS12_mac_present(pfx.get()) == 1) {
        if (PKCS12_verify_mac(pfx.get(), nullptr, 0) == 1) passphrase.emplace();
        if (!passphrase && PKCS12_verify_mac(pfx.get(), "", 0) == 1) passphrase.emplace("");
        ERR_clear_error();
    }
    BagReader bags(name, passphrase, context);
    bags.read(pfx.get());
    file.certificates_ = bags.take_certificates();
    file.key_ = bags.take_key();
    if (!file.key_) {
        if (passphrase) fail(Errc::NoKey, name, "it holds no private key");
        file.locked_.assign(content.begin(), content.end());
    }
    return file;
}

void KeyFile::unlock(std::string_view passphrase) {
    const LegacyContext context;
    const int passphrase_size = static_cast<int>(passphrase.size());
    if (kind_ == Kind::Pkcs12) {
        const Pkcs12Ptr pfx = parse_pkcs12(locked_, context, name_);
        if (PKCS12_mac_present(pfx.get()) == 1 &&
            PKCS12_verify_mac(pfx.get(), passphrase.data(), passphrase_size) != 1) {
            context.fail_to_decrypt(name_);
        }
        BagReader bags(name_, passphrase, context);
        bags.read(pfx.get());
        certificates_ = bags.take_certificates();
        key_ = bags.take_key();
        if (!key_) fail(Errc::NoKey, name_, "it holds no private key");
    } else if (kind_ == Kind::Pkcs8) {
        const SigPtr encrypted = parse_pkcs8(locked_, name_);
        const Pkcs8Ptr info(
            PKCS8_decrypt_ex(encrypted.get(), passphrase.data(), passphrase_size, context.get(), nullptr));
        if (!info) context.fail_to_decrypt(name_);
        key_ = decode_info(info.get(), name_);
    } else {
        EVP_CIPHER_INFO cipher{};
        std::string header = header_;  // read in place
        // No passphrase has been used yet.
        if (PEM_get_EVP_CIPHER_INFO(header.data(), &cipher) != 1)
            fail(Errc::MalformedKey, name_, "OpenSSL does not know the way it is encrypted");
        const CipherPtr fetched(
            EVP_CIPHER_fetch(context.get(), EVP_CIPHER_get0_name(cipher.cipher), nullptr));
        if (!fetched) context.fail_to_decrypt(name_);
        cipher.cipher = fetched.get();
        KeyOctets body(locked_);
        long size = static_cast<long>(locked_.size());
        const auto give = [](char* buffer, int limit, int, void* from) {
            const auto& text = *static_cast<const std::string_view*>(from);
            const auto count = std::min(text.size(), static_cast<std::size_t>(limit));
            std::copy_n(text.begin(), count, buffer);
            return static_cast<int>(count);
        };
        if (PEM_do_header(&cipher, body.octets().data(), &size, give, &passphrase) != 1) {
            context.fail_to_decrypt(name_);
        }
        try {
            key_ = PrivateKey::decode(ByteView(body.octets()).first(static_cast<std::size_t>(size)), name_);
        } catch (const Error& e) {
            // This old format has no check: a wrong passphrase can look right until the key is read.
            if (e.code() == Errc::MalformedKey) context.fail_to_decrypt(name_);
            throw;
        }
    }
}

}  // namespace ctlsign::sast
