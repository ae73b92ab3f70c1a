#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include <pkcs11/file.hpp>
#include <pkcs11/mechanism.hpp>
#include <sast/error.hpp>
#include <sast/key_file.hpp>
#include <sast/publisher_signer.hpp>

namespace ctlsign::sast {

namespace fs = std::filesystem;

namespace {

constexpr const char* kBeside[] = {".pem", ".crt", ".cer", ".der"};

bool fits(const Certificate& certificate, const PrivateKey& key) {
    return equal(certificate.public_key(), key.public_key());
}

std::vector<Certificate> read_certificates(const fs::path& file) {
    return Certificate::decode_all(read_file(file.string(), PublisherSigner::kMaxFileSize));
}

std::vector<Certificate> find_certificates_beside(const fs::path& key_file) {
    std::vector<Certificate> all;
    for (const char* extension : kBeside) {
        fs::path file = key_file;
        file.replace_extension(extension);
        std::error_code code;
        if (file == key_file || !fs::is_regular_file(file, code)) continue;
        std::ranges::move(read_certificates(file), std::back_inserter(all));
    }
    return all;
}

void ask_and_unlock(KeyFile& file, const std::string& name, PinSource& passphrases) {
    const pkcs11::Pin passphrase = passphrases.ask({PinRequest::Kind::Passphrase, name});
    file.unlock(passphrase.reveal_secret());
}

void reveal_certificates(KeyFile& file, const std::string& name, PinSource& passphrases) {
    if (file.certificates().empty() && file.hides_certificates()) ask_and_unlock(file, name, passphrases);
}

KeyFile load_key_file(const std::string& path) {
    const KeyOctets content(read_file(path, PublisherSigner::kMaxFileSize));
    return KeyFile::decode(content.octets(), path);
}

Certificate choose_certificate(std::span<const Certificate> candidates, KeyFile& file,
                               const std::string& name) {
    if (candidates.empty()) {
        throw Error(Errc::NoCertificate, "choosing the signer", name,
                    "put the certificate beside it (same name, .pem, .crt, .cer or .der), or name it");
    }
    // An encrypted key cannot be compared yet; unlock() will.
    if (file.locked()) return candidates.front();
    const auto found =
        std::ranges::find_if(candidates, [&](const Certificate& c) { return fits(c, *file.key()); });
    if (found == candidates.end()) {
        throw Error(Errc::KeyMismatch, "choosing the signer", name,
                    "the certificate is that of " + candidates.front().subject_text());
    }
    return *found;
}

}  // namespace

PublisherSigner::PublisherSigner(KeyFile file, Certificate certificate, std::string name,
                                 PinSource& passphrases)
    : facts_(make_facts(std::move(certificate), std::move(name))),
      public_key_(PublicKey::from_spki(facts_.certificate.spki_der())),
      file_(std::make_unique<KeyFile>(std::move(file))),
      passphrases_(passphrases) {}

PublisherSigner::~PublisherSigner() = default;

std::unique_ptr<PublisherSigner> PublisherSigner::decode(ByteView content, const std::string& name,
                                                         std::span<const Certificate> certificates,
                                                         PinSource& passphrases) {
    KeyFile file = KeyFile::decode(content, name);
    if (certificates.empty()) {
        reveal_certificates(file, name, passphrases);
        certificates = file.certificates();
    }
    Certificate certificate = choose_certificate(certificates, file, name);
    return std::unique_ptr<PublisherSigner>(
        new PublisherSigner(std::move(file), std::move(certificate), name, passphrases));
}

std::unique_ptr<PublisherSigner> PublisherSigner::open(const std::string& path,
                                                       const std::optional<Certificate>& given,
                                                       PinSource& passphrases) {
    KeyFile file = load_key_file(path);
    std::vector<Certificate> certificates;
    if (given) {
        certificates.push_back(*given);
    } else {
        reveal_certificates(file, path, passphrases);
        certificates = file.certificates().empty() ? find_certificates_beside(path) : file.certificates();
    }
    Certificate certificate = choose_certificate(certificates, file, path);
    return std::unique_ptr<PublisherSigner>(
        new PublisherSigner(std::move(file), std::move(certificate), path, passphrases));
}

void PublisherSigner::unlock() {
    if (refusal_) throw Error(*refusal_);
    if (!file_->locked()) return;
    try {
        ask_and_unlock(*file_, facts_.description, passphrases_);
        if (!fits(facts_.certificate, *file_->key())) {
            throw Error(Errc::KeyMismatch, "unlocking", facts_.description,
                        "the certificate is that of " + facts_.certificate.subject_text());
        }
    } catch (const Error& e) {
        refusal_ = e;
        throw;
    }
}

Bytes PublisherSigner::sign(Digest digest, ByteView message) {
    if (!pkcs11::fits_key(digest, facts_.key_bits)) {
        throw Error(Errc::UnsupportedKey, "signing with", facts_.description,
                    "the key is too short for " + std::string(to_text(digest)));
    }
    unlock();
    Bytes signature = file_->key()->sign(digest, message);
    const ByteView parts[] = {message};
    if (!public_key_.verify(digest, parts, signature)) {
        throw Error(Errc::WrongSignature, "signing with", facts_.description, "the key is damaged");
    }
    return signature;
}

}  // namespace ctlsign::sast
