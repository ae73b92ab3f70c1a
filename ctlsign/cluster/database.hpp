#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <ctlsign/cluster/state.hpp>
#include <pkcs11/store.hpp>

namespace ctlsign::sqlite {
class Connection;
}

namespace ctlsign::cluster {

/// Everything about one cluster, in one SQLite file. Readers are never in each other's way.
class Database {
  public:
    /// A new file, whole or not at all. Throws EEXIST when there is one at PATH that is not empty.
    static Database create(const std::string& path, std::string_view name, const Release& release);
    /// Throws the system's code, or Errc::Malformed: no cluster's file, damaged, or of a later program.
    static Database open(const std::string& path);
    /// To look at it alone: what cannot be written is copied into memory.
    static Database open_to_read(const std::string& path);
    /// A copy in memory of the file whose octets IMAGE is. PATH stands for it in messages. Throws as open().
    static Database open_image(ByteView image, const std::string& path);
    Database(Database&&) noexcept;
    ~Database();

    /// What it holds now; later changes are not in it. Throws Errc::Malformed for a row that is none of this
    /// program's, and what SQLite says.
    State load() const;
    /// Whether SQLite finds no damage in it.
    bool is_whole() const;
    /// A row of processconfig.
    std::optional<std::string> find_parameter(std::string_view name) const;

    const std::string& path() const noexcept { return path_; }
    sqlite::Connection& connection() const noexcept { return *connection_; }  ///< for this folder's sources

  private:
    Database(std::string path, std::unique_ptr<sqlite::Connection> connection);
    static Database brought_up(std::string path, std::unique_ptr<sqlite::Connection> connection);
    std::string path_;
    std::unique_ptr<sqlite::Connection> connection_;
};

/// Makes IMAGE the cluster's file at PATH, for its owner alone at first, whole or not at all; EXISTING
/// says what happens to one that is there: for this folder's sources.
void store_database(const std::string& path, ByteView image, Existing existing);

/// The right to change a cluster. One administrator has it at a time, over the whole of a command; it goes
/// with the process.
class Writer {
  public:
    /// COMMAND is told to those who come second. Waits for another one. Throws Errc::InUse, naming who holds
    /// it.
    Writer(Database& database, std::string_view command, std::chrono::milliseconds patience);
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer();

    Database& database() const noexcept { return database_; }
    sqlite::Connection& connection() const noexcept { return database_.connection(); }

    /// Of processconfig.
    void set_parameter(std::string_view name, std::string_view value);

  private:
    Database& database_;
    int lock_ = -1;  ///< descriptor
};

}  // namespace ctlsign::cluster
