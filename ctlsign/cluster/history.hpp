#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ctlsign/cluster/database.hpp>

namespace ctlsign::cluster {

/// One publication, without its octets.
struct HistoryEntry {
    std::int64_t id = 0;
    std::int64_t time = 0;  ///< Unix seconds
    std::string operation;
    Way way = Way::Tokenless;
    Mode mode = Mode::NonSecure;
    std::string signer, md5, sha1;
    std::int64_t length = 0;  ///< octets; 0 for a deletion
    bool withdrawn = false;   ///< a backup from before it was restored
};
/// In their order.
std::vector<HistoryEntry> list_publications(const Database& database);
/// The CTL of one; nothing for a deletion, or when there is none of that number.
std::optional<Bytes> find_published(const Database& database, std::int64_t id);

}  // namespace ctlsign::cluster
