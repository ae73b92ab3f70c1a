#pragma once

#include <optional>
#include <vector>

#include <pkcs11/object.hpp>
#include <pkcs11/pin.hpp>
#include <pkcs11/token.hpp>

namespace ctlsign::pkcs11 {

/// What a login came to. AlreadyLoggedIn is success, but no proof that the PIN is right.
enum class LoginResult { LoggedIn, AlreadyLoggedIn };

/// Whether the last try before a token locks may be spent.
enum class FinalTry { Refuse, Spend };

/// A login for one operation only (CKU_CONTEXT_SPECIFIC). Without a PIN it is entered at the reader. The PIN
/// is borrowed.
struct ContextLogin {
    const Pin* pin = nullptr;
    FinalTry final_try = FinalTry::Refuse;
};

/// How many PINs may still be tried, where the token tells: the counter object of eTokens.
struct PinTries {
    unsigned long left = 0, maximum = 0;
};

/// What a token says of its user PIN at one moment: its flags, and the counter where it has one.
struct PinStatus {
    PinState state = PinState::Good;  ///< the worse of both
    std::optional<PinTries> tries;

    /// The tries that are left where they are counted, else 0 (locked) to 3 (good): the more the better.
    unsigned long rank() const noexcept;
};
/// "good", "one try left", "3 of 15 tries left".
std::string to_text(const PinStatus& status);

/// Throws CKR_PIN_LOCKED or Errc::FinalTryRefused when STATUS, just read from TOKEN, says that no PIN may be
/// sent.
void require_try(const Token& token, const PinStatus& status, FinalTry final);

/// A session with one token. Move-only; holds the module. Destroying it closes it quietly and never logs out:
/// a login belongs to the token and is shared by all its sessions in the process. Not for two threads at
/// once.
class Session {
  public:
    /// ReadWrite (CKF_RW_SESSION) is needed to make and destroy objects of the token.
    enum class Access { ReadOnly, ReadWrite };

    /// C_GetSlotInfo, then C_OpenSession: some modules see a token that came back only when asked for its
    /// slot. Tries again while a token whose quirk that is may be busy after its last session.
    static Session open(const Token& token, Access access = Access::ReadOnly);

    Session(Session&& other) noexcept;
    Session& operator=(Session&& other) noexcept;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session();

    /// The token that it was opened with, as it was then. Borrowed from the session.
    const Token& token() const noexcept { return token_; }

    /// C_CloseSession; throws its CK_RV.
    void close();

    /// Flags and counter, now. No login, no PIN. Throws CK_RV; token_gone when it was pulled.
    PinStatus read_pin_status() const;
    /// Spends one PIN attempt (C_Login as CKU_USER), after reading the PIN's status: a locked token and,
    /// unless FINAL says so, the last try are refused without one. Throws CK_RV (pin_wrong, pin_locked) or
    /// Errc::FinalTryRefused.
    LoginResult login(const Pin& pin, FinalTry final);
    /// The same for a token with a protected authentication path: the PIN is entered at the reader.
    LoginResult login_at_reader(FinalTry final);
    /// Whether the token is open for this process, through whichever session (C_GetSessionInfo).
    bool logged_in() const;
    /// C_Logout when no other session of this process has logged in to the token.
    void logout();

    /// At most LIMIT objects that match; empty when there are none.
    std::vector<ObjectHandle> find_objects(const Template& wanted, std::size_t limit = 256) const;
    /// One attribute; nothing when the object has none, hides it, or it has another size than its type.
    template <typename A>
    std::optional<typename A::value_type> find_attribute(ObjectHandle object) const {
        const auto octets = read_attribute(object, A::kType);
        return octets ? decode_attribute<typename A::value_type>(*octets) : std::nullopt;
    }
    /// C_CreateObject (PKCS#11 2.40, 5.7). With CKA_TOKEN true the object stays on the token, which needs
    /// Access::ReadWrite and mostly a login, until destroy_object(); else it goes with this session. Throws
    /// CK_RV.
    ObjectHandle create_object(const Template& attributes);
    /// C_DestroyObject (PKCS#11 2.40, 5.7): there is no way back. OBJECT is no object's number after it.
    /// Throws CK_RV.
    void destroy_object(ObjectHandle object);

    /// The numbers of the two halves of what was just made.
    struct KeyPair {
        ObjectHandle public_key{}, private_key{};
    };
    /// C_GenerateKeyPair (PKCS#11 2.40, 5.14) with a MECHANISM that takes no parameter: the token makes both
    /// keys with the attributes given. RSA needs attribute::ModulusBits in PUBLIC_KEY. May take minutes.
    /// Throws CK_RV.
    KeyPair generate_key_pair(Mechanism mechanism, const Template& public_key, const Template& private_key);

    /// One C_SignInit and one C_Sign into a buffer of LENGTH octets, no size query. With CONTEXT a
    /// context-specific login stands between them (CKA_ALWAYS_AUTHENTICATE). Throws CK_RV or
    /// Errc::WrongLength; after that the session is spent().
    Bytes sign(Mechanism mechanism, ObjectHandle key, ByteView input, std::size_t length,
               const std::optional<ContextLogin>& context = std::nullopt);
    /// True after a C_Sign that failed: its operation may still be active, so the session must be replaced.
    bool spent() const noexcept { return spent_; }

  private:
    Session(Token token, unsigned long handle, unsigned lifetime);
    std::optional<Bytes> read_attribute(ObjectHandle object, unsigned long type) const;
    std::optional<PinTries> find_pin_tries() const;
    LoginResult login_with(const Pin* pin, FinalTry final);
    void login_for_operation(const ContextLogin& context);
    Module::State& live_state() const;
    void forget_login() noexcept;
    void close_quietly() noexcept;

    Token token_;
    unsigned long handle_ = 0;
    unsigned lifetime_ = 0;
    bool open_ = false;
    bool logged_in_ = false;
    bool spent_ = false;
};

}  // namespace ctlsign::pkcs11
