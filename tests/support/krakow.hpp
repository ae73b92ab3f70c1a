#pragma once

#include <chrono>
#include <string>
#include <utility>

#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <tests/support/key_signer.hpp>

/// The drafts of the golden files under tests/data/krakow: what their manifests say.
namespace ctlsign::testing::krakow {

inline const std::string kPublisher = "krakow/certificates/cucm-1051-a-pub";
inline const std::string kSubscriber = "krakow/certificates/cucm-1051-a-sub1";
inline const std::string kCapf = "krakow/certificates/CAPF-e41e7d87";
inline const std::string kFirstToken = "krakow/tokens/SAST-ADN0054f509";
inline const std::string kSecondToken = "krakow/tokens/SAST-ADN008580ef";
inline const std::string kRegenerated = "krakow/regenerated/cucm-1051-a-pub";

inline constexpr std::uint32_t kTimestamp = 1425667513;
/// When tests look at the sample.
inline constexpr std::chrono::sys_seconds kNow{std::chrono::seconds(1'800'000'000)};
inline const Bytes kPublisherAddress{10, 48, 47, 153};
inline const Bytes kSubscriberAddress{10, 48, 47, 154};

inline HeaderDraft header(const std::string& signer, NameStyle style, Digest digest) {
    const sast::Certificate certificate = load_certificate(signer + ".pem");
    HeaderDraft draft;
    draft.signer = make_signer_id(certificate, style);
    draft.digest = digest;
    draft.key_bits = certificate.key_bits();
    draft.filename = "CTLFile.tlv";
    draft.timestamp = kTimestamp;
    return draft;
}

inline RecordDraft record(const std::string& certificate, NameStyle style, Role role,
                          CertificateSignature signature, std::string dns_name, Bytes address) {
    RecordDraft draft = make_record(load_certificate(certificate + ".pem"), style, role, signature);
    draft.dns_name = std::move(dns_name);
    draft.ip_address = std::move(address);
    return draft;
}

/// CTLFile-tokenless.tlv, or with SHA-512 CTLFile-tokenless-sha512.tlv.
inline ListDraft tokenless(Digest digest = Digest::Sha1) {
    const auto server = [](const std::string& certificate, Role role, std::string dns_name, Bytes address) {
        return record(certificate, NameStyle::CallManager, role, CertificateSignature::Write,
                      std::move(dns_name), std::move(address));
    };
    return {header(kPublisher, NameStyle::CallManager, digest),
            {server(kPublisher, Role::Sast, "cucm-1051-a-pub", kPublisherAddress),
             server(kPublisher, Role::CcmTftp, "cucm-1051-a-pub", kPublisherAddress),
             server(kCapf, Role::Capf, "cucm-1051-a-pub", kPublisherAddress),
             server(kSubscriber, Role::CcmTftp, "cucm-1051-a-sub1", kSubscriberAddress)}};
}

inline RecordDraft token_record(const std::string& token) {
    return record(token, NameStyle::CtlClient, Role::Sast, CertificateSignature::Omit, "", kPublisherAddress);
}

inline RecordDraft client_record(const std::string& certificate, Role role, std::string dns_name,
                                 Bytes address) {
    return record(certificate, NameStyle::CallManager, role, CertificateSignature::Omit, std::move(dns_name),
                  std::move(address));
}

/// CTLFile-tokens.tlv: mixed mode, two eTokens, signed by the second.
inline ListDraft tokens() {
    return {header(kSecondToken, NameStyle::CtlClient, Digest::Sha1),
            {token_record(kFirstToken),
             client_record(kPublisher, Role::CcmTftp, "10.48.47.153", kPublisherAddress),
             client_record(kCapf, Role::Capf, "10.48.47.153", kPublisherAddress),
             client_record(kSubscriber, Role::CcmTftp, "10.48.47.154", kSubscriberAddress),
             token_record(kSecondToken)}};
}

/// A server's record in a cluster that was set back to non-secure mode.
inline RecordDraft bare_record(std::string dns_name, Bytes address) {
    RecordDraft draft;
    draft.dns_name = std::move(dns_name);
    draft.role = Role::CcmTftp;
    draft.ip_address = std::move(address);
    return draft;
}

}  // namespace ctlsign::testing::krakow
