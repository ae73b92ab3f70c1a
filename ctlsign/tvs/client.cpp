#include <asio/steady_timer.hpp>
#include <utility>

#include <ctlsign/tvs/client.hpp>
#include <ctlsign/tvs/exchange.hpp>
#include <pkcs11/error.hpp>

namespace ctlsign::tvs {

namespace {

using asio::ip::tcp;

class Conversation : public std::enable_shared_from_this<Conversation> {
  public:
    Conversation(asio::io_context& io, std::shared_ptr<const TlsContext> context, const Message& request,
                 Trust trust, std::function<void(Exchange)> done)
        : socket_(io),
          deadline_(io),
          context_(std::move(context)),
          trust_(std::move(trust)),
          done_(std::move(done)),
          id_(request.id),
          expected_(request.type() == MessageType::VerifyRequest ? MessageType::VerifyResponse
                                                                 : MessageType::QueryResponse) {
        exchange_.request = encode(request);
    }

    void start(const tcp::endpoint& server, std::chrono::milliseconds patience) {
        deadline_.expires_after(patience);
        deadline_.async_wait([self = shared_from_this()](const asio::error_code& code) {
            if (!code) self->finish("it takes too long");
        });
        socket_.async_connect(server, [self = shared_from_this()](const asio::error_code& code) {
            if (self->finished_) return;
            if (code) return self->finish(code.message());
            try {
                self->stream_.emplace(std::move(self->socket_), *self->context_, TlsStream::Side::Client);
            } catch (const std::exception& error) {
                return self->finish(error.what());
            }
            self->exchange_.end = Exchange::End::NoHandshake;
            self->drive();
        });
    }

  private:
    enum class State { Handshake, Writing, Reading };

    // A later end than the one that was reached so far is set by whoever comes there.
    void finish(std::string problem) {
        if (std::exchange(finished_, true)) return;
        deadline_.cancel();
        exchange_.problem = std::move(problem);
        asio::error_code ignored;
        if (stream_) {
            exchange_.tls_version = stream_->version();
            stream_->close();
        } else {
            socket_.close(ignored);
        }
        done_(std::move(exchange_));
    }

    void drive() {
        while (!finished_) {
            const auto progress = state_ == State::Handshake ? shake_hands()
                                  : state_ == State::Writing ? write()
                                                             : read();
            if (progress == TlsStream::Progress::Done) continue;
            if (progress == TlsStream::Progress::WantRead || progress == TlsStream::Progress::WantWrite) {
                const auto what = progress == TlsStream::Progress::WantRead ? tcp::socket::wait_read
                                                                            : tcp::socket::wait_write;
                stream_->socket().async_wait(what, [self = shared_from_this()](const asio::error_code& code) {
                    if (!code) self->drive();
                });
                return;
            }
            finish(progress == TlsStream::Progress::Closed ? "the server closed the connection"
                                                           : stream_->problem());
        }
    }

    TlsStream::Progress shake_hands() {
        const auto progress = stream_->handshake();
        if (progress != TlsStream::Progress::Done) return progress;
        exchange_.server = stream_->peer_certificate();
        if (!exchange_.server || !trust_(*exchange_.server)) {
            exchange_.end = Exchange::End::NotTrusted;
            finish("its certificate is not trusted");
            return progress;
        }
        exchange_.end = Exchange::End::NoAnswer;
        state_ = State::Writing;
        return progress;
    }

    TlsStream::Progress write() {
        std::size_t count = 0;
        const auto progress = stream_->write(ByteView(exchange_.request).subspan(written_), count);
        if (progress != TlsStream::Progress::Done) return progress;
        written_ += count;
        if (written_ == exchange_.request.size()) state_ = State::Reading;
        return progress;
    }

    TlsStream::Progress read() {
        Bytes& input = exchange_.response;
        const std::size_t had = input.size();
        input.resize(wanted_);
        std::size_t count = 0;
        const auto progress = stream_->read(std::span(input).subspan(had), count);
        input.resize(had + (progress == TlsStream::Progress::Done ? count : 0));
        if (progress == TlsStream::Progress::Done && input.size() == wanted_) take_input();
        return progress;
    }

    void take_input() {
        try {
            if (wanted_ == kHeaderLength) {
                wanted_ = message_size(exchange_.response);
                if (wanted_ > kHeaderLength) return;
            }
            const Message response = decode(exchange_.response);
            exchange_.end = Exchange::End::Malformed;
            if (response.id != id_) return finish("the answer has the id of another question");
            if (response.type() != expected_) return finish("the answer is of another type");
            exchange_.answer = response.type() == MessageType::VerifyResponse
                                   ? static_cast<const Answer&>(std::get<VerifyResponse>(response.body))
                                   : std::get<QueryResponse>(response.body);
            exchange_.end = Exchange::End::Answered;
            finish("");
        } catch (const Error& error) {
            exchange_.end = Exchange::End::Malformed;
            finish(error.what());
        }
    }

    tcp::socket socket_;
    asio::steady_timer deadline_;
    const std::shared_ptr<const TlsContext> context_;
    const Trust trust_;
    const std::function<void(Exchange)> done_;
    const std::uint32_t id_;
    const MessageType expected_;
    std::optional<TlsStream> stream_;
    State state_ = State::Handshake;
    std::size_t wanted_ = kHeaderLength, written_ = 0;
    bool finished_ = false;
    Exchange exchange_;
};

}  // namespace

std::string_view to_text(Exchange::End end) noexcept {
    switch (end) {
        case Exchange::End::NotConnected:
            return "not-connected";
        case Exchange::End::NoHandshake:
            return "no-handshake";
        case Exchange::End::NotTrusted:
            return "not-trusted";
        case Exchange::End::NoAnswer:
            return "no-answer";
        case Exchange::End::Malformed:
            return "malformed";
        case Exchange::End::Answered:
            return "answered";
    }
    return "unknown";
}

void start_exchange(asio::io_context& io, const tcp::endpoint& server,
                    std::shared_ptr<const TlsContext> context, const Message& request, Trust trust,
                    std::chrono::milliseconds patience, std::function<void(Exchange)> done) {
    std::make_shared<Conversation>(io, std::move(context), request, std::move(trust), std::move(done))
        ->start(server, patience);
}

Exchange ask(const Endpoint& server, const Message& request, const Trust& trust,
             const ClientOptions& options) {
    asio::io_context io;
    asio::error_code unknown;
    const auto found = tcp::resolver(io).resolve(server.address, std::to_string(server.port), unknown);
    Exchange result;
    result.request = encode(request);
    if (unknown) {
        result.problem = unknown.message();
        return result;
    }
    const auto context =
        std::make_shared<const TlsContext>(TlsContext::client(options.identity, options.policy));
    for (const auto& entry : found) {
        start_exchange(io, entry.endpoint(), context, request, trust, options.patience,
                       [&result](Exchange exchange) { result = std::move(exchange); });
        io.restart();
        io.run();
        if (result.end != Exchange::End::NotConnected) break;  // of a name's addresses the first that listens
    }
    return result;
}

}  // namespace ctlsign::tvs
