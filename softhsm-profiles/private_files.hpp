#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace ctlsign::softhsm {

/// Makes the folder, and those above it, for the user alone (0700) when it is not there yet.
void make_private_folder(const std::filesystem::path& folder);

/// Writes a file for the user alone (0600), whole or not at all: beside it first, then renamed.
void write_private_file(const std::filesystem::path& file, std::string_view content);

/// A new folder in FOLDER, removed with all that is in it at the end of the scope.
class StagingFolder {
  public:
    explicit StagingFolder(const std::filesystem::path& folder);
    ~StagingFolder();
    StagingFolder(const StagingFolder&) = delete;
    StagingFolder& operator=(const StagingFolder&) = delete;
    const std::filesystem::path& path() const noexcept { return path_; }

  private:
    std::filesystem::path path_;
};

}  // namespace ctlsign::softhsm
