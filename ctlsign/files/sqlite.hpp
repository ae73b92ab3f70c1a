#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <pkcs11/bytes.hpp>

struct sqlite3;
struct sqlite3_stmt;

namespace ctlsign::sqlite {

/// How the names of the files end that SQLite keeps beside a database.
inline constexpr std::array<std::string_view, 3> kBeside{"-wal", "-shm", "-journal"};

/// What a parameter of a statement may be; monostate is NULL. Views must outlive the statement's first step.
using Value = std::variant<std::monostate, std::int64_t, std::string_view, ByteView>;

template <typename T>
Value or_null(const std::optional<T>& value) {
    return value ? Value(*value) : Value();
}

/// One SQL statement and the row it stands at.
class Statement {
  public:
    /// Throws Errc::Malformed for a table or column that is not there.
    Statement(sqlite3* database, std::string_view sql, std::initializer_list<Value> values);
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    ~Statement();

    /// Goes to the next row; false behind the last. Throws as Connection does.
    bool step();
    std::int64_t integer(int column) const noexcept;
    std::string text(int column) const;
    Bytes blob(int column) const;
    std::optional<std::string> find_text(int column) const;  ///< nothing for NULL
    std::optional<Bytes> find_blob(int column) const;        ///< nothing for NULL
    bool is_null(int column) const noexcept;
    bool is_integer(int column) const noexcept;

  private:
    sqlite3* database_;
    sqlite3_stmt* statement_ = nullptr;
};

/// One open SQLite database. Its errors carry the system's codes, Errc::InUse, or Errc::Malformed.
class Connection {
  public:
    enum class Access { Read, Open, Create };
    /// ADVICE is told when the file cannot be opened.
    Connection(const std::string& path, Access access, std::string_view advice);
    /// A copy of a file's octets, in memory alone.
    explicit Connection(ByteView image);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    /// Several statements without parameters.
    void execute(const std::string& script);
    Statement query(std::string_view sql, std::initializer_list<Value> values = {}) {
        return {database_, sql, values};
    }
    /// A statement without rows.
    void run(std::string_view sql, std::initializer_list<Value> values = {}) { query(sql, values).step(); }
    /// Whether TABLE is there, with these COLUMNS: of a file that others have made.
    bool has_columns(std::string_view table, std::initializer_list<std::string_view> columns);
    /// The integer of the first row and column. Throws Errc::Malformed when there is none.
    std::int64_t integer(std::string_view sql, std::initializer_list<Value> values = {});
    std::int64_t last_id() const noexcept;
    bool in_transaction() const noexcept;
    /// What a file with the same content would hold.
    Bytes image() const;
    /// Another database under NAME: a copy of a file's octets, in memory.
    void attach(const std::string& name, ByteView image);

  private:
    void take_image(const char* name, ByteView image);
    sqlite3* database_ = nullptr;
};

/// All or nothing: what is not committed is undone. One inside another is a part of it.
class Transaction {
  public:
    explicit Transaction(Connection& connection);
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();
    void commit();

  private:
    Connection& connection_;
    bool outer_, open_ = true;
};

}  // namespace ctlsign::sqlite
