#pragma once

#include <optional>
#include <string>

#include <ctlsign/cluster/database.hpp>
#include <pkcs11/pin.hpp>

namespace ctlsign::cluster {

/// The whole trust state in one file: SQLite behind a line that says what it is and the SHA-256 of the rest.
/// No private key is in it. Whole or not at all; readable by its owner alone. Throws Errc::Malformed when
/// DATABASE is damaged.
void backup(const Database& database, const std::string& path);
/// The same with the files of private keys that the stores name, encrypted; those in tokens stay there.
/// Throws the system's code for a file that cannot be read: all of them or no backup.
void backup_with_keys(const Database& database, const std::string& path, const pkcs11::Pin& passphrase);
/// Without keys, before a change, into DATABASE's folder of backups ("cluster.db.backups"), which keeps the
/// last twenty. Gives the path.
std::string backup_before_change(const Database& database);

/// Why the cluster's file at PATH cannot be read; nothing when it can. Throws the system's code when it
/// cannot be opened.
std::optional<std::string> find_damage(const std::string& path);

/// A backup that was read and found whole.
class Backup {
  public:
    /// Throws Errc::Malformed when it is none or damaged, the system's code when it cannot be read.
    static Backup load(const std::string& path);

    const std::string& name() const noexcept { return name_; }  ///< of the cluster

    /// Writes the private keys into FOLDER, which is made when it is not there; the stores name them there
    /// once restored. Throws sast::Errc::NoKey when it was taken without them, sast::Errc::WrongPassphrase.
    void restore_keys(const std::string& folder, const pkcs11::Pin& passphrase);
    /// Into a file that is not there yet: whole or not at all. EEXIST when there is one.
    void restore_as(const std::string& path) const;
    /// In place of a file that cannot be read, which is kept beside it ("cluster.db.damaged-TIME"). Gives the
    /// path of what is kept. Throws Errc::InUse when another process has put it right meanwhile.
    std::string restore_instead(const std::string& path) const;
    /// Over what a cluster knows now, all at once. Its audit goes on.
    void restore_into(Writer& writer) const;

  private:
    Backup() = default;
    Database make_copy(const std::string& path) const;
    void store_as(Writer& writer, const std::string& path, Existing existing) const;
    Bytes image_;
    std::string path_, name_;
};

}  // namespace ctlsign::cluster
