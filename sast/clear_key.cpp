#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <limits>
#include <new>

#include <pkcs11/free_with.hpp>
#include <sast/clear_key.hpp>

namespace ctlsign::sast {

std::shared_ptr<evp_pkey_st> decode_clear_key(std::string_view pem) {
    if (pem.empty() || pem.size() > std::numeric_limits<int>::max()) return nullptr;
    const std::unique_ptr<BIO, FreeWith<BIO_free>> in(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    if (!in) throw std::bad_alloc();
    const auto no_passphrase = [](char*, int, int, void*) { return -1; };
    std::shared_ptr<evp_pkey_st> key(PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr),
                                     &EVP_PKEY_free);
    if (key) ERR_clear_error();
    return key;
}

}  // namespace ctlsign::sast
