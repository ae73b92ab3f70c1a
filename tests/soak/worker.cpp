#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include <pkcs11/error.hpp>
#include <pkcs11/file.hpp>
#include <sast/certificate.hpp>
#include <sast/error.hpp>
#include <sast/identity.hpp>
#include <tests/soak/worker.hpp>
#include <tests/support/watchdog.hpp>

namespace ctlsign::testing::soak {

using namespace std::chrono_literals;
using pkcs11::Recovery;

namespace {

// Longer than the hand ever keeps a token.
constexpr auto kWait = 10s;
// One call may meet several deadlines: a module that hangs, a token that is away, another user of it.
constexpr auto kLimit = 60s;

std::string class_of(const std::error_code& code) {
    for (const auto recovery :
         {Recovery::token_gone, Recovery::session_lost, Recovery::login_needed, Recovery::pin_wrong,
          Recovery::pin_locked, Recovery::busy, Recovery::unsupported, Recovery::device_failed}) {
        if (code == recovery && code != pkcs11::Errc::ModuleEnded)
            return make_error_condition(recovery).message();
    }
    return code.message();
}

// What may come of pulls, faults and kills. A PIN is refused when a process that was killed in its login, or
// had a wrong PIN, has spent a try meanwhile.
bool is_expected(const std::error_code& code) {
    return code == Recovery::token_gone || code == Recovery::session_lost || code == Recovery::login_needed ||
           code == Recovery::busy || code == Recovery::device_failed || code == sast::Errc::NoToken ||
           code == sast::Errc::NoCertificate || code == sast::Errc::WrongSignature ||
           code == pkcs11::Errc::PinRefused;
}

sast::PublicKey key_of(const std::filesystem::path& certificate_file) {
    const Bytes pem = read_file(certificate_file.string(), 1 << 16);
    return sast::PublicKey::from_spki(sast::Certificate::decode_pem(as_text(pem)).at(0).spki_der());
}

sast::TokenPolicy policy() {
    sast::TokenPolicy policy;
    policy.wait = kWait;
    return policy;
}

sast::Identity find_identity(const std::shared_ptr<pkcs11::Module>& module, const std::string& serial) {
    const auto tokens = module->tokens();
    return sast::choose_identity(sast::choose_token(tokens, sast::TokenName::parse(serial)), std::nullopt,
                                 std::nullopt);
}

}  // namespace

Worker::Worker(std::string name, Open open, const Chosen& token, const Record& record,
               std::mt19937::result_type seed)
    : name_(std::move(name)),
      open_(std::move(open)),
      serial_(token.serial),
      public_key_(key_of(token.certificate_file)),
      record_(record),
      random_(seed),
      pins_(token.pin),
      shared_(token.shared) {}

bool Worker::attempt(const std::function<void()>& call) {
    const Watchdog watchdog(kLimit);
    const auto start = Clock::now();
    bool good = false;
    try {
        call();
        good = true;
    } catch (const Error& e) {
        module_ended_ = e.code() == pkcs11::Errc::ModuleEnded;
        if (module_ended_) ++endings_;
        if (e.code() == pkcs11::Errc::PinRefused) ++refused_;
        if (is_expected(e.code())) {
            record_.count("error: " + class_of(e.code()));
        } else {
            record_.fail(fmt::format("{}: {}", name_, e.what()));
        }
    }
    longest_ = std::max(longest_, std::chrono::ceil<std::chrono::milliseconds>(Clock::now() - start));
    return good;
}

void Worker::open() {
    pins_.asked = refused_ = 0;
    signer_.emplace(find_identity(open_(), serial_), pins_, policy());
}

void Worker::close() {
    attempt([this] { signer_.reset(); });
}

void Worker::check_asks() {
    if (pins_.asked > 1 + refused_)
        record_.fail(fmt::format("{}: the PIN was asked for {} times", name_, pins_.asked));
}

void Worker::check_tries() {
    const auto session = pkcs11::Session::open(signer_->identity().token);
    const auto tries = session.read_pin_status().tries.value();
    if (!shared_ && tries.left + endings_ < tries.maximum)
        record_.fail(fmt::format("{}: {} of {} tries are left", name_, tries.left, tries.maximum));
}

void Worker::sign() {
    const std::string message = fmt::format("{} {}", name_, ++messages_);
    constexpr std::array kDigests{Digest::Sha1, Digest::Sha256, Digest::Sha512};
    const Digest digest = kDigests.at(random_() % kDigests.size());
    const Bytes signature = signer_->sign(digest, as_bytes(message));
    // With the certificate that the token was made with, whatever the signer believes.
    if (!public_key_.verify(digest, {{as_bytes(message)}}, signature)) {
        record_.fail(name_ + ": a signature that does not verify");
    } else {
        record_.count("signatures: " + name_);
    }
}

void Worker::run(const std::atomic<bool>& stop) {
    while (!stop) {
        if (!signer_ && !attempt([this] { open(); })) {
            std::this_thread::sleep_for(10ms);
            continue;
        }
        const bool good = attempt([this] { sign(); });
        check_asks();
        // Most failures are left to the same signer to mend.
        if (module_ended_ || random_() % (good ? 50 : 4) == 0) close();
        module_ended_ = false;
    }
    close();
}

void Worker::expect_whole() {
    for (const auto end = Clock::now() + 30s;; std::this_thread::sleep_for(10ms)) {
        try {
            open();
            check_tries();
            sign();
            break;
        } catch (const Error& e) {
            if (Clock::now() < end) continue;
            record_.fail(fmt::format("{}: in peace it does not sign: {}", name_, e.what()));
            return;
        }
    }
    endings_ = 0;
    signer_.reset();
}

void Worker::try_wrong_pin() {
    CountingPins wrong(std::to_string(10'000'000 + random_() % 90'000'000));
    try {
        sast::TokenSigner mistaken(find_identity(open_(), serial_), wrong, policy());
        (void)mistaken.sign(Digest::Sha256, as_bytes(name_));
        record_.fail(name_ + ": a signature with a wrong PIN");
    } catch (const Error& e) {
        record_.count("wrong PIN: " + class_of(e.code()));
        if (e.code() != Recovery::pin_wrong && !is_expected(e.code())) record_.fail(e.what());
    }
    if (wrong.asked > 1) record_.fail(name_ + ": a wrong PIN was asked for twice");
}

}  // namespace ctlsign::testing::soak
