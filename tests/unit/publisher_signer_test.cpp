#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include <pkcs11/free_with.hpp>
#include <sast/error.hpp>
#include <sast/publisher_signer.hpp>
#include <tests/support/data.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/temporary_folder.hpp>
#include <tests/support/text_file.hpp>

namespace ctlsign::sast {
namespace {

using testing::data_path;
using testing::load_text;
using testing::read_golden;
using testing::TemporaryFolder;

const std::string kKey = data_path("krakow/certificates/cucm-1051-a-pub.key");
const std::string kCertificate = data_path("krakow/certificates/cucm-1051-a-pub.pem");
const std::string kOther = data_path("krakow/certificates/CAPF-e41e7d87.pem");

// Answers with one passphrase and counts how often it was asked.
class OnePassphrase final : public PinSource {
  public:
    explicit OnePassphrase(std::string text) : text_(std::move(text)) {}
    pkcs11::Pin ask(const PinRequest& request) override {
        EXPECT_EQ(request.kind, PinRequest::Kind::Passphrase);
        subject = request.subject;
        ++asked;
        std::string copy = text_;
        return pkcs11::Pin::take(copy);
    }
    void look_at_reader(const PinRequest&) override { ADD_FAILURE(); }
    int asked = 0;
    std::string subject;

  private:
    std::string text_;
};

class PublisherFile : public ::testing::Test {
  protected:
    // Runs openssl; FILE in the arguments stands for the file to be made.
    std::string make(const std::string& name, std::string arguments) const {
        std::string file = (folder_ / name).string();
        for (auto at = arguments.find("FILE"); at != std::string::npos; at = arguments.find("FILE")) {
            arguments.replace(at, 4, file);
        }
        const std::string command = "openssl " + arguments + " >" + (folder_ / "log").string() + " 2>&1";
        if (std::system(command.c_str()) != 0) throw std::runtime_error(command);
        return file;
    }
    std::string write(const std::string& name, const std::string& content) const {
        std::string file = (folder_ / name).string();
        std::ofstream(file, std::ios::binary) << content;
        return file;
    }
    static Certificate certificate() { return Certificate::decode_pem(load_text(kCertificate)).at(0); }

    static void expect_golden(PublisherSigner& signer) {
        for (const auto& [file, digest] :
             {std::pair("krakow/CTLFile-tokenless.tlv", Digest::Sha1),
              std::pair("krakow/CTLFile-tokenless-sha512.tlv", Digest::Sha512)}) {
            const auto golden = read_golden(file);
            EXPECT_EQ(to_hex(signer.sign(digest, golden.message)), to_hex(golden.signature)) << file;
        }
    }
    static std::error_code refusal(const std::function<void()>& action, const std::string& words = "") {
        try {
            action();
        } catch (const Error& e) {
            EXPECT_THAT(e.what(), ::testing::HasSubstr(words));
            EXPECT_THAT(e.what(), ::testing::Not(::testing::HasSubstr("s3cret")));
            EXPECT_EQ(ERR_peek_error(), 0U) << "OpenSSL's error queue is left clean";
            return e.code();
        }
        return {};
    }

    TemporaryFolder folder_;
};

struct Form {
    const char* label;
    const char* name;
    const char* arguments;  // of openssl
    int asked_at_open;
    int asked_in_all;
};
void PrintTo(const Form& form, std::ostream* out) {
    *out << form.label;
}

class EveryForm : public PublisherFile, public ::testing::WithParamInterface<Form> {};

void free_bags(STACK_OF(PKCS12_SAFEBAG) * bags) {
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
}

std::string with_files(std::string arguments) {
    for (const auto& [word, text] :
         {std::pair<std::string, std::string>("KEY", kKey), {"CERT", kCertificate}, {"CHAIN", kOther}}) {
        for (auto at = arguments.find(word); at != std::string::npos; at = arguments.find(word)) {
            arguments.replace(at, word.size(), text);
        }
    }
    return arguments;
}

TEST_P(EveryForm, SignsTheGoldenFilesAndAsksOnce) {
    const std::string file = make(GetParam().name, with_files(GetParam().arguments));
    OnePassphrase passphrases("s3cret");
    std::filesystem::copy_file(kCertificate, folder_ / "publisher.crt");
    const auto signer = PublisherSigner::open(file, std::nullopt, passphrases);
    EXPECT_EQ(passphrases.asked, GetParam().asked_at_open);
    EXPECT_EQ(signer->facts().certificate, certificate());
    EXPECT_EQ(signer->facts().key_bits, 1024U);
    EXPECT_EQ(signer->facts().signature_length, 128U);
    EXPECT_EQ(signer->facts().description, file);
    expect_golden(*signer);
    EXPECT_EQ(passphrases.asked, GetParam().asked_in_all);
    EXPECT_EQ(passphrases.subject, passphrases.asked == 0 ? "" : file);
}

TEST_P(EveryForm, AWrongPassphraseIsFinal) {
    if (GetParam().asked_in_all == 0) {
        OnePassphrase never("wrong");
        std::filesystem::copy_file(kCertificate, folder_ / "publisher.crt");
        PublisherSigner::open(make(GetParam().name, with_files(GetParam().arguments)), std::nullopt, never)
            ->unlock();
        EXPECT_EQ(never.asked, 0);
        return;
    }
    const std::string file = make(GetParam().name, with_files(GetParam().arguments));
    OnePassphrase passphrases("wrong");
    std::unique_ptr<PublisherSigner> signer;
    if (GetParam().asked_at_open != 0) {
        EXPECT_EQ(refusal([&] { PublisherSigner::open(file, std::nullopt, passphrases); }, file),
                  Errc::WrongPassphrase);
        EXPECT_EQ(passphrases.asked, 1);
        signer = PublisherSigner::open(file, certificate(), passphrases);
        passphrases.asked = 0;
    } else {
        signer = PublisherSigner::open(file, certificate(), passphrases);
    }
    EXPECT_EQ(refusal([&] { signer->sign(Digest::Sha1, {}); }, file), Errc::WrongPassphrase);
    EXPECT_EQ(refusal([&] { signer->sign(Digest::Sha1, {}); }, file), Errc::WrongPassphrase);
    EXPECT_EQ(passphrases.asked, 1);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, EveryForm,
    ::testing::Values(
        Form{"pkcs8", "publisher.key", "pkcs8 -topk8 -nocrypt -in KEY -out FILE", 0, 0},
        Form{"pkcs1", "publisher.key", "rsa -traditional -in KEY -out FILE", 0, 0},
        Form{"pkcs8-aes", "publisher.key",
             "pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out FILE -passout pass:s3cret", 0, 1},
        Form{"pkcs8-scrypt", "publisher.key", "pkcs8 -topk8 -scrypt -in KEY -out FILE -passout pass:s3cret",
             0, 1},
        Form{"pkcs8-3des", "publisher.key",
             "pkcs8 -topk8 -v1 PBE-SHA1-3DES -in KEY -out FILE -passout pass:s3cret", 0, 1},
        Form{"pkcs8-des", "publisher.key",
             "pkcs8 -topk8 -v1 PBE-MD5-DES -provider legacy -provider default -in KEY -out FILE -passout "
             "pass:s3cret",
             0, 1},
        Form{"traditional-aes", "publisher.key",
             "rsa -traditional -aes128 -in KEY -out FILE -passout pass:s3cret", 0, 1},
        Form{"traditional-3des", "publisher.key",
             "rsa -traditional -des3 -in KEY -out FILE -passout pass:s3cret", 0, 1},
        Form{
            "traditional-des", "publisher.key",
            "rsa -traditional -des -provider legacy -provider default -in KEY -out FILE -passout pass:s3cret",
            0, 1},
        Form{"pkcs12", "publisher.p12", "pkcs12 -export -inkey KEY -in CERT -out FILE -passout pass:s3cret",
             1, 1},
        Form{"pkcs12-chain", "publisher.p12",
             "pkcs12 -export -inkey KEY -in CERT -certfile CHAIN -out FILE -passout pass:s3cret", 1, 1},
        Form{"pkcs12-rc2", "publisher.p12",
             "pkcs12 -export -legacy -inkey KEY -in CERT -out FILE -passout pass:s3cret", 1, 1},
        Form{"pkcs12-3des", "publisher.p12",
             "pkcs12 -export -legacy -descert -inkey KEY -in CERT -out FILE -passout pass:s3cret", 1, 1},
        Form{"pkcs12-open-certificates-no-mac", "publisher.p12",
             "pkcs12 -export -nomac -inkey KEY -in CERT -out FILE -passout pass:s3cret", 0, 1},
        Form{"pkcs12-no-mac", "publisher.p12",
             "pkcs12 -export -nomac -certpbe AES-256-CBC -inkey KEY -in CERT -out FILE -passout pass:s3cret",
             1, 1},
        Form{
            "pkcs12-open-certificates", "publisher.p12",
            "pkcs12 -export -certpbe NONE -inkey KEY -in CERT -certfile CHAIN -out FILE -passout pass:s3cret",
            0, 1},
        Form{"pkcs12-open", "publisher.p12",
             "pkcs12 -export -nomac -certpbe NONE -keypbe NONE -inkey KEY -in CERT -out FILE -passout "
             "pass:s3cret",
             0, 0},
        Form{"pkcs12-empty-passphrase", "publisher.p12",
             "pkcs12 -export -inkey KEY -in CERT -out FILE -passout pass:", 0, 0},
        Form{"pkcs12-rc2-empty-passphrase", "publisher.p12",
             "pkcs12 -export -legacy -inkey KEY -in CERT -out FILE -passout pass:", 0, 0},
        Form{"pkcs12-key-only", "publisher.p12",
             "pkcs12 -export -nocerts -inkey KEY -out FILE -passout pass:s3cret", 1, 1}));

TEST_F(PublisherFile, KeyAndCertificatesInOnePem) {
    OnePassphrase passphrases("s3cret");
    const std::string key = load_text(kKey), own = load_text(kCertificate), other = load_text(kOther);
    for (const std::string& text :
         {key + own, own + key, other + own + key, "a line of text\n" + key + other + own}) {
        const auto signer = PublisherSigner::open(write("publisher.pem", text), std::nullopt, passphrases);
        EXPECT_EQ(signer->facts().certificate, certificate());
        expect_golden(*signer);
    }
    const std::string encrypted =
        load_text(make("e.key", "pkcs8 -topk8 -in " + kKey + " -out FILE -passout pass:s3cret"));
    const auto signer =
        PublisherSigner::open(write("publisher.pem", own + encrypted), std::nullopt, passphrases);
    EXPECT_EQ(signer->facts().certificate, certificate());
    EXPECT_EQ(passphrases.asked, 0);
    expect_golden(*signer);
}

TEST_F(PublisherFile, AWayToEncryptThatNobodyKnowsIsNoWrongPassphrase) {
    OnePassphrase passphrases("s3cret");
    const auto signer =
        PublisherSigner::open(write("publisher.pem",
                                    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "
                                    "ROT13-CBC,0123456789ABCDEF\n\nAAAA\n-----END RSA PRIVATE KEY-----\n" +
                                        load_text(kCertificate)),
                              std::nullopt, passphrases);
    EXPECT_EQ(refusal([&] { signer->sign(Digest::Sha1, {}); }, "does not know the way"), Errc::MalformedKey);
}

TEST_F(PublisherFile, APassphraseIsNotWorkedOnBeyondReason) {
    OnePassphrase never("s3cret");
    for (const char* arguments :
         {"pkcs8 -topk8 -iter 1000001 -in KEY -out FILE -passout pass:s3cret",
          "pkcs8 -topk8 -v1 PBE-SHA1-3DES -iter 1000001 -in KEY -out FILE -passout pass:s3cret",
          "pkcs8 -topk8 -scrypt -scrypt_N 16384 -scrypt_r 8 -scrypt_p 8 -in KEY -out FILE -passout "
          "pass:s3cret",
          "pkcs12 -export -keypbe NONE -certpbe NONE -iter 1000001 -inkey KEY -in CERT -out FILE -passout "
          "pass:s3cret",
          "pkcs12 -export -nomac -keypbe NONE -certpbe AES-256-CBC -iter 1000001 -inkey KEY -in CERT -out "
          "FILE -passout pass:s3cret",
          "pkcs12 -export -nomac -certpbe NONE -iter 1000001 -inkey KEY -in CERT -out FILE -passout "
          "pass:s3cret"}) {
        const std::string file = make("publisher.key", with_files(arguments));
        EXPECT_EQ(refusal([&] { PublisherSigner::open(file, certificate(), never); }, "beyond reason"),
                  Errc::MalformedKey)
            << arguments;
    }
    EXPECT_EQ(never.asked, 0);
}

TEST_F(PublisherFile, NorForMorePartsThanAKeyNeeds) {
    const std::unique_ptr<STACK_OF(PKCS12_SAFEBAG), FreeWith<free_bags>> bags(sk_PKCS12_SAFEBAG_new_null());
    STACK_OF(PKCS7)* safes = nullptr;
    for (int part = 0; part < 17; ++part)
        ASSERT_EQ(PKCS12_add_safe(&safes, bags.get(), NID_aes_256_cbc, 1, ""), 1);
    const std::unique_ptr<PKCS12, FreeWith<PKCS12_free>> file(PKCS12_add_safes(safes, NID_pkcs7_data));
    sk_PKCS7_pop_free(safes, PKCS7_free);
    unsigned char* der = nullptr;
    const int size = i2d_PKCS12(file.get(), &der);
    ASSERT_GT(size, 0);
    const Bytes octets(der, der + size);
    OPENSSL_free(der);
    OnePassphrase never("");
    EXPECT_EQ(refusal([&] { PublisherSigner::decode(octets, "file", {}, never); }, "encrypted parts"),
              Errc::MalformedKey);
    EXPECT_EQ(never.asked, 0);
}

TEST_F(PublisherFile, CertificateBesideTheKey) {
    OnePassphrase none("");
    const std::string key = write("publisher.key", load_text(kKey));
    EXPECT_EQ(refusal([&] { PublisherSigner::open(key, std::nullopt, none); }, "beside it"),
              Errc::NoCertificate);
    for (const char* extension : {".pem", ".crt", ".cer", ".der"}) {
        const std::string beside = write(std::string("publisher") + extension, load_text(kCertificate));
        EXPECT_EQ(PublisherSigner::open(key, std::nullopt, none)->facts().certificate, certificate())
            << extension;
        make(std::string("publisher") + extension, "x509 -outform DER -in " + kCertificate + " -out FILE");
        EXPECT_EQ(PublisherSigner::open(key, std::nullopt, none)->facts().certificate, certificate())
            << extension;
        std::filesystem::remove(beside);
    }
    write("publisher.pem", load_text(kOther));
    EXPECT_EQ(refusal([&] { PublisherSigner::open(key, std::nullopt, none); }, "CAPF-e41e7d87"),
              Errc::KeyMismatch);
    write("publisher.crt", load_text(kCertificate));
    EXPECT_EQ(PublisherSigner::open(key, std::nullopt, none)->facts().certificate, certificate());
    EXPECT_EQ(none.asked, 0);
}

TEST_F(PublisherFile, AGivenCertificateComesBeforeAllOthers) {
    OnePassphrase none("");
    const std::string both = write("publisher.pem", load_text(kKey) + load_text(kOther));
    EXPECT_EQ(refusal([&] { PublisherSigner::open(both, std::nullopt, none); }), Errc::KeyMismatch);
    EXPECT_EQ(PublisherSigner::open(both, certificate(), none)->facts().certificate, certificate());
    const Certificate other = Certificate::decode_pem(load_text(kOther)).at(0);
    EXPECT_EQ(refusal([&] { PublisherSigner::open(both, other, none); }), Errc::KeyMismatch);
}

TEST_F(PublisherFile, AMismatchOfAnEncryptedKeyIsFoundWhenItIsUnlocked) {
    OnePassphrase passphrases("s3cret");
    const std::string key =
        make("publisher.key", "pkcs8 -topk8 -in " + kKey + " -out FILE -passout pass:s3cret");
    write("publisher.pem", load_text(kOther));
    const auto signer = PublisherSigner::open(key, std::nullopt, passphrases);
    EXPECT_EQ(refusal([&] { signer->sign(Digest::Sha1, {}); }, "CAPF-e41e7d87"), Errc::KeyMismatch);
    EXPECT_EQ(refusal([&] { signer->sign(Digest::Sha1, {}); }), Errc::KeyMismatch);
    EXPECT_EQ(passphrases.asked, 1);
}

TEST_F(PublisherFile, SizesAndKindsOfKeys) {
    OnePassphrase none("");
    const std::string make_rsa =
        "req -x509 -newkey rsa:BITS -nodes -subj /CN=x -sha256 -keyout FILE -out FILE.crt";
    for (const unsigned bits : {512U, 2048U, 3072U, 4096U}) {
        std::string arguments = make_rsa;
        arguments.replace(arguments.find("BITS"), 4, std::to_string(bits));
        const std::string file = make("k" + std::to_string(bits), arguments);
        const std::string pem = write("k.pem", load_text(file) + load_text(file + ".crt"));
        if (bits == 3072) {
            EXPECT_EQ(refusal([&] { PublisherSigner::open(pem, std::nullopt, none); }, "3072"),
                      Errc::UnsupportedKey);
            continue;
        }
        const auto signer = PublisherSigner::open(pem, std::nullopt, none);
        EXPECT_EQ(signer->facts().signature_length, bits / 8);
        EXPECT_EQ(signer->sign(Digest::Sha256, as_bytes("x")).size(), bits / 8);
        if (bits == 512) {
            const std::string locked =
                make("locked.key", "pkcs8 -topk8 -in " + file + " -out FILE -passout pass:s3cret");
            OnePassphrase never("s3cret");
            const auto signer_of_locked = PublisherSigner::open(
                write("locked.pem", load_text(locked) + load_text(file + ".crt")), std::nullopt, never);
            EXPECT_EQ(refusal([&] { signer_of_locked->sign(Digest::Sha512, {}); }, "too short for SHA-512"),
                      Errc::UnsupportedKey);
            EXPECT_EQ(never.asked, 0);
            EXPECT_EQ(refusal([&] { signer->sign(Digest::Sha512, {}); }, "too short for SHA-512"),
                      Errc::UnsupportedKey);
        }
    }
    const std::string ec = make("ec",
                                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x "
                                "-keyout FILE -out FILE.crt");
    EXPECT_EQ(refusal([&] { PublisherSigner::open(ec, std::nullopt, none); }, "RSA"), Errc::UnsupportedKey);
    make("sec1", "ec -in " + ec + " -out FILE");
    EXPECT_EQ(refusal([&] { PublisherSigner::open((folder_ / "sec1").string(), std::nullopt, none); }, "RSA"),
              Errc::UnsupportedKey);
}

TEST_F(PublisherFile, WhateverFileAPersonHas) {
    OnePassphrase none("");
    const auto open = [&](const std::string& path) {
        return [path, &none] { PublisherSigner::open(path, std::nullopt, none); };
    };
    EXPECT_EQ(refusal(open(folder_.path().string())), std::errc::is_a_directory);
    EXPECT_EQ(refusal(open((folder_ / "missing").string()), "missing"), std::errc::no_such_file_or_directory);
    EXPECT_EQ(refusal(open(write("empty", "")), "empty"), Errc::MalformedKey);
    EXPECT_EQ(refusal(open(write("text", "dear publisher")), "neither PEM nor PKCS#12"), Errc::MalformedKey);
    EXPECT_EQ(refusal(open(kCertificate), "holds no private key"), Errc::NoKey);
    EXPECT_EQ(refusal(open(make("der", "x509 -outform DER -in " + kCertificate + " -out FILE"))),
              Errc::MalformedKey);
    EXPECT_EQ(refusal(open(data_path("krakow/CTLFile-tokenless.tlv"))), Errc::MalformedKey);
    EXPECT_EQ(refusal(open(make("nokey.p12",
                                "pkcs12 -export -nokeys -in " + kCertificate + " -out FILE -passout pass:")),
                      "no private key"),
              Errc::NoKey);
    EXPECT_EQ(refusal(open(write("huge", std::string(PublisherSigner::kMaxFileSize + 1, 'x')))),
              std::errc::file_too_large);
    EXPECT_EQ(
        refusal(open(write("broken", "-----BEGIN PRIVATE KEY-----\nMIIC\n-----END PRIVATE KEY-----\n"))),
        Errc::MalformedKey);
    EXPECT_EQ(none.asked, 0);
}

TEST_F(PublisherFile, TruncatedOrChangedFilesNeverCrash) {
    OnePassphrase passphrases("s3cret");
    const Certificate certificates[] = {certificate()};
    for (const char* legacy : {"", "-legacy "}) {
        const std::string p12 =
            load_text(make("p", std::string("pkcs12 -export -iter 1 ") + legacy + "-inkey " + kKey + " -in " +
                                    kCertificate + " -out FILE -passout pass:s3cret"));
        for (std::size_t size = 0; size < p12.size(); size += 7) {
            EXPECT_THROW(PublisherSigner::decode(as_bytes(p12).first(size), "p12", certificates, passphrases),
                         Error);
        }
        for (std::size_t at = 0; at < 400; at += 3) {
            std::string changed = p12;
            changed[at] = static_cast<char>(changed[at] ^ 0x41);
            try {
                PublisherSigner::decode(as_bytes(changed), "p12", {}, passphrases);
            } catch (const Error&) {
            }
        }
    }
}

TEST_F(PublisherFile, TheDefaultContextNeverGetsTheLegacyProvider) {
    OnePassphrase passphrases("s3cret");
    const std::string file = make("publisher.p12", "pkcs12 -export -legacy -inkey " + kKey + " -in " +
                                                       kCertificate + " -out FILE -passout pass:s3cret");
    expect_golden(*PublisherSigner::open(file, std::nullopt, passphrases));
    EXPECT_EQ(OSSL_PROVIDER_available(nullptr, "legacy"), 0);
    EVP_CIPHER* rc2 = EVP_CIPHER_fetch(nullptr, "RC2-40-CBC", nullptr);
    EXPECT_EQ(rc2, nullptr);
    EVP_CIPHER_free(rc2);
    ERR_clear_error();
}

TEST_F(PublisherFile, WithoutTheLegacyModuleTheErrorSaysSo) {
    OnePassphrase passphrases("s3cret");
    const std::string old = make("publisher.p12", "pkcs12 -export -legacy -inkey " + kKey + " -in " +
                                                      kCertificate + " -out FILE -passout pass:s3cret");
    setenv("OPENSSL_MODULES", folder_.path().c_str(), 1);
    EXPECT_EQ(refusal([&] { PublisherSigner::open(old, std::nullopt, passphrases); },
                      "legacy module is not installed"),
              Errc::MalformedKey);
    const std::string recent = make("new.p12", "pkcs12 -export -inkey " + kKey + " -in " + kCertificate +
                                                   " -out FILE -passout pass:s3cret");
    expect_golden(*PublisherSigner::open(recent, std::nullopt, passphrases));
    unsetenv("OPENSSL_MODULES");
}

}  // namespace
}  // namespace ctlsign::sast
