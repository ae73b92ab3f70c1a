#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <deque>
#include <functional>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <pkcs11/error.hpp>
#include <sast/error.hpp>
#include <sast/public_key.hpp>
#include <sast/token_signer.hpp>
#include <tests/contract/scenarios.hpp>
#include <tests/support/certificates.hpp>
#include <tests/support/code_of.hpp>
#include <tests/support/counting_pins.hpp>
#include <tests/support/wait_until.hpp>

// GoogleTest's expectations throw here (main.cpp).
namespace ctlsign::testing::contract {

namespace {

using namespace std::chrono_literals;
using pkcs11::FinalTry;
using pkcs11::PinState;
using pkcs11::Recovery;
using sast::Identity;
using sast::TokenSigner;
using ::testing::AnyOf;
using testing::wait_until;

const Bytes kMessage = {'a', 'b', 'c'};
// What a busy machine may add to a deadline.
constexpr auto kMargin = 30s;

/// The token in the hands of somebody who wants to sign.
struct Desk {
    explicit Desk(TokenKind& its_kind) : Desk(its_kind, its_kind.open()) {}
    Desk(TokenKind& its_kind, std::shared_ptr<pkcs11::Module> its_module)
        : kind(its_kind), module(std::move(its_module)) {}

    std::optional<pkcs11::Token> find_token() const {
        for (const auto& token : module->tokens()) {
            if (!kind.token_name() || kind.token_name()->matches(token)) return token;
        }
        return std::nullopt;
    }
    Identity wait_for_identity() const {
        std::optional<Identity> identity;
        wait_until([&] {
            const auto token = find_token();
            return token && code_of([&] {
                                identity = sast::choose_identity(*token, std::nullopt, std::nullopt);
                            }) != sast::Errc::NoCertificate;
        });
        return std::move(identity.value());
    }
    /// A signer with the right PIN, and with a wrong one.
    TokenSigner signer() { return TokenSigner(wait_for_identity(), pins); }
    TokenSigner mistaken(FinalTry final) {
        // Another one each time: a PIN that was rejected is not sent again.
        wrong_pins.emplace_back(std::to_string(10000000 + wrong_pins.size()));
        return TokenSigner(wait_for_identity(), wrong_pins.back(), policy(final));
    }
    /// A signer that waits for a token to come back, with a person who puts it into READER when told to.
    TokenSigner patient_signer(unsigned reader = 0) {
        sast::TokenPolicy patient;
        patient.wait = 60s;
        patient.on_wait = [this, reader](const pkcs11::Token&) { kind.insert(reader); };
        return TokenSigner(wait_for_identity(), pins, patient);
    }
    static sast::TokenPolicy policy(FinalTry final) {
        sast::TokenPolicy policy;
        policy.final_try = final;
        return policy;
    }

    TokenKind& kind;
    std::shared_ptr<pkcs11::Module> module;
    CountingPins pins{kind.pin()};
    std::deque<CountingPins> wrong_pins;
};

// By the certificate that the kind was provisioned with, whatever the token shows.
void expect_good(const TokenKind& kind, TokenSigner& signer, Digest digest = Digest::Sha1) {
    auto key = sast::PublicKey::from_spki(kind.certificate().spki_der());
    EXPECT_TRUE(key.verify(digest, {{kMessage}}, signer.sign(digest, kMessage))) << to_text(digest);
}

// A signer made anew signs, once the token is there again.
void expect_signs_again(Desk& desk) {
    wait_until([&] {
        return !code_of([&] {
            TokenSigner signer = desk.signer();
            expect_good(desk.kind, signer);
        });
    });
}

// The code when a signature does not come; one that does must be right.
std::error_code try_sign(const TokenKind& kind, TokenSigner& signer) {
    return code_of([&] { expect_good(kind, signer); });
}

// Between processes: one passes, another waits for it and passes no more.
class Gate {
  public:
    Gate() {
        if (pipe(ends_) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    }
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    ~Gate() {
        close(ends_[0]);
        close(ends_[1]);
    }
    void pass() { EXPECT_EQ(write(ends_[1], "", 1), 1); }
    void wait() {
        close(std::exchange(ends_[1], -1));
        char ignored = 0;
        EXPECT_EQ(read(ends_[0], &ignored, 1), 1);
    }

  private:
    int ends_[2];
};

pid_t start_child(const std::function<void()>& action) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child != 0) return child;
    try {
        action();
    } catch (const std::exception& e) {
        std::fprintf(stderr, "child: %s\n", e.what());
        _exit(1);
    }
    _exit(0);
}

void expect_good_end(pid_t child) {
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0) << "wait status of the child";
}

// Whatever a module calls a token that is not there.
const auto kGone = AnyOf(Recovery::token_gone, Recovery::session_lost, Recovery::login_needed,
                         Recovery::device_failed, make_error_code(sast::Errc::NoToken));

}  // namespace

void sign(TokenKind& kind) {
    Desk desk(kind);
    TokenSigner signer = desk.signer();
    EXPECT_EQ(signer.facts().certificate, kind.certificate());
    for (int i = 0; i < 3; ++i) expect_good(kind, signer);
    EXPECT_EQ(desk.pins.asked, 1);
}

void sign_with_each_digest(TokenKind& kind) {
    Desk desk(kind);
    TokenSigner signer = desk.signer();
    for (const Digest digest : {Digest::Sha1, Digest::Sha256, Digest::Sha512})
        expect_good(kind, signer, digest);
}

void wrong_pin(TokenKind& kind) {
    Desk desk(kind);
    TokenSigner mistaken = desk.mistaken(FinalTry::Refuse);
    EXPECT_EQ(try_sign(kind, mistaken), Recovery::pin_wrong);
    EXPECT_EQ(desk.wrong_pins.back().asked, 1);
    TokenSigner signer = desk.signer();
    expect_good(kind, signer);
    EXPECT_EQ(desk.wait_for_identity().token.info().pin, PinState::Good);
}

void final_try_kept(TokenKind& kind) {
    Desk desk(kind);
    std::error_code code;
    for (int i = 0; i < 20 && code != pkcs11::Errc::FinalTryRefused; ++i) {
        TokenSigner mistaken = desk.mistaken(FinalTry::Refuse);
        code = try_sign(kind, mistaken);
        EXPECT_THAT(code, AnyOf(Recovery::pin_wrong, make_error_code(pkcs11::Errc::FinalTryRefused)));
    }
    EXPECT_EQ(code, pkcs11::Errc::FinalTryRefused);
    TokenSigner signer = desk.signer();
    EXPECT_EQ(try_sign(kind, signer), pkcs11::Errc::FinalTryRefused);
    EXPECT_EQ(desk.pins.asked, 0) << "nobody is asked for what will not be sent";
    TokenSigner daring(desk.wait_for_identity(), desk.pins, Desk::policy(FinalTry::Spend));
    expect_good(kind, daring);
}

void locked(TokenKind& kind) {
    Desk desk(kind);
    std::error_code code;
    for (int i = 0; i < 20 && code != Recovery::pin_locked; ++i) {
        TokenSigner mistaken = desk.mistaken(FinalTry::Spend);
        code = try_sign(kind, mistaken);
        EXPECT_THAT(code, AnyOf(Recovery::pin_wrong, Recovery::pin_locked));
    }
    EXPECT_EQ(desk.wait_for_identity().token.info().pin, PinState::Locked);
    TokenSigner signer(desk.wait_for_identity(), desk.pins, Desk::policy(FinalTry::Spend));
    EXPECT_EQ(try_sign(kind, signer), Recovery::pin_locked);
    EXPECT_EQ(desk.pins.asked, 0);
}

void two_processes_sign(TokenKind& kind) {
    Gate first_is_in, second_is_in, go;
    const auto work = [&kind, &go](Gate& is_in) {
        Desk desk(kind);
        TokenSigner signer = desk.signer();
        signer.unlock();
        is_in.pass();
        go.wait();
        for (int i = 0; i < 20; ++i) expect_good(kind, signer);
    };
    const pid_t first = start_child([&] { work(first_is_in); });
    first_is_in.wait();
    const pid_t second = start_child([&] { work(second_is_in); });
    second_is_in.wait();
    go.pass();
    go.pass();
    expect_good_end(first);
    expect_good_end(second);
}

void two_processes_log_in(TokenKind& kind) {
    const auto work = [&kind] {
        for (int i = 0; i < 5; ++i) sign(kind);
    };
    const pid_t first = start_child(work);
    const pid_t second = start_child(work);
    expect_good_end(first);
    expect_good_end(second);
}

void fork_in_the_middle(TokenKind& kind) {
    Desk desk(kind);
    TokenSigner signer = desk.signer();
    expect_good(kind, signer);
    expect_good_end(start_child([&] {
        expect_good(kind, signer);
        TokenSigner its_own = desk.signer();
        expect_good(kind, its_own);
    }));
    expect_good(kind, signer);
}

void pulled_before(TokenKind& kind) {
    Desk desk(kind);
    TokenSigner signer = desk.patient_signer();
    kind.pull();
    expect_good(kind, signer);
    EXPECT_EQ(desk.pins.asked, 1);
}

void pulled_during(TokenKind& kind) {
    Desk desk(kind);
    TokenSigner signer = desk.patient_signer();
    signer.unlock();
    kind.pull_in_signature();
    expect_good(kind, signer);
    EXPECT_EQ(desk.pins.asked, 1);
}

void pulled_after(TokenKind& kind) {
    Desk desk(kind);
    {
        TokenSigner signer = desk.signer();
        expect_good(kind, signer);
        kind.pull();
    }
    wait_until([&] { return !desk.find_token(); });
    kind.insert(0);
    expect_signs_again(desk);
}

static void out_for(TokenKind& kind, std::chrono::milliseconds time) {
    Desk desk(kind);
    TokenSigner signer = desk.patient_signer();
    expect_good(kind, signer);
    kind.pull();
    std::this_thread::sleep_for(time);
    kind.insert(0);
    expect_good(kind, signer);
    EXPECT_EQ(desk.pins.asked, 1);
}
void out_for_20_ms(TokenKind& kind) {
    out_for(kind, 20ms);
}
void out_for_5_s(TokenKind& kind) {
    out_for(kind, 5s);
}

void another_reader(TokenKind& kind) {
    Desk desk(kind);
    TokenSigner signer = desk.patient_signer(1);
    expect_good(kind, signer);
    const auto slot = signer.identity().token.slot();
    kind.pull();
    wait_until([&] { return !desk.find_token(); });
    expect_good(kind, signer);
    EXPECT_NE(signer.identity().token.slot(), slot);
    EXPECT_EQ(desk.pins.asked, 1);
}

void another_token(TokenKind& kind) {
    Desk desk(kind);
    TokenSigner signer = desk.signer();
    expect_good(kind, signer);
    kind.pull();
    std::this_thread::sleep_for(2s);  // as long as a hand needs
    kind.insert_other();
    const std::string serial = signer.identity().token.info().serial;
    EXPECT_NE(try_sign(kind, signer), std::error_code{}) << "the token chosen is not there";
    wait_until([&] {
        const auto token = desk.find_token();
        return token && token->info().serial != serial;
    });
    EXPECT_EQ(desk.wait_for_identity().certificate,
              load_certificate(std::string(kind.other_key_name()) + ".pem"));
}

// A module in a process of its own costs an error in time, and no more.
static void lose_module(TokenKind& kind, void (TokenKind::*lose)()) {
    constexpr auto kDeadline = 5s;
    {
        Desk desk(kind, kind.open_apart(kDeadline));
        TokenSigner signer = desk.signer();
        expect_good(kind, signer);
        (kind.*lose)();
        const auto start = std::chrono::steady_clock::now();
        EXPECT_EQ(try_sign(kind, signer), pkcs11::Errc::ModuleEnded);
        EXPECT_LT(std::chrono::steady_clock::now() - start, kDeadline + kMargin);
        EXPECT_EQ(try_sign(kind, signer), Recovery::device_failed) << "until all its users are gone";
    }
    Desk desk(kind, kind.open_apart(kDeadline));
    TokenSigner signer = desk.signer();
    expect_good(kind, signer);
}
void module_hangs(TokenKind& kind) {
    lose_module(kind, &TokenKind::hang);
}
void module_dies(TokenKind& kind) {
    lose_module(kind, &TokenKind::die);
}

void daemon_restarted(TokenKind& kind) {
    {
        Desk desk(kind);
        TokenSigner signer = desk.signer();
        expect_good(kind, signer);
        kind.restart_daemon();
        const auto start = std::chrono::steady_clock::now();
        // A module may find the new one by itself; try_sign() checks the signature.
        EXPECT_THAT(try_sign(kind, signer), AnyOf(std::error_code{}, kGone));
        EXPECT_LT(std::chrono::steady_clock::now() - start, kMargin);
    }
    // At the latest a module that is opened anew finds it.
    Desk desk(kind);
    expect_signs_again(desk);
}

}  // namespace ctlsign::testing::contract
