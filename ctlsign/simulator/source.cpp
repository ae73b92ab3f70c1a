#include <algorithm>
#include <array>
#include <asio/ip/tcp.hpp>
#include <asio/ip/udp.hpp>
#include <asio/post.hpp>
#include <asio/read.hpp>
#include <asio/steady_timer.hpp>
#include <asio/streambuf.hpp>
#include <asio/write.hpp>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <ctlsign/files/load.hpp>
#include <ctlsign/limits.hpp>
#include <ctlsign/simulator/http_answer.hpp>
#include <ctlsign/simulator/source.hpp>
#include <ctlsign/trustlist/model.hpp>

namespace ctlsign::simulator {

namespace {

using asio::ip::tcp;
using asio::ip::udp;

// A host and a port of "HOST:PORT/REST".
struct Place {
    std::string host, port, rest;
};

Place parse_place(std::string_view text, std::string port) {
    Place place{{}, std::move(port), {}};
    const std::size_t slash = std::min(text.find('/'), text.size());
    place.rest = text.substr(slash);
    text = text.substr(0, slash);
    const std::size_t bracket = text.find(']');
    const std::size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
    place.host = text.substr(0, colon);
    if (colon != std::string_view::npos) place.port = text.substr(colon + 1);
    if (place.host.starts_with('[') && place.host.ends_with(']'))
        place.host = place.host.substr(1, place.host.size() - 2);
    if (place.host.empty() || place.port.empty())
        throw std::invalid_argument("no host or no port in the address");
    return place;
}

class FolderSource final : public Source {
  public:
    FolderSource(asio::io_context& io, std::string folder) : io_(io), folder_(std::move(folder)) {}

    void fetch(const std::string& name, Done done) override {
        asio::post(io_, [path = folder_ + '/' + name, done = std::move(done)] {
            Fetched fetched;
            try {
                fetched.octets = load_file(path, kMaxFileSize).bytes;
            } catch (const Error& error) {
                if (error.code() != std::errc::no_such_file_or_directory) fetched.problem = error.what();
            }
            done(std::move(fetched));
        });
    }

  private:
    asio::io_context& io_;
    std::string folder_;
};

// A server of several addresses: the first that answers is asked from then on.
template <typename Protocol>
class NetworkSource : public Source {
  public:
    using Endpoint = typename Protocol::endpoint;

    void fetch(const std::string& name, Done done) override { ask(name, std::move(done), answering_, 1); }

  protected:
    NetworkSource(asio::io_context& io, const std::string& host, const std::string& port)
        : servers_(resolve<Protocol>(io, host, port)) {}

    virtual void fetch_from(const Endpoint& server, const std::string& name, Done done) = 0;

  private:
    void ask(const std::string& name, Done done, std::size_t server, std::size_t asked) {
        fetch_from(servers_[server], name, [=, this](Fetched fetched) {
            if (fetched.unanswered && asked < servers_.size())
                return ask(name, done, (server + 1) % servers_.size(), asked + 1);
            if (!fetched.unanswered) answering_ = server;
            done(std::move(fetched));
        });
    }

    const std::vector<Endpoint> servers_;
    std::size_t answering_ = 0;
};

// RFC 1350: a request from a port of its own, blocks of 512 octets, each acknowledged.
class TftpTransfer : public std::enable_shared_from_this<TftpTransfer> {
  public:
    TftpTransfer(asio::io_context& io, udp::endpoint server, Source::Done done)
        : socket_(io), timer_(io), server_(std::move(server)), done_(std::move(done)) {}

    void start(const std::string& name) {
        asio::error_code failed;  // no descriptor is left, most of all
        socket_.open(server_.protocol(), failed);
        if (!failed) socket_.bind(udp::endpoint(server_.protocol(), 0), failed);
        if (failed) {
            asio::post(socket_.get_executor(), [self = shared_from_this(), failed] {
                self->finish({{}, failed.message()});
            });
            return;
        }
        packet_ = {0, kReadRequest};
        packet_.insert(packet_.end(), name.begin(), name.end());
        constexpr std::string_view kMode("\0octet\0", 7);
        packet_.insert(packet_.end(), kMode.begin(), kMode.end());
        send();
        receive();
    }

  private:
    enum : std::uint8_t { kReadRequest = 1, kData = 3, kAcknowledgement = 4, kError = 5 };
    static constexpr std::size_t kBlock = 512, kHead = 4;
    static constexpr std::uint16_t kFileNotFound = 1;

    void send() {
        asio::error_code ignored;  // a packet that is lost is sent again
        socket_.send_to(asio::buffer(packet_), server_, 0, ignored);
        timer_.expires_after(limits::kTftpWait);
        timer_.async_wait([self = shared_from_this()](const asio::error_code& code) {
            if (code || self->finished_) return;
            if (++self->tries_ == limits::kTftpTries)
                return self->finish({{}, "the TFTP server is silent", self->expected_ == 1});
            self->send();
        });
    }

    void receive() {
        socket_.async_receive_from(
            asio::buffer(input_), from_,
            [self = shared_from_this()](const asio::error_code& code, std::size_t size) {
                if (self->finished_) return;
                if (code) return self->finish({{}, code.message()});
                self->take(ByteView(self->input_).first(size));
                if (!self->finished_) self->receive();
            });
    }

    void take(ByteView packet) {
        // The answer comes from a port of its own, and from nowhere else from then on.
        if (packet.size() < kHead || from_.address() != server_.address() ||
            (expected_ > 1 && from_ != server_))
            return;
        const auto number = static_cast<std::uint16_t>(packet[2] << 8U | packet[3]);
        if (packet[1] == kError) {
            return finish({{}, number == kFileNotFound ? std::string() : "the TFTP server refuses"});
        }
        if (packet[1] != kData || number != static_cast<std::uint16_t>(expected_)) return;
        server_ = from_;
        const ByteView data = packet.subspan(kHead);
        content_.insert(content_.end(), data.begin(), data.end());
        if (content_.size() > kMaxFileSize) return finish({{}, "the file is too large"});
        packet_ = {0, kAcknowledgement, packet[2], packet[3]};
        tries_ = 0;
        ++expected_;
        if (data.size() < kBlock) {
            asio::error_code ignored;
            socket_.send_to(asio::buffer(packet_), server_, 0, ignored);
            return finish({std::move(content_), {}});
        }
        send();
    }

    void finish(Fetched fetched) {
        finished_ = true;
        timer_.cancel();
        asio::error_code ignored;
        socket_.close(ignored);
        done_(std::move(fetched));
    }

    udp::socket socket_;
    asio::steady_timer timer_;
    udp::endpoint server_, from_;
    const Source::Done done_;
    Bytes packet_, content_;
    std::array<std::uint8_t, kHead + kBlock> input_{};
    std::uint32_t expected_ = 1;  // its low 16 bits are the number of the block
    std::size_t tries_ = 0;
    bool finished_ = false;
};

class TftpSource final : public NetworkSource<udp> {
  public:
    TftpSource(asio::io_context& io, const Place& place)
        : NetworkSource(io, place.host, place.port), io_(io) {}

  private:
    void fetch_from(const udp::endpoint& server, const std::string& name, Done done) override {
        std::make_shared<TftpTransfer>(io_, server, std::move(done))->start(name);
    }

    asio::io_context& io_;
};

// One GET a connection, as phones do on port 6970.
class HttpTransfer : public std::enable_shared_from_this<HttpTransfer> {
  public:
    HttpTransfer(asio::io_context& io, std::string request, Source::Done done)
        : socket_(io),
          timer_(io),
          request_(std::move(request)),
          input_(kMaxFileSize + limits::kHttpHead),
          done_(std::move(done)) {}

    void start(const tcp::endpoint& server) {
        timer_.expires_after(limits::kHttpTransfer);
        timer_.async_wait([self = shared_from_this()](const asio::error_code& code) {
            if (!code) self->finish({{}, "the HTTP server is silent"});
        });
        socket_.async_connect(server, [self = shared_from_this()](const asio::error_code& code) {
            if (code) return self->finish({{}, code.message(), true});
            asio::async_write(self->socket_, asio::buffer(self->request_),
                              [self](const asio::error_code& failed, std::size_t) {
                                  if (failed) return self->finish({{}, failed.message()});
                                  self->read();
                              });
        });
    }

  private:
    void read() {
        asio::async_read(socket_, input_,
                         [self = shared_from_this()](const asio::error_code& code, std::size_t) {
                             if (code != asio::error::eof)
                                 return self->finish({{}, code ? code.message() : "the file is too large"});
                             self->take();
                         });
    }

    void take() {
        finish(decode_http_answer({static_cast<const char*>(input_.data().data()), input_.size()}));
    }

    void finish(Fetched fetched) {
        if (std::exchange(finished_, true)) return;
        timer_.cancel();
        asio::error_code ignored;
        socket_.close(ignored);
        done_(std::move(fetched));
    }

    tcp::socket socket_;
    asio::steady_timer timer_;
    const std::string request_;
    asio::streambuf input_;
    const Source::Done done_;
    bool finished_ = false;
};

class HttpSource final : public NetworkSource<tcp> {
  public:
    HttpSource(asio::io_context& io, Place place)
        : NetworkSource(io, place.host, place.port), io_(io), place_(std::move(place)) {
        if (!place_.rest.ends_with('/')) place_.rest += '/';
    }

  private:
    void fetch_from(const tcp::endpoint& server, const std::string& name, Done done) override {
        std::make_shared<HttpTransfer>(io_,
                                       "GET " + place_.rest + name + " HTTP/1.0\r\nHost: " + place_.host +
                                           "\r\nConnection: close\r\n\r\n",
                                       std::move(done))
            ->start(server);
    }

    asio::io_context& io_;
    Place place_;
};

}  // namespace

std::unique_ptr<Source> Source::open(asio::io_context& io, const std::string& where) {
    constexpr std::string_view kTftp = "tftp://", kHttp = "http://";
    if (where.starts_with(kTftp))
        return std::make_unique<TftpSource>(io,
                                            parse_place(std::string_view(where).substr(kTftp.size()), "69"));
    if (where.starts_with(kHttp))
        return std::make_unique<HttpSource>(
            io, parse_place(std::string_view(where).substr(kHttp.size()), "6970"));
    if (where.find("://") != std::string::npos)
        throw std::invalid_argument("neither tftp:// nor http:// nor a folder");
    if (!std::filesystem::is_directory(where))
        throw Error(std::make_error_code(std::errc::not_a_directory), "fetching from", where, "");
    return std::make_unique<FolderSource>(io, where);
}

}  // namespace ctlsign::simulator
