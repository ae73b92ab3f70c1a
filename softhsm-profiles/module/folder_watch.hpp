#pragma once

#include <filesystem>
#include <map>
#include <set>

#include <pkcs11/descriptor.hpp>

namespace ctlsign::virtual_token {

/// What happened in a folder of virtual tokens since somebody last asked.
struct FolderChanges {
    bool everything = false;    ///< it is not known what: look at all of it
    std::set<unsigned> linked;  ///< readers whose link was made, or made and removed
    std::set<unsigned> pulled;  ///< readers whose link was removed, whether or not there is a new one
    bool faults = false;

    bool none() const { return !everything && !faults && linked.empty() && pulled.empty(); }
};

/// The kernel's notices (inotify) about readers and faults. They are there before the call that caused them
/// returns, so that take() misses nothing. Where the kernel gives none, take() says "everything" each time.
/// Not for two threads at once.
class FolderWatch {
  public:
    explicit FolderWatch(std::filesystem::path folder);

    FolderChanges take();
    /// Readable when there is something to take; -1 without notices.
    int descriptor() const noexcept { return notices_.get(); }

  private:
    void watch_reader(unsigned number, FolderChanges& changes);
    void watch_readers(FolderChanges& changes);

    std::filesystem::path folder_;
    Descriptor notices_;
    int root_ = -1, readers_ = -1;
    std::map<int, unsigned> reader_of_;  // by watch descriptor
};

}  // namespace ctlsign::virtual_token
