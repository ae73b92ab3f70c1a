#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <memory>
#include <optional>
#include <system_error>

#include <ctlsign/error.hpp>
#include <ctlsign/files/store.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/tvs/database.hpp>
#include <pkcs11/error.hpp>

namespace ctlsign::tvs {

namespace {

constexpr std::size_t kMaxFile = std::size_t{256} << 20U;

struct Close {
    void operator()(sqlite3* database) const noexcept { sqlite3_close(database); }
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};
using DatabasePtr = std::unique_ptr<sqlite3, Close>;
using StatementPtr = std::unique_ptr<sqlite3_stmt, Close>;

[[noreturn]] void malformed(sqlite3* database, const std::string& path) {
    throw Error(Errc::Malformed, "reading", path, sqlite3_errmsg(database));
}

StatementPtr prepare(sqlite3* database, std::string_view sql, const std::string& path) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement, nullptr) !=
        SQLITE_OK)
        malformed(database, path);
    return StatementPtr(statement);
}

// A column of text or octets: the open server has PEM under either type.
std::string_view column(sqlite3_stmt* statement, int number) {
    const void* octets = sqlite3_column_blob(statement, number);
    return {static_cast<const char*>(octets),
            octets == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(statement, number))};
}

// As the open server writes octets.
std::string lower_hex(ByteView octets) {
    std::string text = to_hex(octets);
    std::ranges::transform(text, text.begin(), [](char c) {
        return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return text;
}

std::string lower_hash(const sast::Certificate& certificate) {
    const std::array<ByteView, 1> whole{certificate.der()};
    return lower_hex(compute_digest(Digest::Sha256, whole));
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
            throw BadRow{fmt::format("there is no role '{}'", name)};
        roles.push_back(*role);
        text.remove_prefix(std::min(text.size(), name.size() + 1));
    }
    if (roles.empty()) throw BadRow{"it has no role"};
    return roles;
}

DatabaseEntry read_row(sqlite3_stmt* row) {
    DatabaseEntry entry;
    const std::string_view certificate = column(row, 1);
    try {
        const auto found = sast::Certificate::decode_pem(certificate);
        entry.certificate = found.empty() ? sast::Certificate::decode(as_bytes(certificate)) : found.front();
    } catch (const Error&) {
        throw BadRow{"its certificate cannot be read"};
    }
    if (column(row, 0) != lower_hash(entry.certificate))
        throw BadRow{"its hash is not that of its certificate"};
    entry.roles = read_roles(column(row, 2));
    if (sqlite3_column_type(row, 3) != SQLITE_NULL) {
        const std::int64_t ttl = sqlite3_column_int64(row, 3);
        if (sqlite3_column_type(row, 3) != SQLITE_INTEGER || ttl < 0 ||
            ttl > std::numeric_limits<std::uint32_t>::max())
            throw BadRow{"its TTL is none"};
        entry.ttl = static_cast<std::uint32_t>(ttl);
    }
    return entry;
}

}  // namespace

Database Database::load(const std::string& path) {
    (void)load_file(path, kMaxFile);  // a file that cannot be read says so with the system's code
    sqlite3* opened = nullptr;
    const int result = sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READONLY, nullptr);
    const DatabasePtr database(opened);
    if (result != SQLITE_OK) malformed(opened, path);
    sqlite3_busy_timeout(opened, 5000);
    const StatementPtr rows = prepare(
        opened,
        "SELECT certificate_hash, certificate, roles, ttl FROM certificates ORDER BY certificate_hash", path);
    Database loaded;
    for (;;) {
        const int step = sqlite3_step(rows.get());
        if (step == SQLITE_DONE) return loaded;
        if (step != SQLITE_ROW) malformed(opened, path);
        try {
            loaded.entries.push_back(read_row(rows.get()));
        } catch (const BadRow& bad) {
            loaded.problems.push_back(
                fmt::format("certificate {}: {}", column(rows.get(), 0).substr(0, 16), bad.problem));
        }
    }
}

void store_database(const std::string& path, std::span<const DatabaseEntry> entries) {
    if (access(path.c_str(), F_OK) == 0)
        throw Error(std::error_code(EEXIST, std::system_category()), "creating", path, "choose another name");
    // Built in memory and stored as any file is: whole or not at all.
    sqlite3* opened = nullptr;
    if (sqlite3_open(":memory:", &opened) != SQLITE_OK) throw std::bad_alloc();
    const DatabasePtr database(opened);
    if (sqlite3_exec(
            opened,
            "CREATE TABLE certificates (certificate_hash TEXT PRIMARY KEY, serial_number TEXT NOT NULL, "
            "subject_name TEXT NOT NULL, issuer_name TEXT NOT NULL, certificate TEXT NOT NULL, "
            "roles TEXT NOT NULL, ttl INTEGER) WITHOUT ROWID",
            nullptr, nullptr, nullptr) != SQLITE_OK)
        malformed(opened, path);
    const StatementPtr insert =
        prepare(opened, "INSERT INTO certificates VALUES (?, ?, ?, ?, ?, ?, ?)", path);
    for (const DatabaseEntry& entry : entries) {
        std::string roles;
        for (const Role role : entry.roles) roles += (roles.empty() ? "" : ",") + role_name(role);
        const std::array<std::string, 6> texts{
            lower_hash(entry.certificate),
            lower_hex(strip_leading_zeros(entry.certificate.serial())),
            name_text(entry.certificate.subject_der(), NameStyle::CallManager),
            name_text(entry.certificate.issuer_der(), NameStyle::CallManager),
            entry.certificate.to_pem(),
            roles};
        int number = 0;
        for (const std::string& text : texts) {
            sqlite3_bind_text(insert.get(), ++number, text.data(), static_cast<int>(text.size()),
                              SQLITE_TRANSIENT);
        }
        sqlite3_bind_int64(insert.get(), ++number, entry.ttl);
        if (sqlite3_step(insert.get()) != SQLITE_DONE) malformed(opened, path);
        sqlite3_reset(insert.get());
    }
    sqlite3_int64 size = 0;
    const std::unique_ptr<unsigned char, void (*)(void*)> image(sqlite3_serialize(opened, "main", &size, 0),
                                                                &sqlite3_free);
    if (!image) throw std::bad_alloc();
    store_file(path, {image.get(), static_cast<std::size_t>(size)});
}

}  // namespace ctlsign::tvs
