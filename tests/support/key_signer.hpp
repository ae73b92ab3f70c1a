#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <pkcs11/bytes.hpp>
#include <sast/certificate.hpp>
#include <sast/signer.hpp>
#include <tests/support/certificates.hpp>
#include <tests/support/data.hpp>

namespace ctlsign::testing {

using KeyPtr = std::shared_ptr<EVP_PKEY>;

inline KeyPtr own_key(EVP_PKEY* key) {
    if (key == nullptr) throw std::runtime_error("no key");
    return {key, EVP_PKEY_free};
}

/// The private key of a PEM file under tests/data.
inline KeyPtr load_key(const std::string& name) {
    const std::string pem = read_text(name);
    const std::unique_ptr<BIO, decltype(&BIO_free)> in(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
    return own_key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
}

/// A self-signed certificate, for what the vectors do not have; from the same values the same one.
inline sast::Certificate make_certificate(const KeyPtr& key, const std::string& common_name,
                                          std::uint64_t serial) {
    const std::unique_ptr<X509, decltype(&X509_free)> x509(X509_new(), &X509_free);
    X509_set_version(x509.get(), 2);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509.get()), serial);
    constexpr std::int64_t kYear2020 = 1'577'836'800, kYear2049 = 2'493'072'000;
    ASN1_TIME_set(X509_getm_notBefore(x509.get()), kYear2020);
    ASN1_TIME_set(X509_getm_notAfter(x509.get()), kYear2049);
    X509_NAME* name = X509_get_subject_name(x509.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
    X509_set_issuer_name(x509.get(), name);
    X509_set_pubkey(x509.get(), key.get());
    if (X509_sign(x509.get(), key.get(), EVP_sha256()) == 0)
        throw std::runtime_error("cannot sign a certificate");
    unsigned char* der = nullptr;
    const int size = i2d_X509(x509.get(), &der);
    const sast::Certificate certificate = sast::Certificate::decode({der, static_cast<std::size_t>(size)});
    OPENSSL_free(der);
    return certificate;
}

/// A signer with its key in memory; counts what it is asked for.
class KeySigner : public sast::Signer {
  public:
    KeySigner(sast::Certificate certificate, KeyPtr key) : key_(std::move(key)) {
        facts_.key_bits = static_cast<unsigned>(EVP_PKEY_get_bits(key_.get()));
        facts_.signature_length = facts_.key_bits / 8;
        facts_.description = "the test key of " + certificate.common_name();
        facts_.certificate = std::move(certificate);
    }

    const Facts& facts() const noexcept override { return facts_; }
    Bytes sign(Digest digest, ByteView message) override {
        ++calls_;
        const EVP_MD* md = digest == Digest::Sha1     ? EVP_sha1()
                           : digest == Digest::Sha256 ? EVP_sha256()
                                                      : EVP_sha512();
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                              &EVP_MD_CTX_free);
        Bytes signature(facts_.signature_length);
        std::size_t size = signature.size();
        if (EVP_DigestSignInit(context.get(), nullptr, md, nullptr, key_.get()) != 1 ||
            EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) != 1) {
            throw std::runtime_error("cannot sign");
        }
        signature.resize(size);
        return signature;
    }
    int calls() const noexcept { return calls_; }

  private:
    KeyPtr key_;
    Facts facts_;
    int calls_ = 0;
};

/// Signs with NAME.key, holds NAME.pem; both under tests/data.
class FileKeySigner : public KeySigner {
  public:
    explicit FileKeySigner(const std::string& name)
        : KeySigner(load_certificate(name + ".pem"), load_key(name + ".key")) {}
};

}  // namespace ctlsign::testing
