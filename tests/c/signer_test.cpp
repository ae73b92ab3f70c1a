#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include <pkcs11/digest.hpp>
#include <sast/public_key.hpp>
#include <tests/c/c_interface.hpp>
#include <tests/support/temporary_folder.hpp>

// Signing through the C interface, with real callbacks and a virtual eToken.
namespace ctlsign::testing {
namespace {

class CSigner : public CToken {
  protected:
    ctlsign_status sign(ctlsign_digest digest = CTLSIGN_DIGEST_SHA1) {
        return ctlsign_signer_sign(signer, digest, to_view(message), signature.out(), &error);
    }
    ctlsign_status open_file(const std::string& path) {
        const auto given = options();
        return ctlsign_signer_open_file(path.c_str(), &given, signer.out(), &error);
    }
    bool verifies(const std::string& stem = kTokenKey) const {
        const ByteView parts[] = {message};
        const Bytes raw = signature.bytes();
        return sast::PublicKey::from_spki(load_certificate(stem + ".pem").spki_der())
            .verify(Digest::Sha1, parts, raw);
    }
    Bytes message = read_data(kGolden);
    Filled signature;
};

TEST_F(CSigner, SignsAndAsksForThePinOnce) {
    open_signer();
    auto info = sized<ctlsign_signer_info>();
    ok(ctlsign_signer_get(signer, &info, &error));
    EXPECT_EQ(info.key_bits, 1024U);
    EXPECT_EQ(info.signature_length, 128U);
    const auto certificate = load_certificate(std::string(kTokenKey) + ".pem");
    EXPECT_TRUE(equal(to_bytes(info.certificate), certificate.der()));
    EXPECT_THAT(info.description, ::testing::HasSubstr(token->serial()));
    EXPECT_EQ(asked, 0);
    ok(sign());
    ok(sign());
    EXPECT_TRUE(verifies());
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(label, token->label());
    EXPECT_EQ(serial, token->serial());
    EXPECT_EQ(tries_left, 15);
    EXPECT_EQ(kind, CTLSIGN_PIN_OF_TOKEN);
}

TEST_F(CSigner, OutlivesTheModulesItWasOpenedFrom) {
    open_signer();
    modules.close();
    ok(ctlsign_signer_unlock(signer, &error));
    EXPECT_EQ(asked, 1);
    ok(sign());
    EXPECT_EQ(asked, 1);
}

TEST_F(CSigner, IsChosenByUriSerialAndLabel) {
    open_modules();
    const auto given = options();
    for (const std::string& name : {"pkcs11:serial=" + token->serial(), token->serial(), token->label(),
                                    "pkcs11:token=" + token->label() + ";object=A"}) {
        ok(ctlsign_signer_open_token(modules, name.c_str(), &given, signer.out(), &error));
    }
    EXPECT_EQ(ctlsign_signer_open_token(modules, "another", &given, signer.out(), &error),
              CTLSIGN_STATUS_TOKEN);
    EXPECT_EQ(signer, nullptr);
    EXPECT_STREQ(error.domain, "sast");
    EXPECT_EQ(ctlsign_signer_open_token(modules, "pkcs11:pin-value=1", &given, signer.out(), &error),
              CTLSIGN_STATUS_ARGUMENT);
}

TEST_F(CSigner, AWrongPinIsACondition) {
    open_signer();
    pin = "not the PIN";
    EXPECT_EQ(sign(), CTLSIGN_STATUS_TOKEN);
    EXPECT_EQ(error.status, CTLSIGN_STATUS_TOKEN);
    EXPECT_EQ(error.condition, CTLSIGN_CONDITION_PIN_WRONG);
    EXPECT_STREQ(error.domain, "pkcs11-rv");
    EXPECT_EQ(error.code, 0xA0UL);
    EXPECT_THAT(error.text, ::testing::HasSubstr("C_Login"));
    EXPECT_THAT(error.text, ::testing::Not(::testing::HasSubstr(pin)));
    EXPECT_EQ(signature.view().data, nullptr);
    EXPECT_EQ(sign(), CTLSIGN_STATUS_TOKEN) << "the same PIN is not sent again";
    EXPECT_STREQ(error.domain, "pkcs11");
    EXPECT_EQ(tries_left, 14);
}

TEST_F(CSigner, NoPinIsAStatusOfItsOwn) {
    refuse = true;
    open_signer();
    EXPECT_EQ(sign(), CTLSIGN_STATUS_NO_PIN);
    refuse = false;
    pin.clear();
    EXPECT_EQ(sign(), CTLSIGN_STATUS_NO_PIN);
    ok(ctlsign_signer_open_token(modules, nullptr, nullptr, signer.out(), &error));
    EXPECT_EQ(sign(), CTLSIGN_STATUS_NO_PIN);
    auto greedy = options();
    greedy.pin = [](void*, const ctlsign_pin_request*, char*, size_t capacity, size_t* length) {
        *length = capacity + 1;
        return 0;
    };
    ok(ctlsign_signer_open_token(modules, nullptr, &greedy, signer.out(), &error));
    EXPECT_EQ(sign(), CTLSIGN_STATUS_NO_PIN);
}

TEST_F(CSigner, APersonIsToldToEnterThePinAtTheReader) {
    plug_token();
    setenv("RECORD_MODULE", VirtualToken::module().c_str(), 1);
    setenv("RECORD_LOG", "/dev/null", 1);
    setenv("RECORD_READER_PIN", pin.c_str(), 1);
    auto recorded = sized<ctlsign_module_options>();
    recorded.path = CTLSIGN_RECORDING_MODULE;
    ok(ctlsign_modules_open(&recorded, modules.out(), &error));
    open_signer();
    refuse = true;
    EXPECT_EQ(sign(), CTLSIGN_STATUS_NO_PIN);
    refuse = false;
    ok(sign());
    EXPECT_TRUE(verifies());
    EXPECT_EQ(asked, 2);
    EXPECT_EQ(kind, CTLSIGN_PIN_AT_READER);
    EXPECT_EQ(label, token->label());
}

TEST_F(CSigner, SurvivesAPullAndAReplug) {
    open_signer();
    ok(sign());
    token->unplug();
    ok(sign());
    EXPECT_EQ(waited, 1);
    token->fault("on C_Sign unplug A");
    ok(sign());
    EXPECT_EQ(waited, 2);
    EXPECT_TRUE(verifies());
    EXPECT_EQ(asked, 1);
}

TEST_F(CSigner, GivesUpWaitingWhenTheCallbackSaysSo) {
    open_signer();
    ok(sign());
    token->unplug();
    refuse = true;
    EXPECT_EQ(sign(), CTLSIGN_STATUS_TOKEN);
    EXPECT_EQ(error.condition, CTLSIGN_CONDITION_TOKEN_GONE);
    refuse = false;
    ok(sign());
}

TEST_F(CSigner, ClosingItEndsTheWaitForItsToken) {
    open_signer();
    ok(sign());
    token->unplug();
    ctlsign_signer* const same = signer;
    on_wait = [&] { std::thread([&] { signer.close(); }).join(); };
    EXPECT_EQ(ctlsign_signer_sign(same, CTLSIGN_DIGEST_SHA1, to_view(message), signature.out(), &error),
              CTLSIGN_STATUS_STOPPED);
}

TEST_F(CSigner, ACallbackMayNotUseItsOwnSigner) {
    open_signer();
    ctlsign_status inner = CTLSIGN_STATUS_OK;
    on_ask = [&] {
        inner = ctlsign_signer_unlock(signer, nullptr);
        on_ask = nullptr;
    };
    ok(sign());
    EXPECT_EQ(inner, CTLSIGN_STATUS_ARGUMENT);
}

TEST_F(CSigner, WhatACallbackThrowsIsAStatus) {
    open_signer();
    on_ask = [] { throw std::runtime_error("of the caller"); };
    EXPECT_EQ(sign(), CTLSIGN_STATUS_FAULT);
    EXPECT_STREQ(error.text, "of the caller");
}

TEST_F(CSigner, ThreadsTakeTurns) {
    open_signer();
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            Filled mine;
            EXPECT_EQ(ctlsign_signer_sign(signer, CTLSIGN_DIGEST_SHA1, to_view(message), mine.out(), nullptr),
                      CTLSIGN_STATUS_OK);
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(asked, 1);
}

TEST_F(CSigner, WhatWasClosedMeanwhileIsFinished) {
    open_signer();
    ctlsign_signer* const same = signer;
    on_ask = [&] { std::thread([&] { signer.close(); }).join(); };
    ok(ctlsign_signer_sign(same, CTLSIGN_DIGEST_SHA1, to_view(message), signature.out(), &error));
    EXPECT_TRUE(verifies());
    EXPECT_EQ(ctlsign_signer_unlock(same, nullptr), CTLSIGN_STATUS_HANDLE);
}

TEST_F(CSigner, FilesAreSignersToo) {
    pin = "a passphrase";
    ok(open_file(data_path(std::string(kTokenKey) + ".key")));
    ok(sign());
    EXPECT_TRUE(verifies());
    EXPECT_EQ(asked, 0);
    EXPECT_EQ(open_file("/nowhere.pem"), CTLSIGN_STATUS_SYSTEM);
    EXPECT_EQ(error.code, static_cast<unsigned long>(ENOENT));
    EXPECT_EQ(open_file(data_path(kGolden)), CTLSIGN_STATUS_MALFORMED);
}

TEST_F(CSigner, PassphrasesOfFilesAreAskedFor) {
    const TemporaryFolder folder;
    const std::string path = (folder.path() / "key.pem").string();
    const std::string command = "openssl pkcs8 -topk8 -v2 aes-256-cbc -passout pass:krakow -in " +
                                data_path(std::string(kTokenKey) + ".key") + " -out " + path;
    ASSERT_EQ(std::system(command.c_str()), 0);
    const std::string certificate = read_text(std::string(kTokenKey) + ".pem");
    auto given = options();
    given.certificate = to_view(as_bytes(certificate));
    ok(ctlsign_signer_open_file(path.c_str(), &given, signer.out(), &error));
    pin = "krakow";
    ok(sign());
    EXPECT_TRUE(verifies());
    EXPECT_EQ(kind, CTLSIGN_PIN_OF_FILE);
    EXPECT_EQ(subject, path);
    EXPECT_EQ(label, "");
    EXPECT_EQ(tries_left, -1);
}

TEST_F(CSigner, AnHsmSignsWithTheKeyThatAUriNames) {
    token.emplace("publisher-hsm", "H");
    pin = token->pin();
    open_modules();
    const std::string uri = "pkcs11:token=" + token->label() + ";object=H";
    const auto given = options();
    ok(ctlsign_signer_open_token(modules, uri.c_str(), &given, signer.out(), &error));
    ok(sign(CTLSIGN_DIGEST_SHA512));
    EXPECT_EQ(signature.view().size, 256U);
    EXPECT_EQ(sign(4), CTLSIGN_STATUS_ARGUMENT);
}

TEST_F(CSigner, AChildGoesOnWithAnotherLogin) {
    open_signer();
    ok(sign());
    const pid_t child = fork();
    if (child == 0) _exit(sign() == CTLSIGN_STATUS_OK && asked == 2 ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    ok(sign());
    EXPECT_EQ(asked, 1);
}

}  // namespace
}  // namespace ctlsign::testing
