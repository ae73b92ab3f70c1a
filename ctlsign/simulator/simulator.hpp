#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/phone/inventory.hpp>
#include <ctlsign/tvs/client.hpp>

namespace ctlsign::simulator {

/// What a number of phones have, in a folder: phones.csv is an inventory, lists/ holds the lists by checksum.
/// The 24-hour cache needs no place in it: whatever fills it ends in a new list, which empties it.
class State {
  public:
    /// Reads FOLDER, which may not exist yet.
    static State load(std::string folder);

    phone::Inventory phones;
    phone::KnownLists lists;

    /// Throws the system's code.
    void store() const;

  private:
    std::string folder_;
};

struct Options {
    std::string source;  ///< tftp://HOST, http://HOST, or a folder
    std::vector<tvs::Endpoint>
        tvs_servers;  ///< for all phones, in order; empty: each has its own (Traits::tvs)
    const tvs::TlsIdentity* identity = nullptr;
    phone::ModelTable models = phone::ModelTable::shipped();
    std::chrono::milliseconds patience{30'000};  ///< for one TVS server
    std::chrono::sys_seconds now{};
};

/// Counts of one start of all phones.
struct Summary {
    std::size_t taken = 0, refused = 0, unchanged = 0;  ///< lists
    std::size_t queries = 0;                            ///< answers of TVS
    std::size_t failed = 0;                             ///< files that could not be fetched or read
    std::map<std::string, std::size_t> status;          ///< phones by their last status message
};

/// A line of a phone's log, or one of its status messages.
using Log = std::function<void(const std::string& phone, std::string_view line)>;

/// Starts all phones of STATE at once: CTL, ITL, configuration, each decided by the code that decides
/// everywhere. What they have then is in STATE; it is the caller's to store.
Summary start_phones(State& state, const Options& options, const Log& log);

}  // namespace ctlsign::simulator
