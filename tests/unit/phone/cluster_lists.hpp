#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <ctlsign/phone/decision.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/tvs/certificate_store.hpp>
#include <ctlsign/tvs/phone_answer.hpp>
#include <tests/support/krakow.hpp>

/// A cluster as its phones see it: a CTL and an ITL, and signers that they know in every way there is.
namespace ctlsign::phone::testing {

namespace krakow = ctlsign::testing::krakow;
using ctlsign::testing::KeySigner;
using ctlsign::testing::load_certificate;

inline constexpr std::chrono::sys_seconds kNow{std::chrono::seconds{1'430'000'000}};  // 2015

enum class Signer {
    InCtl,           ///< the publisher, a SAST of the CTL
    InItl,           ///< a SAST of the ITL
    HashOnly,        ///< a token, of which both lists hold a hash
    InTvsDatabase,   ///< the publisher regenerated
    InCtlCacheOnly,  ///< a token whose certificate was not uploaded
    Unknown,
};

struct MadeSigner {
    sast::Certificate certificate;
    ctlsign::testing::KeyPtr key;
};
inline MadeSigner make_signer(const std::string& name, std::uint64_t serial) {
    auto key = ctlsign::testing::own_key(EVP_RSA_gen(1024));
    return {ctlsign::testing::make_certificate(key, name, serial), key};
}
inline const MadeSigner& recovery() {
    static const MadeSigner kSigner = make_signer("ITLRECOVERY_cucm-1051-a-pub", 11);
    return kSigner;
}
inline const MadeSigner& tvs() {
    static const MadeSigner kServer = make_signer("TVS-cucm-1051-a-pub", 12);
    return kServer;
}
inline const MadeSigner& stranger() {
    static const MadeSigner kSigner = make_signer("stranger", 13);
    return kSigner;
}

inline std::string key_file(Signer signer) {
    switch (signer) {
        case Signer::HashOnly:
            return krakow::kFirstToken;
        case Signer::InTvsDatabase:
            return krakow::kRegenerated;
        case Signer::InCtlCacheOnly:
            return krakow::kSecondToken;
        default:
            return krakow::kPublisher;
    }
}

inline NameStyle style_of(Signer signer) {
    return signer == Signer::HashOnly || signer == Signer::InCtlCacheOnly ? NameStyle::CtlClient
                                                                          : NameStyle::CallManager;
}

inline KeySigner open_signer(Signer signer) {
    if (signer == Signer::InItl) return {recovery().certificate, recovery().key};
    if (signer == Signer::Unknown) return {stranger().certificate, stranger().key};
    return {load_certificate(key_file(signer) + ".pem"),
            ctlsign::testing::load_key(key_file(signer) + ".key")};
}

inline sast::Certificate certificate_of(Signer signer) {
    return open_signer(signer).facts().certificate;
}

inline std::shared_ptr<const TrustList> sign(const ListDraft& draft, KeySigner&& signer) {
    const ToSign to_sign = encode(draft);
    return std::make_shared<const TrustList>(
        decode_list(splice(to_sign, signer.sign(draft.header.digest, to_sign.octets))));
}

inline ListDraft draft_by(Signer signer, std::vector<RecordDraft> records, Digest digest = Digest::Sha1) {
    ListDraft draft;
    const sast::Certificate certificate = certificate_of(signer);
    draft.header.signer = make_signer_id(certificate, style_of(signer));
    draft.header.digest = digest;
    draft.header.key_bits = certificate.key_bits();
    draft.header.filename = "CTLFile.tlv";
    draft.records = std::move(records);
    return draft;
}

inline RecordDraft record_of(const sast::Certificate& certificate, Role role,
                             NameStyle style = NameStyle::CallManager) {
    return make_record(certificate, style, role, CertificateSignature::Write);
}

inline RecordDraft hash_record(Signer signer) {
    const sast::Certificate certificate = certificate_of(signer);
    RecordDraft record = record_of(certificate, Role::Sast, style_of(signer));
    const std::array<ByteView, 1> whole{certificate.der()};
    record.certificate_hash = compute_digest(Digest::Sha256, whole);
    record.hash_algorithm = Digest::Sha256;
    record.certificate.reset();
    record.public_key.reset();
    record.signature.reset();
    return record;
}

inline std::shared_ptr<const TrustList> old_ctl() {
    const auto publisher = load_certificate(krakow::kPublisher + ".pem");
    static const auto kList =
        sign(draft_by(Signer::InCtl, {record_of(publisher, Role::Sast), record_of(publisher, Role::CcmTftp),
                                      hash_record(Signer::HashOnly)}),
             open_signer(Signer::InCtl));
    return kList;
}

enum class ItlState { Whole, Rollback };
inline std::shared_ptr<const TrustList> old_itl(ItlState state = ItlState::Whole) {
    const auto make = [](ItlState wanted) {
        std::vector<RecordDraft> records{record_of(recovery().certificate, Role::Sast),
                                         hash_record(Signer::HashOnly)};
        if (wanted == ItlState::Whole) {
            records.push_back(record_of(load_certificate(krakow::kPublisher + ".pem"), Role::CcmTftp));
            records.push_back(record_of(tvs().certificate, Role::Tvs));
        } else {
            records.push_back(krakow::bare_record("cucm-1051-a-pub", krakow::kPublisherAddress));
        }
        return sign(draft_by(Signer::InItl, std::move(records)), open_signer(Signer::InItl));
    };
    static const auto kWhole = make(ItlState::Whole), kRollback = make(ItlState::Rollback);
    return state == ItlState::Whole ? kWhole : kRollback;
}

/// A new CTL that says itself that its signer is a SAST.
inline std::shared_ptr<const TrustList> new_list(Signer signer, Digest digest = Digest::Sha1) {
    return sign(draft_by(signer,
                         {record_of(certificate_of(signer), Role::Sast, style_of(signer)),
                          record_of(load_certificate(krakow::kSubscriber + ".pem"), Role::CcmTftp)},
                         digest),
                open_signer(signer));
}

/// What the TVS server of the cluster vouches from: the CTL has both tokens, one of which was uploaded.
inline const tvs::CertificateStore& certificate_store() {
    static const tvs::CertificateStore kStore = [] {
        std::vector<tvs::DatabaseEntry> database;
        for (const Signer known : {Signer::InCtl, Signer::InItl, Signer::HashOnly, Signer::InTvsDatabase})
            database.push_back({certificate_of(known), {Role::Sast}});
        std::vector<RecordDraft> records;
        for (const Signer in_ctl : {Signer::InCtl, Signer::HashOnly, Signer::InCtlCacheOnly})
            records.push_back(record_of(certificate_of(in_ctl), Role::Sast, style_of(in_ctl)));
        const auto ctl = sign(draft_by(Signer::InCtl, std::move(records)), open_signer(Signer::InCtl));
        return tvs::CertificateStore(database, ctl.get());
    }();
    return kStore;
}

/// The TVS server of the cluster, asked for SIGNER.
inline TvsServer tvs_server(Signer signer) {
    TvsServer server;
    server.state = TvsServer::State::Answers;
    server.certificate = tvs().certificate;
    const SignerId asked = make_signer_id(certificate_of(signer), style_of(signer));
    auto source = tvs::CertificateStore::Source::Nowhere;
    const tvs::Message response = certificate_store().respond(
        {1001, 0, tvs::QueryRequest{"", asked.name, asked.issuer, asked.serial}}, source);
    server.answer = tvs::to_phone(std::get<tvs::QueryResponse>(response.body));
    return server;
}

inline Model modern() {
    Model model;
    model.listed = true;
    model.security_by_default = true;
    return model;
}

}  // namespace ctlsign::phone::testing
