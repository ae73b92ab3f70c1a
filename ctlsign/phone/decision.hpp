#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/phone/device.hpp>
#include <ctlsign/trustlist/verify.hpp>

namespace ctlsign::phone {

/// What a TVS server says about the signer of the list in question.
struct TvsAnswer {
    std::optional<sast::Certificate> certificate{};  ///< nothing: it says invalid
    std::vector<Role> roles{};
    std::chrono::seconds ttl{86400};
    /// Its database holds the signer as a SAST. A token it misses there all the same: the serial number that
    /// phones ask for is reversed, and the CTL of the server is where it is found.
    bool holds_signer = false;
};

/// One TVS server of a phone's configuration: how it is met, and what it says.
struct TvsServer {
    enum class State { Answers, Down, NotKnown };  ///< NotKnown: of this one there is the name alone
    State state = State::Down;
    bool speaks_tls10 = false;
    sast::Certificate certificate{};  ///< that it presents
    TvsAnswer answer{};
};

/// What a phone does with a list. NotKnown: the inventory, the models or TVS do not say enough.
enum class Outcome { Accepts, Refuses, NotKnown };

/// The rule that decided; docs/phones.md counts them as step() does.
enum class Rule {
    AlreadyInstalled,  ///< the same octets
    FirstList,         ///< nothing is installed: taken on faith
    InstalledCtl,      ///< a SAST of the CTL signed it
    InstalledItl,      ///< a SAST of the ITL signed it
    CachedSigner,      ///< TVS vouched for the signer less than a day ago
    Tvs,               ///< TVS vouches for the signer
    AfterRollback,     ///< the installed ITL is emptied for a rollback: any ITL is taken
    DigestUnknown,     ///< the model knows SHA-1 only
    SignatureRefused,  ///< the signer is known, the signature is not good: see Verdict::signature
    HashOnly,          ///< the lists have a hash of the signer, no key, and the phone can ask nobody for it
    NoSecurityByDefault,  ///< the signer is not known, and the model asks nobody
    NoItl,                ///< no ITL, so no TVS server can be trusted
    EmptiedByRollback,    ///< the ITL was emptied for a rollback: no TVS certificate is left
    TvsDown,              ///< none is configured, or none answers
    TvsTlsTooNew,         ///< the model speaks TLS 1.0 only
    TvsNotTrusted,        ///< its certificate is in no TVS record of the ITL
    TvsInvalid,           ///< it says that the signer is not valid
    TvsNotSast,           ///< it knows the certificate, not as a SAST
    TvsCertificateUnfit,  ///< what it returned is not the signer's certificate
    AskTvs,               ///< no answer of TVS is given yet
    TvsUnknown,           ///< it would ask a TVS server of which nothing is known
    ModelUnknown,         ///< TVS vouches for the signer; whether the model asks is not known
    ListsUnknown,         ///< what is installed is not known (see preflight)
};

/// What would turn a refusal into an acceptance.
enum class Remedy {
    SignWithInstalledSast,  ///< another signer, one that the installed lists hold
    SignWithSastInFull,     ///< the same, where they hold hashes of some
    SignWithSha1,
    PutSignerIntoPhoneSastTrust,
    PutSignerIntoTvsCtl,  ///< a token that is in Phone-SAST-trust is found in the CTL of the TVS server
    RestoreTvs,           ///< start a TVS server that these phones are configured for
    AllowTls10,           ///< let TVS speak TLS 1.0 for as long as it takes
    RestoreItl,           ///< give the phones an ITL with the TVS certificates first
    ListTvs,              ///< say which TVS servers these phones are configured for
    ListModel,            ///< say in a row of models whether the model asks TVS
    FindLists,            ///< find the lists with these checksums, or whether any are installed
    PublishCtlFirst,      ///< of an ITL: a CTL that knows its signer
    DeleteListByHand,     ///< on each phone
};

/// Steps that are needed together.
using Way = std::vector<Remedy>;

/// What a phone does with a list, and why.
struct Verdict {
    Outcome outcome = Outcome::NotKnown;
    Rule rule = Rule::AskTvs;
    /// The check of the signature, where one was made.
    std::optional<ctlsign::Verdict> signature{};
    std::optional<std::size_t> server{};    ///< that decided, counted from 0
    std::optional<CachedSigner> learned{};  ///< what the phone keeps for a day
    bool newer_header = false;              ///< taken, with a line in the phone's log
    /// Each would turn it into an acceptance, best first; none unless the phone refuses or its answer is not
    /// known. Where no more than a step can be known, a way ends with that.
    std::vector<Way> ways{};
};

/// Whether a phone takes LIST, which it has fetched as KIND. TVS holds its servers in order: the first that
/// it trusts decides. Without TVS the answer may be Rule::AskTvs. What LIST holds gives no trust in it. One
/// that waits for its signature (decode_unsigned_list) is judged as if that were made by whom it names.
Verdict decide(const TrustList& list, ListKind kind, const Device& device,
               std::optional<std::span<const TvsServer>> tvs, std::chrono::sys_seconds now);

Outcome outcome_of(Rule rule) noexcept;  ///< every rule leads to one
/// What may help by the rule alone, best first; Verdict::ways says what does.
std::span<const Remedy> remedies(Rule rule) noexcept;
/// Of the rules in docs/phones.md, 1 to 8; 4 for a refusal that no other names. 0 where none is needed.
unsigned step(Rule rule) noexcept;

std::string_view to_text(Outcome outcome) noexcept;  ///< "accepts"
std::string_view to_text(Rule rule) noexcept;        ///< "no-security-by-default": for machines
std::string_view to_text(Remedy remedy) noexcept;    ///< "delete-list-by-hand"
std::string_view describe(Rule rule) noexcept;       ///< a clause, for people
std::string_view describe(Remedy remedy) noexcept;   ///< what to do, for people
std::string to_text(const Way& way);                 ///< "allow-tls10+put-signer-into-phone-sast-trust"
std::string describe(const Way& way);                ///< all its steps, for people
/// One line: what the phone does, by which rule, and what would change it.
std::string to_text(const Verdict& verdict);

}  // namespace ctlsign::phone
