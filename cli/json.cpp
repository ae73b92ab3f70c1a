#include <array>

#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/trustlist/show.hpp>
#include <ctlsign/trustlist/text.hpp>
#include <sast/certificate.hpp>

namespace ctlsign::cli {

namespace {

std::string sha1_text(ByteView octets) {
    const std::array<ByteView, 1> parts{octets};
    return to_hex(compute_digest(Digest::Sha1, parts));
}

Json signer_json(std::string_view name, std::string_view issuer, ByteView serial) {
    return {{"name", name}, {"issuer", issuer}, {"serial", to_hex(serial)}};
}

Json header_json(const SignedFile& file) {
    Json header{{"version", to_text(file.version())}, {"header-length", file.header_length()}};
    if (file.signer_version()) header["signer-version"] = to_text(*file.signer_version());
    header["signer"] = signer_json(file.signer_name(), file.signer_issuer(), file.signer_serial());
    header["digest"] = to_text(file.digest());
    header["key-bits"] = file.key_bits();
    header["signature"] = to_hex(file.signature());
    header["filename"] = file.filename();
    header["timestamp"] = format_utc(file.timestamp());
    return header;
}

Json certificate_json(ByteView der) {
    Json json{{"length", der.size()}, {"sha1", sha1_text(der)}};
    try {
        const sast::Certificate certificate = sast::Certificate::decode(der);
        json["subject"] = certificate.subject_text();
        json["issuer"] = certificate.issuer_text();
        json["serial"] = to_hex(certificate.serial());
        json["not-before"] = format_utc(certificate.not_before());
        json["not-after"] = format_utc(certificate.not_after());
        json["key-bits"] = certificate.key_bits();
    } catch (const Error& error) {
        json["error"] = error.what();
    }
    return json;
}

Json record_json(const Record& record, const TrustList& list, std::size_t number) {
    Json json{{"number", number}, {"position", record.position()}, {"length", record.octets().size()}};
    if (record.dns_name()) json["dns-name"] = *record.dns_name();
    if (record.subject()) json["subject"] = *record.subject();
    if (record.role()) {
        json["role"] = role_name(*record.role());
        json["role-number"] = static_cast<unsigned>(*record.role());
    }
    if (record.issuer()) json["issuer"] = *record.issuer();
    if (record.serial()) json["serial"] = to_hex(*record.serial());
    if (record.public_key()) json["public-key"] = to_hex(*record.public_key());
    if (record.signature()) json["certificate-signature"] = to_hex(*record.signature());
    if (record.certificate()) json["certificate"] = certificate_json(*record.certificate());
    if (const auto address = record.ip_address())
        json["ip-address"] = address_text(*address).value_or(to_hex(*address));
    if (record.certificate_hash()) json["certificate-hash"] = to_hex(*record.certificate_hash());
    if (record.hash_algorithm()) json["hash-algorithm"] = to_text(*record.hash_algorithm());
    if (record.role() == Role::Sast) json["signed-the-file"] = is_signer(record, list);
    return json;
}

Json file_json(const SignedFile& file) {
    const Checksums sums = checksums(file.octets());
    return {{"length", file.octets().size()},
            {"md5", sums.md5},
            {"sha1", sums.sha1},
            {"header", header_json(file)}};
}

Json fields_json(const std::vector<FieldChange>& fields) {
    Json json = Json::array();
    for (const FieldChange& field : fields)
        json.push_back({{"field", field.field}, {"before", field.before}, {"after", field.after}});
    return json;
}

}  // namespace

Json to_json(const TrustList& list) {
    Json json = file_json(list);
    Json& records = json["records"] = Json::array();
    for (const Record& record : list.records())
        records.push_back(record_json(record, list, records.size() + 1));
    return json;
}

Json to_json(const SgnFile& file) {
    Json json = file_json(file);
    json["payload-length"] = file.payload().size();
    return json;
}

Json to_json(const Verdict& verdict) {
    Json json{{"outcome", to_text(verdict.outcome)},
              {"rule", to_text(verdict.rule)},
              {"basis", to_text(verdict.basis)},
              {"trusted", verdict.trusted()},
              {"text", to_text(verdict)},
              {"signer", signer_json(verdict.signer.name, verdict.signer.issuer, verdict.signer.serial)}};
    if (verdict.list) json["list"] = *verdict.list + 1;
    if (verdict.record) json["record"] = *verdict.record + 1;
    if (verdict.certificate) json["certificate"] = *verdict.certificate + 1;
    Json& warnings = json["warnings"] = Json::array();
    for (const Warning& warning : verdict.warnings) {
        Json entry{{"caution", to_text(warning.caution)}, {"text", to_text(warning)}};
        if (warning.record) entry["record"] = *warning.record + 1;
        warnings.push_back(std::move(entry));
    }
    return json;
}

Json to_json(const ListDifference& difference) {
    Json json{{"same", difference.empty()}, {"header", fields_json(difference.header)}};
    Json& signers = json["signers"] = Json::array();
    for (const SignerChange& signer : difference.signers) {
        signers.push_back({{"change", to_text(signer.change)},
                           {"subject", signer.subject},
                           {"issuer", signer.issuer},
                           {"serial", signer.serial}});
    }
    Json& records = json["records"] = Json::array();
    for (const RecordChange& record : difference.records) {
        Json entry{{"change", to_text(record.change)}, {"what", record.what}};
        if (record.before) entry["before"] = *record.before + 1;
        if (record.after) entry["after"] = *record.after + 1;
        if (record.change == Change::Changed) entry["fields"] = fields_json(record.fields);
        records.push_back(std::move(entry));
    }
    return json;
}

void print_json(const Json& value) {
    print(value.dump(2, ' ', false, Json::error_handler_t::replace) + '\n');
}

}  // namespace ctlsign::cli
