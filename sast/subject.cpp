#include <openssl/err.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include <pkcs11/free_with.hpp>
#include <sast/error.hpp>
#include <sast/subject.hpp>

namespace ctlsign::sast {

Bytes encode_subject(std::string_view text) {
    const auto refuse = [&] {
        ERR_clear_error();
        throw Error(Errc::MalformedCertificate, "reading a subject", text, "write it as CN=...,O=...");
    };
    const std::unique_ptr<X509_NAME, FreeWith<X509_NAME_free>> name(X509_NAME_new());
    if (!name) throw std::bad_alloc();
    std::string type, value;
    bool in_value = false;
    const auto finish = [&] {
        const auto* octets = reinterpret_cast<const unsigned char*>(value.data());
        if (!in_value || X509_NAME_add_entry_by_txt(name.get(), type.c_str(), MBSTRING_UTF8, octets,
                                                    static_cast<int>(value.size()), -1, 0) != 1) {
            refuse();
        }
        type.clear();
        value.clear();
        in_value = false;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && in_value && i + 1 < text.size()) {
            value += text[++i];
        } else if (text[i] == ',') {
            finish();
        } else if (text[i] == '=' && !in_value) {
            in_value = true;
        } else {
            (in_value ? value : type) += text[i];
        }
    }
    finish();
    unsigned char* der = nullptr;
    const int size = i2d_X509_NAME(name.get(), &der);
    if (size <= 0) refuse();
    Bytes bytes(der, der + size);
    OPENSSL_free(der);
    return bytes;
}

}  // namespace ctlsign::sast
