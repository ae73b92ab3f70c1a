#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/limits.hpp>
#include <ctlsign/tvs/certificate_store.hpp>
#include <ctlsign/tvs/tls.hpp>

namespace ctlsign::tvs {

inline constexpr std::uint16_t kPort = 2445;

/// A numeric address and a port; port 0 is any that is free.
struct Endpoint {
    std::string address;
    std::uint16_t port = kPort;
};
std::string to_text(const Endpoint& endpoint);  ///< "[::1]:2445"

/// What a server bears; a connection that goes beyond it is closed.
struct Limits {
    std::size_t connections = limits::kTvsConnections;   ///< at once
    std::size_t per_address = limits::kTvsOfOneAddress;  ///< at once; of IPv6 a /64 is one address
    std::size_t message = limits::kTvsRequest;           ///< octets of a request
    std::chrono::milliseconds handshake{limits::kTvsHandshake};
    /// From its first octet to the last of its answer.
    std::chrono::milliseconds request{limits::kTvsAnswer};
    std::chrono::milliseconds idle{limits::kTvsIdle};  ///< between requests
    std::chrono::milliseconds stop{limits::kTvsStop};  ///< for answers under way when the server stops
};

/// Since the server was made.
struct Counters {
    std::uint64_t accepted = 0;
    std::uint64_t over_limit = 0, over_address_limit = 0;  ///< closed at once
    std::uint64_t handshakes = 0, handshakes_failed = 0;
    std::uint64_t valid = 0, invalid = 0;  ///< answers
    std::uint64_t malformed = 0, timed_out = 0;
    std::uint64_t open = 0;  ///< now
};
std::string to_text(const Counters& counters);  ///< one line

enum class Severity { Information, Warning };

/// Answers phones over TLS until it is stopped. What one connection does costs no other more than time. Its
/// threads take no signals, and a phone that goes away raises no SIGPIPE.
class Server {
  public:
    struct Options {
        std::vector<Endpoint> endpoints;
        TlsIdentity identity;
        TlsPolicy policy{};
        Limits limits{};
        unsigned threads = 1;
    };
    /// A line each, without a time; from any of its threads, one at a time.
    using Log = std::function<void(Severity, std::string_view)>;

    /// Listens at once. Throws the system's code naming the endpoint, and what TlsIdentity does not allow.
    Server(Options options, std::shared_ptr<const CertificateStore> store, Log log);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    /// Stops as stop() does.
    ~Server();

    /// No new connection; idle ones are closed, answers under way are finished. Returns when all is done;
    /// once it is, another call does nothing. Never from the log's function.
    void stop();

    /// For what is asked from now on.
    void replace(std::shared_ptr<const CertificateStore> store);
    /// For connections from now on. Throws as the constructor does, and keeps the one it has.
    void replace(const TlsIdentity& identity);

    std::vector<Endpoint> endpoints() const;  ///< as bound
    Counters counters() const;

  private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace ctlsign::tvs
