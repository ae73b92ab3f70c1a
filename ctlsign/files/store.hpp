#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <pkcs11/bytes.hpp>

namespace ctlsign {

/// The octets of a file, and when it was last modified (Unix seconds; nothing for a pipe).
struct LoadedFile {
    Bytes bytes;
    std::optional<std::int64_t> modified;
};

/// Reads the file or pipe at PATH. More than LIMIT octets are Errc::Oversized, and a file that says so is not
/// read at all. Throws the system's code for a folder, a missing or an unreadable file. An empty one is read.
LoadedFile load_file(const std::string& path, std::size_t limit);
/// The same from an open descriptor, which stays open; NAME is for messages.
LoadedFile load_descriptor(int descriptor, std::string_view name, std::size_t limit);

/// Who may read a file that was not there before; one that was keeps its mode.
enum class Readers { AsTheUmaskSays, OwnerAlone };

/// What happens to a file that stands at the target: it is replaced, or it is EEXIST, even when it comes in
/// the last moment.
enum class Existing { Replaced, Kept };

/// Puts BYTES at PATH, whole or not at all, and on the disk before it returns. See OutputFile.
void store_file(const std::string& path, ByteView bytes, Readers readers = Readers::AsTheUmaskSays,
                Existing existing = Existing::Replaced);

/// True when both paths lead to one existing file.
bool same_file(const std::string& a, const std::string& b) noexcept;

/// A file about to be stored. open() finds out what can be known beforehand; write() fills an unnamed file in
/// the same folder and flushes it; commit() names it, renames it to its target, and flushes the folder. On
/// any failure before the rename the target is absent or unchanged, and no temporary stays. A process killed
/// in between may leave one, with its lock gone: the next store to the same target removes it.
class OutputFile {
  public:
    /// Follows symbolic links to the target, keeps the mode of one that exists, and reserves SIZE octets
    /// where the file system can. Throws the system's code: no folder, not writable, disk full, not a regular
    /// file.
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

/// Takes the file at PATH away, and flushes its folder. One that is not there is no failure. Throws the
/// system's code.
void remove_file(const std::string& path);

}  // namespace ctlsign
