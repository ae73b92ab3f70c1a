#pragma once

#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <ctlsign/simulator/fetched.hpp>
#include <pkcs11/error.hpp>

namespace ctlsign::simulator {

/// The addresses of HOST, at least one. Throws Error with the system's EHOSTUNREACH.
template <typename Protocol>
std::vector<typename Protocol::endpoint> resolve(asio::io_context& io, const std::string& host,
                                                 const std::string& port) {
    asio::error_code unknown;
    const auto found = typename Protocol::resolver(io).resolve(host, port, unknown);
    if (unknown || found.empty())
        throw Error(std::make_error_code(std::errc::host_unreachable), "looking for", host,
                    unknown.message());
    return {found.begin(), found.end()};
}

/// Private: where phones fetch their files from.
class Source {
  public:
    using Done = std::function<void(Fetched)>;

    /// "tftp://HOST[:69]", "http://HOST[:6970][/FOLDER]", or a folder. Throws std::invalid_argument, and the
    /// system's code when the host is not found.
    static std::unique_ptr<Source> open(asio::io_context& io, const std::string& where);

    virtual ~Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    /// DONE is called once, on the context that the source was opened with, and not before this returns.
    virtual void fetch(const std::string& name, Done done) = 0;

  protected:
    Source() = default;
};

}  // namespace ctlsign::simulator
