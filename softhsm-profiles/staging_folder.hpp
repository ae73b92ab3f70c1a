#pragma once

#include <filesystem>

namespace ctlsign::softhsm {

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
