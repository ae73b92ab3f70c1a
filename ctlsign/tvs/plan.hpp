#pragma once

#include <map>
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

    /// Indexes of the servers that a phone asks: those of NAMES (a space between), else of POOL, else all; at
    /// most three, which is what a phone's configuration holds.
    std::vector<std::size_t> servers_of(std::string_view names, std::string_view pool) const;
};

}  // namespace ctlsign::tvs
