#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <pkcs11/private_files.hpp>
#include <pkcs11/store.hpp>
#include <sast/clear_key.hpp>
#include <sast/error.hpp>
#include <softhsm-profiles/child.hpp>
#include <softhsm-profiles/error.hpp>
#include <softhsm-profiles/limits.hpp>
#include <softhsm-profiles/provision.hpp>
#include <softhsm-profiles/self_signed.hpp>
#include <softhsm-profiles/softhsm_module.hpp>
#include <softhsm-profiles/softhsm_token.hpp>
#include <softhsm-profiles/staging_folder.hpp>

namespace ctlsign::softhsm {

namespace fs = std::filesystem;

namespace {

void write_configuration(const fs::path& folder) {
    const std::string text = fmt::format(
        "directories.tokendir = {}\n"
        "objectstore.backend = file\n"
        "log.level = ERROR\n"
        "slots.removable = true\n"
        "slots.mechanisms = ALL\n",
        (folder / "tokens").string());
    store_file((folder / "softhsm2.conf").string(), as_bytes(text), Readers::OwnerAlone);
}

void check_label(const std::string& label) {
    if (label.empty() || label.size() > limits::kTokenName) {
        throw Error(Errc::BadName, "making a token", label,
                    fmt::format("a label has 1 to {} octets", limits::kTokenName));
    }
}

// SoftHSM2 ends a line of its configuration at '#' and a value at '='.
fs::path usable_folder(const fs::path& folder) {
    fs::path absolute = fs::absolute(folder).lexically_normal();
    if (absolute.string().find_first_of("#=\n\r") != std::string::npos) {
        throw Error(Errc::BadName, "making a token in", absolute.string(),
                    "SoftHSM2 cannot use a folder with '#' or '=' in its path");
    }
    return absolute;
}

Bytes number(const EVP_PKEY* key, const char* name) {
    BIGNUM* value = nullptr;
    if (EVP_PKEY_get_bn_param(key, name, &value) != 1) {
        ERR_clear_error();
        throw Error(sast::Errc::UnsupportedKey, "importing", "the key",
                    "it is not an RSA private key of two primes");
    }
    Bytes octets(static_cast<std::size_t>(BN_num_bytes(value)));
    BN_bn2bin(value, octets.data());
    BN_clear_free(value);
    return octets;
}

RsaNumbers decode_private_key(const std::string& pem) {
    const auto key = sast::decode_clear_key(pem);
    ERR_clear_error();
    if (!key)
        throw Error(sast::Errc::MalformedKey, "importing", "the key",
                    "a PEM key without passphrase is needed");
    RsaNumbers rsa;
    rsa.modulus = number(key.get(), OSSL_PKEY_PARAM_RSA_N);
    rsa.public_exponent = number(key.get(), OSSL_PKEY_PARAM_RSA_E);
    rsa.private_exponent = number(key.get(), OSSL_PKEY_PARAM_RSA_D);
    rsa.prime1 = number(key.get(), OSSL_PKEY_PARAM_RSA_FACTOR1);
    rsa.prime2 = number(key.get(), OSSL_PKEY_PARAM_RSA_FACTOR2);
    rsa.exponent1 = number(key.get(), OSSL_PKEY_PARAM_RSA_EXPONENT1);
    rsa.exponent2 = number(key.get(), OSSL_PKEY_PARAM_RSA_EXPONENT2);
    rsa.coefficient = number(key.get(), OSSL_PKEY_PARAM_RSA_COEFFICIENT1);
    return rsa;
}

std::string fill_in(std::string subject, const std::string& name) {
    constexpr std::string_view kPlace = "{name}";
    for (auto at = subject.find(kPlace); at != std::string::npos;
         at = subject.find(kPlace, at + name.size())) {
        subject.replace(at, kPlace.size(), name);
    }
    return subject;
}

TokenRequest::Key plan_key(const Key& key, const std::string& name, const Profile& profile) {
    TokenRequest::Key planned;
    planned.bits = key.bits != 0 ? key.bits : profile.key.sizes.front();
    planned.certificate = key.certificate;
    planned.subject = fill_in(key.subject.empty() ? profile.key.subject : key.subject, name);
    planned.label = key.label.empty() ? name : key.label;
    planned.stores_certificate = key.certificate_object == CertificateObject::Stored;
    if (!key.pem.empty()) planned.imported = decode_private_key(key.pem);
    const bool belongs =
        planned.imported && key.certificate &&
        equal(encode_rsa_public_key(planned.imported->modulus, planned.imported->public_exponent),
              key.certificate->public_key());
    if (key.certificate && !belongs) {
        throw Error(sast::Errc::KeyMismatch, "making a token", name,
                    key.pem.empty() ? "a certificate can be given for an imported key only" : "");
    }
    return planned;
}

// What crosses from the child: the serial, then each certificate; DER ends by itself.
Bytes encode(const MadeToken& made) {
    Bytes out(made.serial.begin(), made.serial.end());
    out.push_back(0);
    for (const Bytes& certificate : made.certificates)
        out.insert(out.end(), certificate.begin(), certificate.end());
    return out;
}

std::size_t der_size(ByteView der) {
    const unsigned char* at = der.data();
    long size = 0;
    int tag = 0, tag_class = 0;
    ASN1_get_object(&at, &size, &tag, &tag_class, static_cast<long>(der.size()));
    return static_cast<std::size_t>(at - der.data()) + static_cast<std::size_t>(size);
}

}  // namespace

Provisioned provision_token(const fs::path& folder, const std::string& name, const Profile& profile,
                            std::span<const Key> keys) {
    const fs::path home = usable_folder(folder);
    TokenRequest request;
    request.module = find_softhsm_module();
    request.label = profile.token.label.empty() ? name : profile.token.label;
    check_label(request.label);
    request.profile = profile;
    for (const Key& key : keys) request.keys.push_back(plan_key(key, name, profile));

    make_private_folder(home);
    make_private_folder(home / "tokens");
    // Made in a folder of its own and moved, so that no reader of HOME ever sees a token that is half made.
    const StagingFolder staging(home);
    make_private_folder(staging.path() / "tokens");
    write_configuration(staging.path());
    request.configuration = (staging.path() / "softhsm2.conf").string();
    const Bytes answer = run_in_child([&] { return encode(make_token(request)); });

    Provisioned provisioned;
    provisioned.configuration = home / "softhsm2.conf";
    provisioned.label = request.label;
    ByteView rest = answer;
    provisioned.serial = std::string(reinterpret_cast<const char*>(rest.data()));
    rest = rest.subspan(provisioned.serial.size() + 1);
    while (!rest.empty()) {
        const std::size_t size = der_size(rest);
        provisioned.certificates.push_back(sast::Certificate::decode(rest.first(size)));
        rest = rest.subspan(size);
    }
    if (!fs::exists(provisioned.configuration)) write_configuration(home);
    for (const auto& entry : fs::directory_iterator(staging.path() / "tokens")) {
        fs::rename(entry.path(), home / "tokens" / entry.path().filename());
    }
    return provisioned;
}

}  // namespace ctlsign::softhsm
