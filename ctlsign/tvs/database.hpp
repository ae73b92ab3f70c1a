#pragma once

#include <span>
#include <string>
#include <vector>

#include <ctlsign/tvs/certificate_store.hpp>
#include <pkcs11/store.hpp>

namespace ctlsign::tvs {

/// A SQLite file with the table of the open server: certificates(certificate_hash, serial_number,
/// subject_name, issuer_name, certificate, roles, ttl). Either server can use the other's.
struct Database {
    std::vector<DatabaseEntry> entries;
    std::vector<std::string> problems;  ///< of rows that were left out, a line each

    /// Throws the system's code, or Errc::Malformed when it is no such file.
    static Database load(const std::string& path);
};

/// A new file, whole or not at all. Throws the system's code; where there is one at PATH that is EEXIST, or,
/// when it may be replaced, EBUSY while a log of SQLite beside it says that somebody writes into it.
void store_database(const std::string& path, std::span<const DatabaseEntry> entries,
                    Existing existing = Existing::Kept);

}  // namespace ctlsign::tvs
