#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ctlsign::tvs {

/// Which TVS servers there are, and which of them phones ask. TOML:
///   [[server]]  name, certificate (PEM), database (SQLite), ctl (FILE), tls10 = true, down = true
///   [[pool]]    name, servers = ["name", ...]
struct Plan {
    struct Server {
        std::string name, certificate, database, ctl;  ///< paths as written; empty: none
        bool speaks_tls10 = false, down = false;
    };
    std::vector<Server> servers;
    std::map<std::string, std::vector<std::string>, std::less<>> pools;

    /// NAME is for messages. Throws Errc::Malformed with the line.
    static Plan decode(std::string_view toml, std::string_view name);

    /// Indexes of the servers that a phone asks, nothing for one that is not in the plan: those of NAMES,
    /// else of POOL where the plan has pools, else all; at most three.
    std::vector<std::optional<std::size_t>> servers_of(std::string_view names, std::string_view pool) const;
};

/// What a phone's configuration holds.
inline constexpr std::size_t kServersOfAPhone = 3;

/// The names in a phone's list of TVS servers, with spaces, commas or semicolons between: the first three.
std::vector<std::string_view> split_servers(std::string_view names);
/// In any case.
bool same_server(std::string_view a, std::string_view b);

}  // namespace ctlsign::tvs
