#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <pkcs11/bytes.hpp>

namespace ctlsign {

/// Who may read the file. One that is replaced keeps its owner and its mode, but for OwnerAlone.
enum class Readers {
    AsTheUmaskSays,
    OwnerAtFirst,  ///< 0600, until the owner shares it
    OwnerAlone,    ///< 0600, and the caller's, whatever is replaced: for secrets
};

/// What happens to a file that stands at the target: it is replaced, or it is EEXIST, even when it comes in
/// the last moment.
enum class Existing { Replaced, Kept };

/// Puts BYTES at PATH, whole or not at all, and on the disk before it returns. See OutputFile.
void store_file(const std::string& path, ByteView bytes, Readers readers = Readers::AsTheUmaskSays,
                Existing existing = Existing::Replaced);

/// A file about to be stored. open() finds out what can be known beforehand; write() fills an unnamed file in
/// the same folder and flushes it; commit() gives it its name, by a rename where it replaces a file, and
/// flushes the folder. On any failure before that the target is absent or unchanged, and no temporary stays.
/// A process killed in between may leave one, with its lock gone: the next store to the same target removes
/// it. Where the file system has unnamed files and nothing is replaced, there is none to be left.
class OutputFile {
  public:
    /// Follows symbolic links to the target (of OwnerAlone a link itself is replaced), and reserves SIZE
    /// octets where the file system can. Throws the system's code: no folder, not writable, disk full, not a
    /// regular file.
    static OutputFile open(const std::string& path, std::size_t size,
                           Readers readers = Readers::AsTheUmaskSays, Existing existing = Existing::Replaced);

    OutputFile(OutputFile&& other) noexcept;
    OutputFile& operator=(OutputFile&&) = delete;
    ~OutputFile();

    /// Once. Throws the system's code.
    void write(ByteView bytes);
    /// Once, after write(). Throws the system's code.
    void commit();
    void store(ByteView bytes) {
        write(bytes);
        commit();
    }

  private:
    OutputFile() = default;
    void flush_folder() const;

    std::string path_;            ///< as given, for messages
    std::string name_;            ///< of the target in its folder
    std::string temporary_name_;  ///< in the folder; empty while it has none
    int folder_ = -1;             ///< descriptor
    int temporary_ = -1;          ///< descriptor; -1 where unnamed files are not supported
    std::uint32_t new_mode_ = 0;  ///< before the umask
    Existing existing_ = Existing::Replaced;
    std::optional<std::uint32_t> mode_;
    std::uint32_t owner_ = 0, group_ = 0;  ///< of the target that exists
};

/// Removes what killed processes have left in FOLDER, whichever file it was to become. What others are
/// writing there stays. Throws the system's code.
void remove_unfinished(const std::string& folder);

/// Takes the file at PATH away, and flushes its folder. One that is not there is no failure. Throws the
/// system's code.
void remove_file(const std::string& path);

}  // namespace ctlsign
