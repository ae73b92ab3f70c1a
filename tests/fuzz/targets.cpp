#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <ctlsign/cluster/migration.hpp>
#include <ctlsign/cluster/sftp_message.hpp>
#include <ctlsign/phone/inventory.hpp>
#include <ctlsign/phone/model.hpp>
#include <ctlsign/simulator/http_answer.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/extract.hpp>
#include <ctlsign/trustlist/manifest.hpp>
#include <ctlsign/trustlist/sgn.hpp>
#include <ctlsign/trustlist/show.hpp>
#include <ctlsign/trustlist/verify.hpp>
#include <ctlsign/tvs/certificate_store.hpp>
#include <ctlsign/tvs/message.hpp>
#include <ctlsign/tvs/plan.hpp>
#include <pkcs11/openssl_error.hpp>
#include <pkcs11/quirks.hpp>
#include <pkcs11/token.hpp>
#include <pkcs11/uri.hpp>
#include <sast/clear_key.hpp>
#include <sast/key_file.hpp>
#include <softhsm-profiles/fault.hpp>
#include <softhsm-profiles/profile.hpp>
#include <tests/fuzz/targets.hpp>

namespace ctlsign::fuzz {

namespace {

constexpr std::chrono::sys_seconds kNow{std::chrono::seconds{1'800'000'000}};

void promise(bool kept) {
    if (!kept) std::abort();
}

// Whatever decodes can be encoded, shown and judged; nothing of it throws but Error.
void examine(const TrustList& file) {
    promise(equal(encode(file), file.octets()));
    const Verdict verdict = verify(file, {}, kNow);
    promise(!show(file, verdict, std::nullopt).empty());
    promise(!to_text(verdict).empty());
    for (const Warning& warning : verdict.warnings) promise(!to_text(warning).empty());
    // Installed on a phone, a list is believed exactly when it is consistent in itself.
    promise(verify(file, {{&file, 1}, {}}, kNow).rule == verdict.rule);
}

template <typename Action>
void refusing(Action action) {
    try {
        action();
    } catch (const Error& e) {
        promise(std::string_view(e.what()).find('\n') == std::string_view::npos);
    }
}

// A refusal by the decoder points into the file, or at its end.
template <typename Action>
void decoding(ByteView input, Action action) {
    refusing([&] {
        try {
            action();
        } catch (const DecodeError& e) {
            promise(e.position() <= input.size());
        }
    });
}

// 1.2, signer "a" issued by "b" with serial 1, SHA-1, RSA-512, no signature yet; the record follows.
Bytes unsigned_header() {
    ListDraft draft;
    draft.header.signer = {"CN=a", "CN=b", Bytes{1}};
    draft.header.key_bits = 512;
    draft.header.filename = "CTLFile.tlv";
    return encode(draft).octets;
}

}  // namespace

void list(ByteView input) {
    decoding(input, [&] {
        const TrustList file = decode_list(input);
        examine(file);
        const Extracted extracted = extract(file);
        const std::string text = encode_manifest(extracted.manifest);
        promise(encode_manifest(decode_manifest(text, "again")) == text);
    });
}

void header(ByteView input) {
    decoding(input, [&] {
        const TrustList file = decode_unsigned_list(input);
        promise(equal(encode(file), input));
        promise(verify(file, {}, kNow).outcome != Outcome::Verified);
    });
}

void record(ByteView input) {
    static const Bytes head = unsigned_header();
    Bytes whole = head;
    whole.insert(whole.end(), input.begin(), input.end());
    refusing([&] {
        const TrustList file = decode_unsigned_list(whole);
        promise(!show(file, verify(file, {}, kNow), std::nullopt).empty());
        for (const Record& one : file.records()) {
            RecordDraft draft;
            draft.raw = Bytes(one.octets().begin(), one.octets().end());
            ListDraft again;
            again.header = {.signer = {"CN=a", "CN=b", Bytes{1}}, .key_bits = 512, .filename = "CTLFile.tlv"};
            again.records.push_back(std::move(draft));
            promise(encode(again).octets.size() == head.size() + one.octets().size());
        }
    });
}

void sgn(ByteView input) {
    decoding(input, [&] {
        const SgnFile file = decode_sgn(input);
        promise(equal(encode(file), file.octets()));
        const Verdict verdict = verify(file, {}, kNow);
        promise(verdict.outcome != Outcome::Verified);  // it holds no key
        promise(!show(file, verdict, std::nullopt).empty());
    });
}

void certificate(ByteView input) {
    refusing([&] {
        const auto one = sast::Certificate::decode(input);
        promise(equal(one.der(), input));
        refusing([&] { (void)one.subject_text(); });
        refusing(
            [&] { (void)make_record(one, NameStyle::CtlClient, Role::Sast, CertificateSignature::Write); });
    });
    refusing([&] { (void)sast::Certificate::decode_pem(as_text(input)); });
}

void uri(ByteView input) {
    refusing([&] {
        const auto one = pkcs11::Uri::parse(as_text(input));
        const std::string text = one.to_text();
        promise(pkcs11::Uri::parse(text).to_text() == text);
    });
}

void manifest(ByteView input) {
    refusing([&] {
        const Manifest one = decode_manifest(as_text(input), "fuzz");
        const std::string text = encode_manifest(one);
        promise(encode_manifest(decode_manifest(text, "again")) == text);
    });
}

void tvs_message(ByteView input) {
    decoding(input, [&] {
        const tvs::Message message = tvs::decode(input);
        promise(tvs::message_size(input) == input.size());
        const Bytes again = tvs::encode(message);
        promise(tvs::decode(again) == message);
        if (message.type() == tvs::MessageType::VerifyRequest ||
            message.type() == tvs::MessageType::QueryRequest) {
            static const tvs::CertificateStore kEmpty({}, nullptr);
            auto source = tvs::CertificateStore::Source::Database;
            const tvs::Message response = kEmpty.respond(message, source);
            promise(response.id == message.id && source == tvs::CertificateStore::Source::Nowhere);
            promise(tvs::decode(tvs::encode(response)) == response);
        }
    });
}

void inventory(ByteView input) {
    refusing([&] {
        const auto phones = phone::Inventory::decode(as_text(input), "fuzz");
        const std::string text = phones.encode();
        const auto again = phone::Inventory::decode(text, "again");
        promise(again.phones().size() == phones.phones().size());
        promise(again.encode() == text);
    });
}

void models(ByteView input) {
    refusing([&] {
        auto table = phone::ModelTable::shipped();
        table.append(phone::ModelTable::decode(as_text(input), "fuzz"));
        for (const char* name : {"CP-8861", "Cisco Unified IP Phone 7940", "", "*"})
            (void)table.find(name, "sip88xx.14-1");
    });
}

void quirks(ByteView input) {
    refusing([&] {
        const auto table = pkcs11::QuirkTable::decode(as_text(input), "fuzz");
        pkcs11::TokenInfo token;
        token.label = "SAST-ADN008580ef";
        token.model = "eToken";
        (void)find_quirks(table, token).effects();
        (void)find_quirks(table, pkcs11::Module::Info{"SafeNet", "eToken", 2, 20, 10, 8}).effects();
        (void)may_forbid_finalize(table);
    });
}

void profile(ByteView input) {
    refusing([&] {
        const std::string text = encode_profile(softhsm::decode_profile(as_text(input), "fuzz"));
        promise(encode_profile(softhsm::decode_profile(text, "fuzz")) == text);
    });
}

void fault(ByteView input) {
    refusing([&] {
        const auto one = softhsm::decode_fault(as_text(input));
        promise(softhsm::decode_fault(encode_fault(one)) == one);
    });
}

void introductions(ByteView input) {
    refusing([&] {
        const auto shown = cluster::decode_introductions(input, "", "fuzz");
        promise(!shown.empty());
        for (const auto& each : shown) promise(!each.certificate.der().empty());
    });
}

void key_file(ByteView input) {
    refusing([&] {
        auto file = sast::KeyFile::decode(input, "fuzz");
        if (file.locked()) file.unlock("fuzz");
        promise(!file.locked() && !file.key()->public_key().empty());
    });
    (void)sast::decode_clear_key(as_text(input));
    (void)take_openssl_reason();
}

void plan(ByteView input) {
    refusing([&] {
        const auto one = tvs::Plan::decode(as_text(input), "fuzz");
        const auto examine_servers = [&one](std::string_view names, std::string_view pool) {
            const auto asked = one.servers_of(names, pool);
            promise(asked.size() <= tvs::kServersOfAPhone);
            for (const auto& index : asked) promise(!index || *index < one.servers.size());
        };
        examine_servers("", "");
        for (const auto& [pool, names] : one.pools) examine_servers("", pool);
        for (const auto& server : one.servers) examine_servers(server.name, "");
    });
}

void http_answer(ByteView input) {
    const auto fetched = simulator::decode_http_answer(as_text(input));
    promise(!fetched.octets || fetched.problem.empty());
    promise(!fetched.octets || fetched.octets->size() < input.size());
    promise(!fetched.unanswered);
}

void sftp_message(ByteView input) {
    (void)cluster::offers_posix_rename(input);
    constexpr std::uint32_t kNumber = 1;
    const auto status = cluster::decode_sftp_status(input, kNumber);
    promise(!status || !cluster::decode_sftp_status(input, kNumber + 1));
}

}  // namespace ctlsign::fuzz
