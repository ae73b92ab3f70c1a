#pragma once

#include <string>

#include <ctlsign/cluster/database.hpp>

namespace ctlsign::cluster {

/// The whole trust state in one file: SQLite behind a line that says what it is and the SHA-256 of the rest.
/// No private key is in it. Whole or not at all; readable by its owner alone.
void backup(const Database& database, const std::string& path);
/// The same before a change, into DATABASE's folder of backups ("cluster.db.backups"), which keeps the last
/// twenty. Gives the path.
std::string backup_before_change(const Database& database);

/// A backup that was read and found whole.
class Backup {
  public:
    /// Throws Errc::Malformed when it is none or damaged, the system's code when it cannot be read.
    static Backup load(const std::string& path);

    const std::string& name() const noexcept { return name_; }  ///< of the cluster
    /// Into a file that is not there yet.
    void restore_as(const std::string& path) const;
    /// Over what a cluster knows now, all at once. Its audit goes on.
    void restore_into(Writer& writer) const;

  private:
    Backup() = default;
    Bytes image_;
    std::string path_, name_;
};

}  // namespace ctlsign::cluster
