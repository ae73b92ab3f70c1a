#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ctlsign/cluster/database.hpp>
#include <ctlsign/cluster/operation.hpp>

namespace ctlsign::cluster {

/// A publication under way, kept until it is over: enough to finish or undo it.
struct JournalEntry {
    Unfinished::Step step = Unfinished::Step::Preparing;
    std::int64_t started = 0;
    std::string operation, signer;
    Way way = Way::Tokenless;
    Mode mode = Mode::NonSecure;
    std::optional<Bytes> octets;  ///< to be served; nothing for a deletion
    struct Before {
        std::int64_t node = 0;
        std::optional<Bytes> octets;  ///< served before; nothing for no file
    };
    std::vector<Before> before;
    std::vector<KnownToken> tokens;  ///< their states after it
    std::string way_out;             ///< of Plan; see find_way_out
};

void write_journal(Writer& writer, const JournalEntry& entry);
void set_journal_step(Writer& writer, Unfinished::Step step);
std::optional<JournalEntry> read_journal(const Database& database);
/// In the transaction under way.
void clear_journal(Writer& writer);
/// The same: nothing goes on any more.
void clear_way_out(Writer& writer);

/// A private key that is about to be written, until its certificate stands.
struct JournalKey {
    std::int64_t started = 0, node = 0;
    Store store = Store::CallManager;
    sast::Certificate certificate;
    std::string path;
};
void write_journal_key(Writer& writer, const JournalKey& key);
std::optional<JournalKey> read_journal_key(const Database& database);
void clear_journal_key(Writer& writer);

}  // namespace ctlsign::cluster
