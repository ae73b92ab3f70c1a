#pragma once

#include <memory>
#include <optional>

#include <ctlsign/cluster/state.hpp>

namespace ctlsign::cluster {

/// Where a node's TFTP service takes its CTL from. Every function throws the system's code of what it could
/// not reach or write.
class Target {
  public:
    virtual ~Target() = default;
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    /// What the node serves now; nothing when there is no file.
    virtual std::optional<Bytes> load() = 0;
    /// Puts OCTETS beside the file, flushed; nothing stands for no file. What is there stays as it is, and
    /// room to put it back is kept.
    virtual void prepare(const std::optional<Bytes>& octets) = 0;
    /// What was prepared takes the place of what was served, at once.
    virtual void switch_over() = 0;
    /// What was served when it was prepared takes its place again.
    virtual void go_back() = 0;

  protected:
    Target() = default;
};

/// Opens where NODE's files are: a folder, local or mounted, or one on a server (sftp://).
std::unique_ptr<Target> open_target(const Node& node);

}  // namespace ctlsign::cluster
