#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <pkcs11/descriptor.hpp>

namespace ctlsign::softhsm {

/// A small file of text, for the user alone, locked against other processes and threads (flock) for the life
/// of the object, and made when it is not there. Written in place, because a lock belongs to the file and not
/// to its name. Throws Error.
class LockedFile {
  public:
    explicit LockedFile(const std::filesystem::path& file);

    std::string read() const;
    void write(std::string_view content);

  private:
    std::filesystem::path file_;
    Descriptor fd_;
};

/// The text of such a file, empty when there is none. It is opened for reading only, and nobody who watches
/// it for changes is woken. Throws Error.
std::string read_locked(const std::filesystem::path& file);

}  // namespace ctlsign::softhsm
