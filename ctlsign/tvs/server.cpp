#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <asio/any_io_executor.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ip/v6_only.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <atomic>
#include <mutex>
#include <stop_token>
#include <thread>
#include <unordered_map>
#include <utility>

#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/text.hpp>
#include <ctlsign/tvs/guests.hpp>
#include <ctlsign/tvs/server.hpp>
#include <ctlsign/tvs/tls_stream.hpp>
#include <pkcs11/signals_blocked.hpp>

namespace ctlsign::tvs {

namespace {

using asio::ip::tcp;
using namespace std::chrono_literals;

}  // namespace

std::string to_text(const Endpoint& endpoint) {
    return endpoint.address.find(':') == std::string::npos
               ? fmt::format("{}:{}", endpoint.address, endpoint.port)
               : fmt::format("[{}]:{}", endpoint.address, endpoint.port);
}

std::string to_text(const Counters& c) {
    return fmt::format(
        "connections={} open={} over-limit={} over-address-limit={} handshakes={} handshakes-failed={} "
        "valid={} "
        "invalid={} malformed={} timed-out={}",
        c.accepted, c.open, c.over_limit, c.over_address_limit, c.handshakes, c.handshakes_failed, c.valid,
        c.invalid, c.malformed, c.timed_out);
}

class Server::Implementation {
  public:
    Implementation(Options options, std::shared_ptr<const CertificateStore> store, Log log);
    ~Implementation() { stop(); }
    Implementation(const Implementation&) = delete;
    Implementation& operator=(const Implementation&) = delete;

    // Whoever comes second returns when all is done, too.
    void stop() {
        std::call_once(stopped_, [this] { finish(); });
    }
    void replace(std::shared_ptr<const CertificateStore> store) {
        const std::scoped_lock lock(current_);
        store_ = std::move(store);
    }
    void replace(const TlsIdentity& identity) {
        auto fresh = std::make_shared<const TlsContext>(TlsContext::server(identity, options_.policy));
        const std::scoped_lock lock(current_);
        context_ = std::move(fresh);
    }
    std::vector<Endpoint> endpoints() const;
    Counters counters() const;

  private:
    class Listener;
    class Connection;

    void finish();
    void turn_away(Guests::Full full, const tcp::endpoint& peer);
    void log(Severity severity, std::string_view line) {
        const std::scoped_lock lock(logging_);
        log_(severity, line);
    }
    std::shared_ptr<const CertificateStore> store() const {
        const std::scoped_lock lock(current_);
        return store_;
    }
    std::shared_ptr<const TlsContext> context() const {
        const std::scoped_lock lock(current_);
        return context_;
    }

    const Options options_;
    const Log log_;
    std::mutex logging_;
    mutable std::mutex current_;  // of what can be replaced
    std::shared_ptr<const CertificateStore> store_;
    std::shared_ptr<const TlsContext> context_;
    struct {
        std::atomic<std::uint64_t> accepted{0}, over_limit{0}, over_address_limit{0}, handshakes{0},
            handshakes_failed{0}, valid{0}, invalid{0}, malformed{0}, timed_out{0};
    } count_;
    Guests guests_;
    Crowds crowds_;
    std::atomic<bool> stopping_{false};
    std::once_flag stopped_;

    std::mutex registry_;
    std::unordered_map<Connection*, std::weak_ptr<Connection>> connections_;

    asio::io_context io_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::vector<std::jthread> threads_;  // last: they end before what they use
};

// One connection: a handshake, then requests one after the other. All of it runs on its own strand.
class Server::Implementation::Connection : public std::enable_shared_from_this<Connection> {
  public:
    Connection(Implementation& server, tcp::socket socket, Guests::Seat seat, const tcp::endpoint& peer)
        : server_(server),
          seat_(std::move(seat)),
          strand_(socket.get_executor()),
          context_(server.context()),
          stream_(std::move(socket), *context_, TlsStream::Side::Server),
          deadline_(strand_),
          peer_(to_text(Endpoint{peer.address().to_string(), peer.port()})) {}
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        const std::scoped_lock lock(server_.registry_);
        server_.connections_.erase(this);
    }

    void start() {
        {
            const std::scoped_lock lock(server_.registry_);
            server_.connections_.emplace(this, weak_from_this());
        }
        asio::post(strand_, [self = shared_from_this()] {
            self->set_deadline(self->server_.options_.limits.handshake);
            self->guarded_drive();
        });
    }
    /// Ends it now unless an answer is under way.
    void stop_when_idle() {
        asio::post(strand_, [self = shared_from_this()] {
            if (self->state_ != State::Writing) self->close();
        });
    }
    void stop_now() {
        asio::post(strand_, [self = shared_from_this()] { self->close(); });
    }

  private:
    enum class State { Handshake, Reading, Writing, Closed };

    void set_deadline(std::chrono::milliseconds time) {
        deadline_.expires_after(time);
        deadline_.async_wait([self = shared_from_this()](const asio::error_code& code) {
            if (code || self->state_ == State::Closed ||
                self->deadline_.expiry() > std::chrono::steady_clock::now())
                return;
            if (self->state_ != State::Reading || !self->input_.empty()) {
                ++self->server_.count_.timed_out;
                self->warn(self->state_ == State::Handshake ? "handshake too slow" : "request too slow");
            }
            self->close();
        });
    }

    void warn(std::string_view problem) {
        server_.log(Severity::Warning, fmt::format("{} {}", peer_, problem));
    }

    void close() {
        if (state_ == State::Closed) return;
        state_ = State::Closed;
        deadline_.cancel();
        stream_.close();
    }

    // No connection takes the server with it.
    void guarded_drive() {
        try {
            drive();
        } catch (const std::exception& error) {
            warn(error.what());
            close();
        }
    }

    void drive() {
        while (state_ != State::Closed) {
            const auto progress = state_ == State::Handshake ? shake_hands()
                                  : state_ == State::Reading ? read()
                                                             : write();
            if (progress == TlsStream::Progress::Done) {
                if (state_ != State::Reading || !input_.empty()) continue;
                // Whoever has the next request ready all the time still waits for everybody's turn.
                asio::post(strand_, [self = shared_from_this()] { self->guarded_drive(); });
                return;
            }
            if (progress == TlsStream::Progress::WantRead || progress == TlsStream::Progress::WantWrite) {
                const auto what = progress == TlsStream::Progress::WantRead ? tcp::socket::wait_read
                                                                            : tcp::socket::wait_write;
                stream_.socket().async_wait(what, [self = shared_from_this()](const asio::error_code& code) {
                    if (!code) self->guarded_drive();
                });
                return;
            }
            note_broken(progress);
            close();
        }
    }

    // A client that has its answers may go as it likes.
    void note_broken(TlsStream::Progress how) {
        const bool half_a_request = state_ == State::Reading && !input_.empty();
        if (half_a_request) ++server_.count_.malformed;
        if (!half_a_request && state_ != State::Writing) return;
        warn(fmt::format("{} in the middle of {}",
                         how == TlsStream::Progress::Closed ? "closed" : stream_.problem(),
                         half_a_request ? "a request" : "an answer"));
    }

    TlsStream::Progress shake_hands() {
        const auto progress = stream_.handshake();
        if (progress == TlsStream::Progress::Done) {
            ++server_.count_.handshakes;
            expect_request();
        } else if (progress == TlsStream::Progress::Failed || progress == TlsStream::Progress::Closed) {
            ++server_.count_.handshakes_failed;
            warn(fmt::format("handshake failed: {}", progress == TlsStream::Progress::Closed
                                                         ? "the client closed the connection"
                                                         : stream_.problem()));
        }
        return progress;
    }

    void expect_request() {
        state_ = State::Reading;
        input_.clear();
        input_.shrink_to_fit();  // most connections are idle
        wanted_ = kHeaderLength;
        set_deadline(server_.options_.limits.idle);
        if (server_.stopping_) close();
    }

    TlsStream::Progress read() {
        const std::size_t had = input_.size();
        input_.resize(wanted_);
        std::size_t count = 0;
        const auto progress = stream_.read(std::span(input_).subspan(had), count);
        input_.resize(had + (progress == TlsStream::Progress::Done ? count : 0));
        if (progress != TlsStream::Progress::Done) return progress;
        if (had == 0) {
            began_ = std::chrono::steady_clock::now();
            set_deadline(server_.options_.limits.request);
        }
        if (input_.size() == wanted_) take_input();
        return progress;
    }

    void take_input() {
        try {
            if (wanted_ == kHeaderLength) {
                wanted_ = message_size(input_);
                if (wanted_ > server_.options_.limits.message)
                    throw DecodeError(8, fmt::format("a request of {} octets is too large", wanted_));
                if (wanted_ > kHeaderLength) return;
            }
            answer(decode(input_));
        } catch (const Error& error) {
            ++server_.count_.malformed;
            warn(error.what());
            close();
        }
    }

    void answer(const Message& request) {
        if (request.type() != MessageType::VerifyRequest && request.type() != MessageType::QueryRequest)
            throw DecodeError(2, fmt::format("{} is no request", to_text(request.type())));
        auto source = CertificateStore::Source::Nowhere;
        const Message response = server_.store()->respond(request, source);
        log_query(request, response, source);
        output_ = encode(response);
        written_ = 0;
        state_ = State::Writing;
    }

    void log_query(const Message& request, const Message& response, CertificateStore::Source source) {
        const auto* query = std::get_if<QueryRequest>(&request.body);
        const Answer& answer = query != nullptr
                                   ? static_cast<const Answer&>(std::get<QueryResponse>(response.body))
                                   : std::get<VerifyResponse>(response.body);
        const bool valid = answer.status == Status::Valid;
        ++(valid ? server_.count_.valid : server_.count_.invalid);
        std::string subject;
        if (query != nullptr) {
            subject = fmt::format("issuer=\"{}\" serial={}", printable(query->issuer), to_hex(query->serial));
        } else {
            const auto& verify = std::get<VerifyRequest>(request.body);
            const std::array<ByteView, 1> whole{verify.certificate};
            subject = fmt::format("certificate-sha256={}", to_hex(compute_digest(Digest::Sha256, whole)));
        }
        const std::string& device =
            query != nullptr ? query->device : std::get<VerifyRequest>(request.body).device;
        const auto took = std::chrono::steady_clock::now() - began_;
        server_.log(
            Severity::Information,
            fmt::format("{} {} device=\"{}\" {} {} roles={} source={} {} {} us", peer_,
                        to_text(request.type()), printable(device), subject, valid ? "valid" : "invalid",
                        to_text(std::span(answer.roles)), to_text(source), stream_.version(),
                        std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
    }

    TlsStream::Progress write() {
        std::size_t count = 0;
        const auto progress = stream_.write(ByteView(output_).subspan(written_), count);
        if (progress != TlsStream::Progress::Done) return progress;
        written_ += count;
        if (written_ == output_.size()) {
            output_ = {};
            expect_request();
        }
        return progress;
    }

    Implementation& server_;
    const Guests::Seat seat_;
    tcp::socket::executor_type strand_;
    std::shared_ptr<const TlsContext> context_;
    TlsStream stream_;
    asio::steady_timer deadline_;
    const std::string peer_;
    State state_ = State::Handshake;
    Bytes input_, output_;
    std::size_t wanted_ = 0, written_ = 0;
    std::chrono::steady_clock::time_point began_;
};

// One address and port. What it accepts beyond the limits is closed before a key is touched.
class Server::Implementation::Listener {
  public:
    Listener(Implementation& server, const Endpoint& endpoint)
        : server_(server), acceptor_(asio::make_strand(server.io_)), pause_(acceptor_.get_executor()) {
        try {
            asio::error_code none;
            const auto address = asio::ip::make_address(endpoint.address, none);
            if (none)
                throw Error(std::make_error_code(std::errc::invalid_argument), "listening", to_text(endpoint),
                            "a numeric address is needed");
            const tcp::endpoint local(address, endpoint.port);
            acceptor_.open(local.protocol());
            acceptor_.set_option(tcp::acceptor::reuse_address(true));
            if (local.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(true));
            acceptor_.bind(local);
            acceptor_.listen();
        } catch (const Error&) {
            throw;
        } catch (const std::system_error& error) {
            throw Error(std::error_code(error.code().value(), std::system_category()), "listening",
                        to_text(endpoint), "");
        }
    }

    void accept() {
        const asio::any_io_executor strand = asio::make_strand(server_.io_);
        acceptor_.async_accept(strand, [this](const asio::error_code& code, tcp::socket socket) {
            if (code == asio::error::operation_aborted || server_.stopping_) return;
            if (code) {
                wait_for_descriptors(code);
                return;
            }
            admit(std::move(socket));
            accept();
        });
    }
    /// Only asks for it: done on its strand, by a thread of the server, perhaps after this returns.
    void stop() {
        asio::post(acceptor_.get_executor(), [this] {
            asio::error_code ignored;
            acceptor_.close(ignored);
            pause_.cancel();
        });
    }
    Endpoint endpoint() const {
        const tcp::endpoint local = acceptor_.local_endpoint();
        return {local.address().to_string(), local.port()};
    }

  private:
    // Out of descriptors, most of all: those who are connected go on, newcomers wait.
    void wait_for_descriptors(const asio::error_code& code) {
        server_.log(Severity::Warning,
                    fmt::format("cannot accept connections for a moment: {}", code.message()));
        pause_.expires_after(100ms);
        pause_.async_wait([this](const asio::error_code& cancelled) {
            if (!cancelled && !server_.stopping_) accept();
        });
    }

    void admit(tcp::socket socket) {
        ++server_.count_.accepted;
        asio::error_code gone;
        const tcp::endpoint peer = socket.remote_endpoint(gone);
        if (gone) return;
        auto entered = server_.guests_.enter(site_of(peer.address()));
        if (const auto* full = std::get_if<Guests::Full>(&entered)) return server_.turn_away(*full, peer);
        try {
            std::make_shared<Connection>(server_, std::move(socket),
                                         std::move(std::get<Guests::Seat>(entered)), peer)
                ->start();
        } catch (const std::exception& error) {
            server_.log(Severity::Warning, fmt::format("{} {}", peer.address().to_string(), error.what()));
        }
    }

    Implementation& server_;
    tcp::acceptor acceptor_;
    asio::steady_timer pause_;
};

Server::Implementation::Implementation(Options options, std::shared_ptr<const CertificateStore> store,
                                       Log log)
    : options_(std::move(options)),
      log_(std::move(log)),
      store_(std::move(store)),
      context_(std::make_shared<const TlsContext>(TlsContext::server(options_.identity, options_.policy))),
      guests_(options_.limits) {
    for (const Endpoint& endpoint : options_.endpoints)
        listeners_.push_back(std::make_unique<Listener>(*this, endpoint));
    for (const auto& listener : listeners_) listener->accept();
    const SignalsBlocked blocked;
    for (unsigned i = 0; i < std::max(1U, options_.threads); ++i) {
        threads_.emplace_back([this](const std::stop_token& stop) {
            // Where stop() did not come to its end, or the next thread could not be started.
            const std::stop_callback end(stop, [this] { io_.stop(); });
            io_.run();
        });
    }
}

// Whoever was turned away has no other line in the log.
void Server::Implementation::turn_away(Guests::Full full, const tcp::endpoint& peer) {
    const bool everywhere = full == Guests::Full::Everywhere;
    ++(everywhere ? count_.over_limit : count_.over_address_limit);
    const std::string site = everywhere ? std::string() : site_of(peer.address());
    const std::uint64_t closed = crowds_.turn_away(site, std::chrono::steady_clock::now());
    if (closed == 0) return;
    const std::string what = fmt::format(
        "{} closed before TLS", closed == 1 ? "a connection" : fmt::format("{} connections", closed));
    log(Severity::Warning,
        everywhere ? fmt::format("{}: {} are open (--max-connections)", what, options_.limits.connections)
                   : fmt::format("{} {}: {} of this address are open (--max-per-address)", site, what,
                                 options_.limits.per_address));
}

void Server::Implementation::finish() {
    stopping_ = true;
    for (const auto& listener : listeners_) listener->stop();
    const auto each = [this](void (Connection::*action)()) {
        std::vector<std::shared_ptr<Connection>> open;
        {
            const std::scoped_lock lock(registry_);
            for (const auto& [key, connection] : connections_) {
                if (auto alive = connection.lock()) open.push_back(std::move(alive));
            }
        }
        for (const auto& connection : open) ((*connection).*action)();
    };
    each(&Connection::stop_when_idle);
    // Answers under way keep the threads busy until they are written, or until patience ends.
    const auto end = std::chrono::steady_clock::now() + options_.limits.stop;
    while (guests_.count() > 0 && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(5ms);
    each(&Connection::stop_now);
    for (std::jthread& thread : threads_) thread.join();
}

std::vector<Endpoint> Server::Implementation::endpoints() const {
    std::vector<Endpoint> bound;
    for (const auto& listener : listeners_) bound.push_back(listener->endpoint());
    return bound;
}

Counters Server::Implementation::counters() const {
    return {count_.accepted,   count_.over_limit,        count_.over_address_limit,
            count_.handshakes, count_.handshakes_failed, count_.valid,
            count_.invalid,    count_.malformed,         count_.timed_out,
            guests_.count()};
}

Server::Server(Options options, std::shared_ptr<const CertificateStore> store, Log log)
    : implementation_(
          std::make_unique<Implementation>(std::move(options), std::move(store), std::move(log))) {}

Server::~Server() = default;

void Server::stop() {
    implementation_->stop();
}

void Server::replace(std::shared_ptr<const CertificateStore> store) {
    implementation_->replace(std::move(store));
}

void Server::replace(const TlsIdentity& identity) {
    implementation_->replace(identity);
}

std::vector<Endpoint> Server::endpoints() const {
    return implementation_->endpoints();
}

Counters Server::counters() const {
    return implementation_->counters();
}

}  // namespace ctlsign::tvs
