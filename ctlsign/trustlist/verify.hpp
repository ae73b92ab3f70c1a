#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/model.hpp>
#include <sast/certificate.hpp>
#include <sast/public_key.hpp>

namespace ctlsign {

class SgnFile;

/// What the reader trusts already. With none given, a list is checked against itself, which is no proof.
struct TrustAnchors {
    std::span<const TrustList> installed{};  ///< in the order in which a phone asks them: CTL, then ITL
    std::span<const sast::Certificate> certificates{};
};

enum class Outcome {
    Verified,    ///< the signature fits a key of the basis
    Refused,     ///< it does not, or a rule forbids the key
    KeyNotHere,  ///< the signer is named, but no key of it was given
};

/// Where the key came from.
enum class Basis {
    FileItself,     ///< the SAST record inside the file: says nothing about trust
    Certificate,    ///< a certificate that was given
    InstalledList,  ///< a record of an installed list
};

/// The rule that decided. Each of them but the first ends in a refusal, HashOnly and NoAnchor in KeyNotHere.
enum class Rule {
    SignatureFits,
    SignatureWrong,
    NotSigned,              ///< the file waits for its signature, and nothing else is wrong
    SignerUnknown,          ///< no record and no certificate has the header's issuer and serial
    SignersConflict,        ///< several records have them, with different keys
    RecordKeyDiffers,       ///< PUBLICKEY is not the certificate's key
    RecordSerialDiffers,    ///< SERIALNUMBER is not the certificate's, in either byte order
    NoCertificate,          ///< the signer's record holds neither certificate nor hash
    HashOnly,               ///< it holds a hash, and no certificate with that hash was given
    NoAnchor,               ///< nothing was given, and the file (.sgn) holds no key
    CertificateUnreadable,  ///< the signer's certificate is not X.509
    KeyUnsupported,         ///< not RSA
    KeySizeDiffers,         ///< not the size that SIGNATUREMODULUS says
};

/// What is odd about a file, and refuses it nowhere.
enum class Caution {
    Sha1,
    KeyBelow2048,
    SignerExpired,
    RecordExpired,
    RecordUnreadable,    ///< a certificate that is not X.509, in a record that is not the signer's
    RecordInconsistent,  ///< key or serial of a record differ from its certificate's, not the signer's record
    OverPhoneLimit,      ///< past 64 KiB
    DuplicateSigner,     ///< more than one record names the signer, with the same key
    NewerVersion,
};

/// A caution, and where it applies.
struct Warning {
    Caution caution{};
    std::optional<std::size_t> record{};  ///< counted from 0
    std::int64_t value = 0;  ///< Unix seconds of expiry, key bits, octets: what the caution is about
};
/// One line; records are counted from 1.
std::string to_text(const Warning& warning);

/// Whether a file is signed by whom it says, and what the answer rests on.
struct Verdict {
    Outcome outcome = Outcome::Refused;
    Rule rule = Rule::SignerUnknown;
    Basis basis = Basis::FileItself;
    SignerId signer{};                         ///< as the header names it
    std::optional<std::size_t> list{};         ///< which installed list holds the record, counted from 0
    std::optional<std::size_t> record{};       ///< the signer's record there, or in the file, counted from 0
    std::optional<std::size_t> certificate{};  ///< which certificate given is the signer's, counted from 0
    std::vector<Warning> warnings{};

    /// Signed with a key that the caller trusts, not only with one that the file itself brings.
    bool trusted() const noexcept { return outcome == Outcome::Verified && basis != Basis::FileItself; }
};
/// One line: what was decided, by which rule, and on what basis. Counts from 1.
std::string to_text(const Verdict& verdict);
/// "signature-fits", "signers-conflict": for machines, as those below.
std::string_view to_text(Rule rule) noexcept;
std::string_view to_text(Basis basis) noexcept;
std::string_view to_text(Outcome outcome) noexcept;
std::string_view to_text(Caution caution) noexcept;

/// Answers whether LIST is signed by whom it says. NOW serves the warnings about expiry alone. Does not throw
/// on account of what the list holds. Rules: the trust-list format, "Records".
Verdict verify(const TrustList& list, const TrustAnchors& anchors, std::chrono::sys_seconds now);

/// The same answers for many files: keys once read stay ready, which halves the cost of a file. What ANCHORS
/// views must outlive it. Not for two threads at once.
class Verifier {
  public:
    explicit Verifier(const TrustAnchors& anchors = {}) : anchors_(anchors) {}
    Verdict verify(const TrustList& list, std::chrono::sys_seconds now);
    Verdict verify(const SgnFile& file, std::chrono::sys_seconds now);

  private:
    friend class Judge;
    struct Known {
        Bytes octets;
        sast::PublicKey key;
    };
    /// Throws sast::Errc::MalformedKey.
    sast::PublicKey& key(ByteView rsa_public_key);

    TrustAnchors anchors_;
    std::vector<Known> keys_;
    std::size_t oldest_ = 0;
};

}  // namespace ctlsign
