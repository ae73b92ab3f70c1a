#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include <ctlsign/error.hpp>
#include <ctlsign/files/sqlite.hpp>
#include <ctlsign/limits.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/trustlist/text.hpp>
#include <ctlsign/tvs/database.hpp>
#include <pkcs11/error.hpp>
#include <pkcs11/store.hpp>

namespace ctlsign::tvs {

namespace {

// The open server writes octets in lower case.
std::string lower_hash(const sast::Certificate& certificate) {
    const std::array<ByteView, 1> whole{certificate.der()};
    return to_lower_hex(compute_digest(Digest::Sha256, whole));
}

// What is wrong with a row, thrown as text.
struct BadRow {
    std::string problem;
};

std::vector<Role> read_roles(std::string_view text) {
    std::vector<Role> roles;
    while (!text.empty()) {
        const std::string_view name = text.substr(0, text.find(','));
        const auto role = find_role(name);
        if (!role || static_cast<unsigned>(*role) > 0xFF)
            throw BadRow{fmt::format("there is no role '{}'", printable(name))};
        roles.push_back(*role);
        text.remove_prefix(std::min(text.size(), name.size() + 1));
    }
    if (roles.empty()) throw BadRow{"it has no role"};
    return roles;
}

// As CallManager writes names: what the table has beside the certificate. Throws where a name has no such
// form.
std::string subject_text(const DatabaseEntry& entry) {
    return name_text(entry.certificate.subject_der(), NameStyle::CallManager);
}
std::string issuer_text(const DatabaseEntry& entry) {
    return name_text(entry.certificate.issuer_der(), NameStyle::CallManager);
}

DatabaseEntry read_row(const sqlite::Statement& row) {
    DatabaseEntry entry;
    const Bytes octets = row.blob(1);  // PEM under either type
    const std::string_view certificate = as_text(octets);
    try {
        const auto found = sast::Certificate::decode_pem(certificate);
        entry.certificate = found.empty() ? sast::Certificate::decode(as_bytes(certificate)) : found.front();
    } catch (const Error&) {
        throw BadRow{"its certificate cannot be read"};
    }
    if (row.text(0) != lower_hash(entry.certificate)) throw BadRow{"its hash is not that of its certificate"};
    try {
        (void)subject_text(entry);
        (void)issuer_text(entry);
    } catch (const Error&) {
        throw BadRow{"its names cannot be written as text"};
    }
    entry.roles = read_roles(row.text(2));
    if (!row.is_null(3)) {
        const std::int64_t ttl = row.integer(3);
        if (!row.is_integer(3) || ttl < 0 || ttl > std::numeric_limits<std::uint32_t>::max())
            throw BadRow{"its TTL is none"};
        entry.ttl = static_cast<std::uint32_t>(ttl);
    }
    return entry;
}

// What SQLite has not yet put into the old file, it would put into the new one.
void require_no_log(const std::string& path) {
    std::error_code failed;
    const auto real = std::filesystem::weakly_canonical(path, failed);
    const std::string target = failed ? path : real.string();
    for (const char* log : {"-wal", "-journal"}) {
        std::error_code absent;
        if (std::filesystem::file_size(target + log, absent) > 0 && !absent)
            throw Error(
                std::make_error_code(std::errc::device_or_resource_busy), "replacing", path,
                fmt::format("{}{} says that another program writes into it: end that first", target, log));
    }
}

}  // namespace

Database Database::load(const std::string& path) {
    sqlite::Connection database(path, sqlite::Connection::Access::Read,
                                "check the path, and its permissions");
    // With what the log beside it holds.
    if (database.integer("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size") >
        std::int64_t{limits::kTvsDatabase})
        throw Error(Errc::Oversized, "read", path,
                    fmt::format("the limit is {} octets", limits::kTvsDatabase));
    if (!database.has_columns("certificates", {"certificate_hash", "certificate", "roles", "ttl"}))
        throw Error(Errc::Malformed, "reading", path, "it has no table certificates of a TVS server");
    sqlite::Statement row = database.query(
        "SELECT certificate_hash, certificate, roles, ttl FROM certificates ORDER BY certificate_hash");
    Database loaded;
    while (row.step()) {
        try {
            DatabaseEntry entry = read_row(row);
            // In the order of their hashes: another row of the same certificate follows at once.
            if (!loaded.entries.empty() && loaded.entries.back().certificate == entry.certificate)
                throw BadRow{"it is there twice"};
            loaded.entries.push_back(std::move(entry));
        } catch (const BadRow& bad) {
            loaded.problems.push_back(
                fmt::format("certificate {}: {}", printable(row.text(0).substr(0, 16)), bad.problem));
        }
    }
    return loaded;
}

void store_database(const std::string& path, std::span<const DatabaseEntry> entries, Existing existing) {
    if (existing == Existing::Replaced) require_no_log(path);
    // Built in memory and stored as any file is: whole or not at all.
    sqlite::Connection database(":memory:", sqlite::Connection::Access::Create, "");
    database.execute(
        "CREATE TABLE certificates (certificate_hash TEXT PRIMARY KEY, serial_number TEXT NOT NULL, "
        "subject_name TEXT NOT NULL, issuer_name TEXT NOT NULL, certificate TEXT NOT NULL, "
        "roles TEXT NOT NULL, ttl INTEGER) WITHOUT ROWID");
    for (const DatabaseEntry& entry : entries) {
        std::string roles;
        for (const Role role : entry.roles) {
            if (!roles.empty()) roles += ',';
            roles += role_name(role);
        }
        const std::string hash = lower_hash(entry.certificate),
                          serial = to_lower_hex(strip_leading_zeros(entry.certificate.serial())),
                          subject = subject_text(entry), issuer = issuer_text(entry),
                          pem = entry.certificate.to_pem();
        using Text = std::string_view;
        database.run("INSERT INTO certificates VALUES (?, ?, ?, ?, ?, ?, ?)",
                     {Text(hash), Text(serial), Text(subject), Text(issuer), Text(pem), Text(roles),
                      std::int64_t{entry.ttl}});
    }
    store_file(path, database.image(), Readers::AsTheUmaskSays, existing);
}

}  // namespace ctlsign::tvs
