#include <chrono>
#include <filesystem>

#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/install.hpp>
#include <ctlsign/cluster/journal.hpp>
#include <ctlsign/cluster/must.hpp>
#include <ctlsign/cluster/stores.hpp>
#include <ctlsign/files/load.hpp>
#include <ctlsign/files/sqlite.hpp>
#include <sast/key_file.hpp>
#include <sast/publisher_signer.hpp>

namespace ctlsign::cluster {

namespace {

// What stands at PATH may be another's, or nothing.
bool is_key_of(const std::string& path, const sast::Certificate& certificate) {
    try {
        const sast::KeyOctets octets(load_file(path, sast::PublisherSigner::kMaxFileSize).bytes);
        sast::KeyFile file = sast::KeyFile::decode(octets.octets(), path);
        return file.key() && equal(file.key()->public_key(), certificate.public_key());
    } catch (const Error&) {
        return false;
    }
}

}  // namespace

void require_free(const std::string& path) {
    std::error_code none;
    if (std::filesystem::symlink_status(path, none).type() != std::filesystem::file_type::not_found)
        throw Error(std::make_error_code(std::errc::file_exists), "writing the key", path,
                    "nothing is replaced: choose another name");
}

void install(Writer& writer, Store store, const Node& node, const NewCertificate& fresh,
             const std::string& key_path, const std::vector<Refusal>& forced) {
    require_free(key_path);
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    {
        sqlite::Transaction transaction(writer.connection());
        append_forced(writer, "certificate regenerate", forced);
        write_journal_key(writer,
                          {now.time_since_epoch().count(), node.id, store, fresh.certificate(), key_path});
        transaction.commit();
    }
    try {
        fresh.store_key(key_path);
    } catch (...) {
        clear_journal_key(writer);
        throw;
    }
    // From here on a failure is what a kill is: the journal says what was under way.
    sqlite::Transaction transaction(writer.connection());
    put_own_certificate(writer, store, node, fresh.certificate(), key_path);
    clear_journal_key(writer);
    transaction.commit();
}

bool finish_install(Writer& writer) {
    const JournalKey key = must(read_journal_key(writer.database()), "the journal");
    const State state = writer.database().load();
    const Node* node = state.find_node(key.node);
    const bool written = node != nullptr && is_key_of(key.path, key.certificate);
    sqlite::Transaction transaction(writer.connection());
    if (written) put_own_certificate(writer, key.store, *node, key.certificate, key.path);
    clear_journal_key(writer);
    transaction.commit();
    return written;
}

}  // namespace ctlsign::cluster
