#include <thread>

#include <pkcs11/error.hpp>
#include <tests/c/c_interface.hpp>

// Modules, tokens and the watcher through the C interface.
namespace ctlsign::testing {
namespace {

class CTokens : public CToken {
  protected:
    CTokens() { plug_token(); }

    void list() {
        if (modules == nullptr) open_modules();
        ok(ctlsign_tokens_list(modules, tokens.out(), &error));
    }
    std::size_t count() {
        std::size_t count = 99;
        ok(ctlsign_tokens_count(tokens, &count, &error));
        return count;
    }
    ctlsign_token_info info() {
        auto info = sized<ctlsign_token_info>();
        ok(ctlsign_tokens_get(tokens, 0, &info, &error));
        return info;
    }
    Handle<ctlsign_tokens> tokens;
    Handle<ctlsign_identities> identities;
    Handle<ctlsign_watcher> watcher;
};

TEST_F(CTokens, TellsOfModules) {
    open_modules();
    std::size_t count = 0;
    ok(ctlsign_modules_count(modules, &count, &error));
    ASSERT_EQ(count, 1U);
    auto info = sized<ctlsign_module_info>();
    ok(ctlsign_modules_get(modules, 0, &info, &error));
    EXPECT_EQ(info.path, VirtualToken::module());
    EXPECT_EQ(info.failure, nullptr);
    EXPECT_EQ(ctlsign_modules_get(modules, 1, &info, &error), CTLSIGN_STATUS_ARGUMENT);

    auto options = sized<ctlsign_module_options>();
    options.path = "/nowhere.so";
    EXPECT_EQ(ctlsign_modules_open(&options, modules.out(), &error), CTLSIGN_STATUS_TOKEN);
    EXPECT_EQ(error.condition, CTLSIGN_CONDITION_DEVICE_FAILED);
    options.command = "true";
    EXPECT_EQ(ctlsign_modules_open(&options, modules.out(), &error), CTLSIGN_STATUS_ARGUMENT);
    options.path = "|true";
    options.command = nullptr;
    EXPECT_EQ(ctlsign_modules_open(&options, modules.out(), &error), CTLSIGN_STATUS_ARGUMENT);
    EXPECT_THAT(error.text, ::testing::HasSubstr("a command goes into options->command"));
    // What p11-kit has configured on this machine is not this test's to say.
    ok(ctlsign_modules_open(nullptr, modules.out(), &error));
}

#ifndef CTLSIGN_INSTRUMENTED  // p11-kit's program cannot load a module that is
TEST_F(CTokens, ReachesModulesInOtherProcesses) {
    const std::string path = VirtualToken::module();
    auto options = sized<ctlsign_module_options>();
    options.path = path.c_str();
    options.isolate = 1;
    options.call_deadline_ms = 60'000;
    ok(ctlsign_modules_open(&options, modules.out(), &error));
    list();
    EXPECT_EQ(info().serial, token->serial());
    tokens.close();

    const std::string command = "p11-kit remote " + path;
    options.path = nullptr;
    options.command = command.c_str();
    ok(ctlsign_modules_open(&options, modules.out(), &error));
    list();
    EXPECT_EQ(info().serial, token->serial());
}
#endif

TEST_F(CTokens, TellsOfTokensAndIdentities) {
    list();
    ASSERT_EQ(count(), 1U);
    token->settle();
    modules.close();
    EXPECT_EQ(info().label, token->label());
    EXPECT_EQ(info().serial, token->serial());
    EXPECT_STREQ(info().manufacturer, "Aladdin Ltd.");
    EXPECT_STREQ(info().model, "eToken");
    EXPECT_EQ(info().flags, static_cast<unsigned>(CTLSIGN_TOKEN_LOGIN_REQUIRED));
    EXPECT_EQ(info().pin, CTLSIGN_PIN_GOOD);
    EXPECT_EQ(info().max_pin, 20U);
    EXPECT_EQ(info().module, VirtualToken::module());
    EXPECT_THAT(info().uri,
                ::testing::AllOf(::testing::StartsWith("pkcs11:"), ::testing::HasSubstr(token->serial())));

    auto status = sized<ctlsign_pin_status>();
    ok(ctlsign_tokens_pin_status(tokens, 0, &status, &error));
    EXPECT_EQ(status.state, CTLSIGN_PIN_GOOD);
    EXPECT_EQ(status.tries_left, 15);
    EXPECT_EQ(status.tries_max, 15);

    ok(ctlsign_identities_list(tokens, 0, identities.out(), &error));
    std::size_t found = 0;
    ok(ctlsign_identities_count(identities, &found, &error));
    ASSERT_EQ(found, 1U);
    auto identity = sized<ctlsign_identity_info>();
    ok(ctlsign_identities_get(identities, 0, &identity, &error));
    const auto certificate = load_certificate(std::string(kTokenKey) + ".pem");
    EXPECT_TRUE(equal(to_bytes(identity.certificate), certificate.der()));
    EXPECT_TRUE(equal(to_bytes(identity.serial), certificate.serial()));
    EXPECT_EQ(identity.subject, certificate.subject_text());
    EXPECT_EQ(identity.issuer, certificate.issuer_text());
    EXPECT_EQ(identity.not_before, certificate.not_before());
    EXPECT_EQ(identity.not_after, certificate.not_after());
    EXPECT_EQ(identity.key_bits, 1024U);
    EXPECT_EQ(identity.is_rsa, 1);
    EXPECT_EQ(identity.is_sast, 1);
    EXPECT_EQ(identity.key_id.size, 20U);
    EXPECT_EQ(ctlsign_identities_get(identities, 1, &identity, &error), CTLSIGN_STATUS_ARGUMENT);
}

TEST_F(CTokens, AStructOfAnOlderCallerIsFilledAsFarAsItGoes) {
    list();
    auto info = sized<ctlsign_token_info>();
    info.size = offsetof(ctlsign_token_info, serial);
    info.serial = "mine";
    ok(ctlsign_tokens_get(tokens, 0, &info, &error));
    EXPECT_EQ(info.label, token->label());
    EXPECT_STREQ(info.serial, "mine");
    EXPECT_EQ(info.size, offsetof(ctlsign_token_info, serial));
}

TEST_F(CTokens, ATokenThatIsGoneIsACondition) {
    list();
    token->unplug();
    auto status = sized<ctlsign_pin_status>();
    EXPECT_EQ(ctlsign_tokens_pin_status(tokens, 0, &status, &error), CTLSIGN_STATUS_TOKEN);
    EXPECT_EQ(error.condition, CTLSIGN_CONDITION_TOKEN_GONE);
    list();
    EXPECT_EQ(count(), 0U);
}

TEST_F(CTokens, WatchesThemComeAndGo) {
    open_modules();
    ok(ctlsign_watcher_open(modules, watcher.out(), &error));
    const auto next = [&](ctlsign_change wanted) {
        ctlsign_change change = 0;
        ok(ctlsign_watcher_next(watcher, 60'000, &change, tokens.out(), &error));
        EXPECT_EQ(change, wanted);
        EXPECT_EQ(info().serial, token->serial());
    };
    next(CTLSIGN_CHANGE_ARRIVED);
    token->unplug();
    next(CTLSIGN_CHANGE_LEFT);
    token->plug();
    next(CTLSIGN_CHANGE_ARRIVED);

    ctlsign_change change = 0;
    EXPECT_EQ(ctlsign_watcher_next(watcher, 0, &change, tokens.out(), &error), CTLSIGN_STATUS_TIMEOUT);
    EXPECT_EQ(tokens, nullptr);

    std::thread other([&] { EXPECT_EQ(ctlsign_watcher_stop(watcher, nullptr), CTLSIGN_STATUS_OK); });
    EXPECT_EQ(ctlsign_watcher_next(watcher, CTLSIGN_FOREVER, &change, tokens.out(), &error),
              CTLSIGN_STATUS_STOPPED);
    other.join();
    EXPECT_EQ(ctlsign_watcher_next(watcher, CTLSIGN_FOREVER, &change, tokens.out(), &error),
              CTLSIGN_STATUS_STOPPED);
}

TEST_F(CTokens, ClosingAWatcherWakesWhoWaits) {
    token->unplug();
    open_modules();
    ok(ctlsign_watcher_open(modules, watcher.out(), &error));
    ctlsign_watcher* const same = watcher;
    std::thread waiting([&] {
        ctlsign_change change = 0;
        ctlsign_tokens* none = nullptr;
        const auto status = ctlsign_watcher_next(same, CTLSIGN_FOREVER, &change, &none, nullptr);
        // It may not have begun to wait before there was nothing to wait for.
        EXPECT_TRUE(status == CTLSIGN_STATUS_STOPPED || status == CTLSIGN_STATUS_HANDLE) << status;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    watcher.close();
    waiting.join();
}

TEST(CNames, AreForMachines) {
    EXPECT_STREQ(ctlsign_version(), CTLSIGN_VERSION);
    EXPECT_STREQ(ctlsign_status_name(CTLSIGN_STATUS_NOT_VERIFIED), "not-verified");
    EXPECT_STREQ(ctlsign_status_name(-1), "unknown");
    EXPECT_STREQ(ctlsign_condition_name(CTLSIGN_CONDITION_PIN_LOCKED), "pin-locked");
    EXPECT_STREQ(ctlsign_condition_name(99), "unknown");
}

}  // namespace
}  // namespace ctlsign::testing
