#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include <cli/command.hpp>
#include <ctlsign/tvs/server.hpp>

namespace ctlsign::cli {

/// The subcommands of `tvs`, a file each.
void add_tvs_serve(Command parent, Action& action);
void add_tvs_query(Command parent, Action& action);
void add_tvs_import(Command parent, Action& action);

/// HOST, HOST:PORT, ADDRESS or [ADDRESS]:PORT. Throws UsageError.
tvs::Endpoint parse_endpoint(const std::string& text);

/// --allow-tls10 and --allow-small-keys.
void add_tls_options(Command command, tvs::TlsPolicy& policy);

/// Lets this process have WANTED files open, as far as it may; how many those are.
std::size_t allow_open_files(std::size_t wanted);

/// Certificates and key of one PEM file.
tvs::TlsIdentity load_identity(const std::string& path);

}  // namespace ctlsign::cli
