#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/tvs/certificate_store.hpp>
#include <pkcs11/error.hpp>

namespace ctlsign::tvs {

namespace {

std::string octets_key(ByteView octets) {
    return std::string(as_text(octets));
}

void add_role(std::vector<Role>& roles, Role role) {
    if (std::ranges::find(roles, role) == roles.end()) roles.push_back(role);
}

}  // namespace

std::string lookup_key(std::string_view issuer, ByteView serial) {
    std::string key = to_hex(serial);
    key += issuer;
    return key;
}

std::string to_text(std::span<const Role> roles) {
    if (roles.empty()) return "none";
    std::string text;
    for (const Role role : roles) {
        text += fmt::format("{}{}", text.empty() ? "" : ", ", static_cast<unsigned>(role));
    }
    return text;
}

std::string_view to_text(CertificateStore::Source source) noexcept {
    switch (source) {
        case CertificateStore::Source::Nowhere:
            return "nowhere";
        case CertificateStore::Source::Database:
            return "database";
        case CertificateStore::Source::Ctl:
            return "CTL";
    }
    return "unknown";
}

CertificateStore::CertificateStore(std::span<const DatabaseEntry> database, const TrustList* ctl) {
    for (const DatabaseEntry& given : database) {
        auto& known = database_by_octets_[octets_key(given.certificate.der())];
        Entry entry{given.certificate, known ? known->roles : std::vector<Role>{}, given.ttl};
        for (const Role role : given.roles) add_role(entry.roles, role);
        std::ranges::sort(entry.roles);
        known = std::make_shared<const Entry>(std::move(entry));
        // As CallManager writes names, and as the open tools do. A token's, in the style of the CTL client,
        // is not here: its serial number is reversed, and the CTL is where it is found.
        for (const NameStyle style : {NameStyle::CallManager, NameStyle::Rfc4514}) {
            try {
                database_[lookup_key(name_text(given.certificate.issuer_der(), style),
                                     serial_octets(given.certificate.serial(), style))] = known;
            } catch (const Error&) {
                continue;  // a name that the style cannot write is sent by nobody
            }
        }
    }
    database_count_ = database_by_octets_.size();
    if (ctl != nullptr) add_ctl(*ctl);
}

void CertificateStore::add_ctl(const TrustList& ctl) {
    std::unordered_map<std::string, Entry> by_octets;
    for (const Record& record : ctl.records()) {
        if (!record.certificate() || !record.role() || static_cast<unsigned>(*record.role()) > 0xFF) continue;
        try {
            auto [at, fresh] = by_octets.try_emplace(octets_key(*record.certificate()));
            if (fresh) at->second.certificate = sast::Certificate::decode(*record.certificate());
            // Standing in the CTL makes nobody a SAST; being in Phone-SAST-trust does.
            if (*record.role() != Role::Sast) add_role(at->second.roles, *record.role());
        } catch (const Error&) {
            by_octets.erase(octets_key(*record.certificate()));  // not X.509: nothing to vouch for
        }
    }
    for (auto& [octets, entry] : by_octets) {
        const auto known = database_by_octets_.find(octets);
        const bool sast = known != database_by_octets_.end() &&
                          std::ranges::find(known->second->roles, Role::Sast) != known->second->roles.end();
        if (sast) add_role(entry.roles, Role::Sast);
        std::ranges::sort(entry.roles);
        ctl_by_octets_[octets] = std::make_shared<const Entry>(std::move(entry));
    }
    for (const Record& record : ctl.records()) {
        if (!record.certificate() || !record.issuer() || !record.serial()) continue;
        const auto entry = ctl_by_octets_.find(octets_key(*record.certificate()));
        if (entry != ctl_by_octets_.end())
            ctl_[lookup_key(*record.issuer(), *record.serial())] = entry->second;
    }
    ctl_count_ = ctl_by_octets_.size();
}

CertificateStore::Found CertificateStore::find(std::string_view issuer, ByteView serial) const {
    const std::string key = lookup_key(issuer, serial);
    for (const auto& [index, source] :
         {std::pair(&database_, Source::Database), std::pair(&ctl_, Source::Ctl)}) {
        const auto found = index->find(key);
        // A certificate that nothing may be done with is not valid.
        if (found == index->end() || found->second->roles.empty()) continue;
        const Entry& entry = *found->second;
        const ByteView der = entry.certificate.der();
        return {source, {Status::Valid, Bytes(der.begin(), der.end()), entry.roles, entry.ttl}};
    }
    return {};
}

CertificateStore::Found CertificateStore::find(ByteView certificate) const {
    const std::string key = octets_key(certificate);
    for (const auto& [index, source] :
         {std::pair(&database_by_octets_, Source::Database), std::pair(&ctl_by_octets_, Source::Ctl)}) {
        const auto found = index->find(key);
        if (found == index->end() || found->second->roles.empty()) continue;
        return {source, {Status::Valid, {}, found->second->roles, found->second->ttl}};
    }
    return {};
}

Message CertificateStore::respond(const Message& request, Source& source) const {
    Message response{request.id, 0, {}};
    if (const auto* query = std::get_if<QueryRequest>(&request.body)) {
        Found found = find(query->issuer, query->serial);
        source = found.source;
        response.body = QueryResponse{std::move(found.answer)};
    } else {
        Found found = find(std::get<VerifyRequest>(request.body).certificate);
        source = found.source;
        response.body = VerifyResponse{std::move(found.answer)};
    }
    return response;
}

}  // namespace ctlsign::tvs
