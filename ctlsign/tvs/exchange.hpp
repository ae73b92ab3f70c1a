#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <functional>
#include <memory>

#include <ctlsign/tvs/client.hpp>
#include <ctlsign/tvs/tls_stream.hpp>

namespace ctlsign::tvs {

/// Private: asks one server without waiting; DONE is called once, on IO.
void start_exchange(asio::io_context& io, const asio::ip::tcp::endpoint& server,
                    std::shared_ptr<const TlsContext> context, const Message& request, Trust trust,
                    std::chrono::milliseconds patience, std::function<void(Exchange)> done);

}  // namespace ctlsign::tvs
