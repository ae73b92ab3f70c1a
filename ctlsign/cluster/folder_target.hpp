#pragma once

#include <string>

#include <ctlsign/cluster/target.hpp>
#include <pkcs11/store.hpp>

namespace ctlsign::cluster {

/// A folder that a TFTP service serves.
class FolderTarget final : public Target {
  public:
    /// Throws ENOENT or ENOTDIR when FOLDER is none.
    explicit FolderTarget(const std::string& folder);

    std::optional<Bytes> load() override;
    void prepare(const std::optional<Bytes>& octets) override;
    void switch_over() override;
    void go_back() override;

  private:
    std::string file_;
    std::optional<OutputFile> next_, before_;  ///< written and flushed, without a name
};

}  // namespace ctlsign::cluster
