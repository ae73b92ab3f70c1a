#pragma once

#include <asio/ip/tcp.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <ctlsign/tvs/tls.hpp>
#include <pkcs11/bytes.hpp>

struct ssl_ctx_st;
struct ssl_st;

namespace ctlsign::tvs {

/// Private: OpenSSL's context for one side of many connections. It checks no certificates: a server of this
/// protocol is trusted by its very certificate, which the caller compares.
class TlsContext {
  public:
    /// Throws Error with sast::Errc::KeyMismatch or UnsupportedKey.
    static TlsContext server(const TlsIdentity& identity, const TlsPolicy& policy);
    /// IDENTITY may be null: not every server asks.
    static TlsContext client(const TlsIdentity* identity, const TlsPolicy& policy);
    ssl_ctx_st* get() const noexcept { return context_.get(); }

  private:
    explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
    struct Free {
        void operator()(ssl_ctx_st* context) const noexcept;
    };
    std::unique_ptr<ssl_ctx_st, Free> context_;
};

/// Private: TLS on a socket that does not block. Each call does what can be done now and says what it waits
/// for.
class TlsStream {
  public:
    enum class Side { Server, Client };
    enum class Progress { Done, WantRead, WantWrite, Closed, Failed };

    TlsStream(asio::ip::tcp::socket socket, const TlsContext& context, Side side);

    Progress handshake();
    Progress read(std::span<std::uint8_t> into, std::size_t& count);
    Progress write(ByteView from, std::size_t& count);
    /// Tells the peer that this is the end, if it takes the word at once, and closes.
    void close() noexcept;

    asio::ip::tcp::socket& socket() noexcept { return socket_; }
    /// Nothing when the peer has shown none, or one that cannot be read.
    std::optional<sast::Certificate> peer_certificate() const;
    std::string version() const;                                      ///< "TLSv1.3"
    const std::string& problem() const noexcept { return problem_; }  ///< behind Failed

  private:
    Progress progress(int result);
    struct Free {
        void operator()(ssl_st* stream) const noexcept;
    };
    asio::ip::tcp::socket socket_;
    std::unique_ptr<ssl_st, Free> stream_;
    Side side_;
    bool shaken_ = false;
    std::string problem_;
};

}  // namespace ctlsign::tvs
