#include <p11-kit/pkcs11.h>

#include <algorithm>
#include <array>
#include <chrono>

#include <pkcs11/digest.hpp>
#include <pkcs11/limits.hpp>
#include <softhsm-profiles/learn.hpp>
#include <softhsm-profiles/mechanism_names.hpp>

namespace ctlsign::softhsm {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::array kUsualSizes = {2048U, 1024U, 4096U, 512U};

template <typename Act>
milliseconds measure(Act act) {
    const auto start = Clock::now();
    act();
    return std::chrono::duration_cast<milliseconds>(Clock::now() - start);
}

std::string test_pin(std::string text, const Profile::Pin& pin) {
    text.resize(std::clamp(text.size(), pin.minimum_length, pin.maximum_length), '0');
    return text;
}

std::size_t count_certificates(const pkcs11::Session& session) {
    return session
        .find_objects(pkcs11::Template().with<pkcs11::attribute::Class>(pkcs11::ObjectClass::Certificate))
        .size();
}

void learn_token(const pkcs11::Token& token, Profile::Token& out) {
    out.manufacturer = token.info().manufacturer;
    out.model = token.info().model;
    const auto library = token.module()->info();
    out.cryptoki_major = library.cryptoki_major;
    out.cryptoki_minor = library.cryptoki_minor;
    const auto slots = token.module()->slots(pkcs11::Module::Slots::All);
    out.slots = static_cast<unsigned>(std::max<std::size_t>(slots.size(), 1));
    const auto slot = std::ranges::find(slots, token.slot(), &pkcs11::SlotInfo::id);
    out.removable = slot == slots.end() || slot->removable;
}

void learn_pin(const pkcs11::Token& token, const pkcs11::Session& session, Profile::Pin& out) {
    out.minimum_length = std::min<std::size_t>(token.info().min_pin, limits::kPin);
    out.maximum_length = std::clamp<std::size_t>(token.info().max_pin,
                                                 std::max<std::size_t>(out.minimum_length, 1), limits::kPin);
    out.login_required = token.info().login_required;
    out.user = test_pin("virtual-test-pin", out);
    out.security_officer = test_pin("virtual-test-so-pin", out);
    const auto tries = session.read_pin_status().tries;
    out.vendor_counter = tries.has_value();
    if (tries) out.tries = static_cast<unsigned>(tries->maximum);
}

void learn_mechanisms(const pkcs11::Token& token, Profile::Key& out) {
    unsigned long smallest = 0, largest = 0;
    for (const auto mechanism : token.mechanisms()) {
        const auto name = find_mechanism_name(static_cast<unsigned long>(mechanism));
        if (!name.empty()) out.mechanisms.emplace_back(name);  // a vendor's own cannot be had from SoftHSM2
        if (mechanism != pkcs11::Mechanism::RsaPkcs) continue;
        if (const auto info = token.find_mechanism(mechanism)) {
            smallest = info->min_key_bits;
            largest = info->max_key_bits;
        }
    }
    std::ranges::copy_if(kUsualSizes, std::back_inserter(out.sizes),
                         [&](unsigned bits) { return bits >= smallest && bits <= largest; });
    if (out.sizes.empty()) out.sizes.push_back(kUsualSizes.front());
}

// Bare Cryptoki, for what the library avoids because some tokens cannot do it. The user is logged in.
class Probe {
  public:
    explicit Probe(const pkcs11::Token& token)
        : calls_(*token.module()),
          list_(*static_cast<CK_FUNCTION_LIST*>(token.module()->native_function_list())),
          slot_(static_cast<CK_SLOT_ID>(token.slot())) {}

    class Session {
      public:
        explicit Session(const Probe& probe) : list_(probe.list_) {
            if (list_.C_OpenSession(probe.slot_, CKF_SERIAL_SESSION, nullptr, nullptr, &handle_) != CKR_OK)
                handle_ = CK_INVALID_HANDLE;
        }
        ~Session() {
            if (handle_ != CK_INVALID_HANDLE) list_.C_CloseSession(handle_);
        }
        Session(const Session&) = delete;
        Session& operator=(const Session&) = delete;
        bool is_open() const { return handle_ != CK_INVALID_HANDLE; }
        CK_RV sign_init(pkcs11::Mechanism type, pkcs11::ObjectHandle key) const {
            CK_MECHANISM mechanism{static_cast<CK_MECHANISM_TYPE>(type), nullptr, 0};
            return list_.C_SignInit(handle_, &mechanism, static_cast<CK_OBJECT_HANDLE>(key));
        }
        CK_RV sign_in_parts() const {
            std::array<CK_BYTE, 8> part{};
            std::array<CK_BYTE, 1024> signature{};
            CK_ULONG size = signature.size();
            if (const CK_RV rv = list_.C_SignUpdate(handle_, part.data(), part.size()); rv != CKR_OK)
                return rv;
            return list_.C_SignFinal(handle_, signature.data(), &size);
        }

      private:
        const CK_FUNCTION_LIST& list_;
        CK_SESSION_HANDLE handle_ = CK_INVALID_HANDLE;
    };

  private:
    pkcs11::NativeCalls calls_;
    const CK_FUNCTION_LIST& list_;
    CK_SLOT_ID slot_;
};

bool offers(const Profile& profile, std::string_view mechanism) {
    return std::ranges::find(profile.key.mechanisms, mechanism) != profile.key.mechanisms.end();
}

void learn_quirks(const pkcs11::Token& token, pkcs11::ObjectHandle key, Profile& profile) {
    const Probe probe(token);
    if (offers(profile, "CKM_SHA256_RSA_PKCS")) {
        const Probe::Session session(probe);
        profile.behaviour.no_sign_final =
            session.is_open() && session.sign_init(pkcs11::Mechanism::Sha256RsaPkcs, key) == CKR_OK &&
            session.sign_in_parts() == CKR_FUNCTION_NOT_SUPPORTED;
    }
    if (offers(profile, "CKM_SHA1_RSA_PKCS")) {
        const Probe::Session session(probe);
        profile.behaviour.no_combined_sha1 =
            session.is_open() && session.sign_init(pkcs11::Mechanism::Sha1RsaPkcs, key) == CKR_ARGUMENTS_BAD;
    }
    const Probe::Session first(probe), second(probe);
    profile.behaviour.one_operation_at_a_time =
        first.is_open() &&
        (!second.is_open() || (first.sign_init(pkcs11::Mechanism::RsaPkcs, key) == CKR_OK &&
                               second.sign_init(pkcs11::Mechanism::RsaPkcs, key) != CKR_OK));
    (void)token.module()->info();  // throws when the answers were those of a module that has ended
}

// With the user logged in. False when there is no key to try.
bool learn_key(const pkcs11::Token& token, pkcs11::Session& session, sast::TokenLogin& login,
               Profile& profile) {
    const auto keys =
        session.find_objects(pkcs11::Template()
                                 .with<pkcs11::attribute::Class>(pkcs11::ObjectClass::PrivateKey)
                                 .with<pkcs11::attribute::KeyType>(pkcs11::KeyType::Rsa),
                             1);
    if (keys.empty()) return false;
    const auto key = keys.front();
    profile.key.always_authenticate =
        session.find_attribute<pkcs11::attribute::AlwaysAuthenticate>(key).value_or(false);
    for (const auto mechanism : session.find_attribute<pkcs11::attribute::AllowedMechanisms>(key).value_or(
             std::vector<pkcs11::Mechanism>())) {
        const auto name = find_mechanism_name(static_cast<unsigned long>(mechanism));
        if (!name.empty()) profile.key.allowed_mechanisms.emplace_back(name);
    }
    const auto modulus = session.find_attribute<pkcs11::attribute::Modulus>(key);
    if (!modulus || !offers(profile, "CKM_RSA_PKCS")) return false;
    const Bytes digest_info = compute_digest_info(Digest::Sha1, {});
    const auto sign = [&](const std::optional<pkcs11::ContextLogin>& context) {
        return session.sign(pkcs11::Mechanism::RsaPkcs, key, digest_info,
                            strip_leading_zeros(*modulus).size(), context);
    };
    // The first signature warms up what there is to warm up.
    for (int turn = 0; turn < 2; ++turn) {
        profile.behaviour.latency = measure([&] {
            if (profile.key.always_authenticate) {
                login.with_context(session, sign);
            } else {
                sign(std::nullopt);
            }
        });
    }
    // A login for one operation would be needed in between.
    if (!profile.key.always_authenticate) learn_quirks(token, key, profile);
    return true;
}

}  // namespace

milliseconds measure_opening(pkcs11::Session& session) {
    auto fastest = milliseconds::max();
    for (int turn = 0; turn < 3; ++turn) {
        session.close();
        fastest = std::min(fastest, measure([&] { session = pkcs11::Session::open(session.token()); }));
    }
    return fastest;
}

Learned learn_profile(const pkcs11::Token& token, sast::TokenLogin* login) {
    Learned learned;
    Profile& profile = learned.profile;
    // They need hands, or a module that nobody has asked yet.
    learned.unknown = {"slot-id-changes", "settle-milliseconds", "spurious-first-event"};
    profile.description = "learned from " + token.info().manufacturer + " " + token.info().model;
    profile.key.subject = "CN={name}";
    learn_token(token, profile.token);
    learn_mechanisms(token, profile.key);
    auto session = pkcs11::Session::open(token);
    const auto opening = measure_opening(session);
    if (opening >= kSlowOpening) profile.behaviour.busy_after_close = opening;
    learn_pin(token, session, profile.pin);
    if (!profile.pin.vendor_counter) learned.unknown.emplace_back("tries");
    const std::size_t seen = count_certificates(session);
    bool tried = false;
    if (login != nullptr) {
        login->log_in(session);
        profile.behaviour.certificates_hidden = count_certificates(session) > seen;
        tried = learn_key(token, session, *login, profile);
    } else {
        learned.unknown.emplace_back("certificates-hidden");
    }
    if (!tried) {
        for (const char* key : {"always-authenticate", "allowed-mechanisms", "latency-milliseconds"})
            learned.unknown.emplace_back(key);
    }
    if (!tried || profile.key.always_authenticate) {
        for (const char* key : {"no-sign-final", "no-combined-sha1", "one-operation-at-a-time"})
            learned.unknown.emplace_back(key);
    }
    profile.text = encode_profile(profile);
    return learned;
}

}  // namespace ctlsign::softhsm
