#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include <ctlsign/error.hpp>
#include <ctlsign/files/sqlite.hpp>
#include <pkcs11/free_with.hpp>

namespace ctlsign::sqlite {

namespace {

std::error_code code_of(int extended, int system_error) {
    const auto system = [&](int otherwise) {
        return std::error_code(system_error != 0 ? system_error : otherwise, std::system_category());
    };
    switch (extended & 0xFF) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return Errc::InUse;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_SCHEMA:
            return Errc::Malformed;
        case SQLITE_FULL:
            return system(ENOSPC);
        case SQLITE_READONLY:
            return system(EROFS);
        case SQLITE_PERM:
            return system(EACCES);
        case SQLITE_CANTOPEN:
            return system(ENOENT);
        case SQLITE_IOERR:
            return system(EIO);
        default:
            return {};
    }
}

// Of the file format: what a log beside the file (2) or a journal (1) is told by. In memory there is no log.
void forget_log(std::span<std::uint8_t> image) {
    constexpr std::size_t kWriteVersion = 18, kReadVersion = 19, kHeader = 100;
    if (image.size() >= kHeader) image[kWriteVersion] = image[kReadVersion] = 1;
}

std::string_view file_of(sqlite3* database) {
    const char* file = sqlite3_db_filename(database, "main");
    return file == nullptr ? "" : file;
}

[[noreturn]] void fail(sqlite3* database, std::string_view step) {
    const int extended = sqlite3_extended_errcode(database);
    if ((extended & 0xFF) == SQLITE_NOMEM) throw std::bad_alloc();
    const std::error_code code = code_of(extended, sqlite3_system_errno(database));
    // A constraint, or a script that SQLite does not understand, is a fault of this program.
    if (!code) throw std::logic_error(std::string(step) + ": " + sqlite3_errmsg(database));
    throw Error(code, step, file_of(database), sqlite3_errmsg(database));
}

}  // namespace

Statement::Statement(sqlite3* database, std::string_view sql, std::initializer_list<Value> values)
    : database_(database) {
    if (sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement_, nullptr) !=
        SQLITE_OK) {
        // The statements fit the schema that the file says it has: it lacks a part of it.
        if ((sqlite3_extended_errcode(database) & 0xFF) == SQLITE_ERROR)
            throw Error(Errc::Malformed, "reading the database", file_of(database), sqlite3_errmsg(database));
        fail(database, "preparing a statement");
    }
    int number = 0;
    for (const Value& value : values) {
        ++number;
        const int result = std::visit(
            [&](const auto& held) {
                using Held = std::decay_t<decltype(held)>;
                if constexpr (std::is_same_v<Held, std::monostate>)
                    return sqlite3_bind_null(statement_, number);
                else if constexpr (std::is_same_v<Held, std::int64_t>)
                    return sqlite3_bind_int64(statement_, number, held);
                else if constexpr (std::is_same_v<Held, std::string_view>)
                    return sqlite3_bind_text64(statement_, number, held.empty() ? "" : held.data(),
                                               held.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
                else
                    return sqlite3_bind_blob64(statement_, number,
                                               held.empty() ? static_cast<const void*>("") : held.data(),
                                               held.size(), SQLITE_TRANSIENT);
            },
            value);
        if (result != SQLITE_OK) {
            sqlite3_finalize(statement_);
            fail(database, "binding a parameter");
        }
    }
}

Statement::~Statement() {
    sqlite3_finalize(statement_);
}

bool Statement::step() {
    const int result = sqlite3_step(statement_);
    if (result == SQLITE_ROW) return true;
    if (result != SQLITE_DONE) fail(database_, "using the database");
    return false;
}

bool Statement::is_null(int column) const noexcept {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

bool Statement::is_integer(int column) const noexcept {
    return sqlite3_column_type(statement_, column) == SQLITE_INTEGER;
}

std::int64_t Statement::integer(int column) const noexcept {
    return sqlite3_column_int64(statement_, column);
}

std::string Statement::text(int column) const {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    if (text == nullptr) return {};
    return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

Bytes Statement::blob(int column) const {
    const auto* octets = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
    if (octets == nullptr) return {};
    return {octets, octets + sqlite3_column_bytes(statement_, column)};
}

std::optional<std::string> Statement::find_text(int column) const {
    if (is_null(column)) return std::nullopt;
    return text(column);
}

std::optional<Bytes> Statement::find_blob(int column) const {
    if (is_null(column)) return std::nullopt;
    return blob(column);
}

Connection::Connection(const std::string& path, Access access, std::string_view advice) {
    const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                      (access == Access::Read ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                      (access == Access::Create ? SQLITE_OPEN_CREATE : 0);
    if (sqlite3_open_v2(path.c_str(), &database_, flags, nullptr) != SQLITE_OK) {
        const std::error_code code =
            code_of(sqlite3_extended_errcode(database_), sqlite3_system_errno(database_));
        sqlite3_close(database_);
        throw Error(code, "open", path, advice);
    }
    sqlite3_busy_timeout(database_, 5000);
    // What others have made holds no statement of theirs that is run where ours reads a table: our own
    // schemas have no views, and their triggers call nothing that is not trusted.
    sqlite3_db_config(database_, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
    sqlite3_db_config(database_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    sqlite3_db_config(database_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
}

Connection::Connection(ByteView image) : Connection(":memory:", Access::Create, "") {
    take_image("main", image);
}

Connection::~Connection() {
    sqlite3_close(database_);
}

void Connection::take_image(const char* name, ByteView image) {
    auto* copy = static_cast<unsigned char*>(sqlite3_malloc64(image.size()));
    if (copy == nullptr) throw std::bad_alloc();
    std::ranges::copy(image, copy);
    forget_log({copy, image.size()});
    const auto size = static_cast<sqlite3_int64>(image.size());
    // Frees the copy on failure, too.
    if (sqlite3_deserialize(database_, name, copy, size, size,
                            SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE) != SQLITE_OK)
        fail(database_, "reading an image");
}

Bytes Connection::image() const {
    sqlite3_int64 size = 0;
    const std::unique_ptr<unsigned char, FreeWith<sqlite3_free>> octets(
        sqlite3_serialize(database_, "main", &size, 0));
    if (!octets) throw std::bad_alloc();
    Bytes image(octets.get(), octets.get() + size);
    forget_log(image);
    return image;
}

void Connection::attach(const std::string& name, ByteView image) {
    execute("ATTACH ':memory:' AS " + name);
    take_image(name.c_str(), image);
}

void Connection::execute(const std::string& script) {
    if (sqlite3_exec(database_, script.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
        fail(database_, "using the database");
}

bool Connection::has_columns(std::string_view table, std::initializer_list<std::string_view> columns) {
    return std::ranges::all_of(columns, [&](std::string_view column) {
        return integer("SELECT count(*) FROM pragma_table_info(?) WHERE name=?", {table, column}) == 1;
    });
}

std::int64_t Connection::integer(std::string_view sql, std::initializer_list<Value> values) {
    Statement statement = query(sql, values);
    if (!statement.step()) throw Error(Errc::Malformed, "reading the database", "", "a row is missing");
    return statement.integer(0);
}

std::int64_t Connection::last_id() const noexcept {
    return sqlite3_last_insert_rowid(database_);
}

bool Connection::in_transaction() const noexcept {
    return sqlite3_get_autocommit(database_) == 0;
}

Transaction::Transaction(Connection& connection)
    : connection_(connection), outer_(!connection.in_transaction()) {
    if (outer_) connection_.execute("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
    if (!open_ || !outer_ || !connection_.in_transaction()) return;
    try {
        connection_.execute("ROLLBACK");
    } catch (const std::exception&) {
        // The connection's end undoes it.
        return;
    }
}

void Transaction::commit() {
    if (outer_) connection_.execute("COMMIT");
    open_ = false;
}

}  // namespace ctlsign::sqlite
