#include <asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include <ctlsign/tvs/exchange.hpp>

// usage: tvs_load PORT SECONDS AT_ONCE handshake|query
// Connections to a TLS server of this machine, one after the other in AT_ONCE lines; prints how many a second
// were done, and how many failed. A handshake alone, or a handshake and one query.
namespace {

using namespace ctlsign::tvs;
using Clock = std::chrono::steady_clock;

class Load {
  public:
    Load(const char* port, double seconds, const std::string& kind)
        : server_(asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(std::atoi(port))),
          context_(std::make_shared<const TlsContext>(TlsContext::client(nullptr, {}))),
          queries_(kind == "query"),
          begin_(Clock::now()),
          end_(begin_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds))) {
    }

    void run(int lines) {
        for (int i = 0; i < lines; ++i) next();
        io_.run();
        const std::chrono::duration<double> took = Clock::now() - begin_;
        std::printf("%.1f %llu\n", static_cast<double>(done_) / took.count(),
                    static_cast<unsigned long long>(failed_));
    }

  private:
    void next() {
        if (Clock::now() > end_) return;
        static const Message kQuery{
            1, 0, QueryRequest{"CP-8861-SEP000000000000", "CN=a", "CN=b", ctlsign::Bytes{1}}};
        // Who is not trusted is not asked: the handshake is all there is.
        start_exchange(
            io_, server_, context_, kQuery, [this](const auto&) { return queries_; },
            std::chrono::seconds(30),
            [this](const Exchange& exchange) {
                const bool good =
                    exchange.end == (queries_ ? Exchange::End::Answered : Exchange::End::NotTrusted);
                ++(good ? done_ : failed_);
                next();
            });
    }

    asio::io_context io_;
    const asio::ip::tcp::endpoint server_;
    const std::shared_ptr<const TlsContext> context_;
    const bool queries_;
    const Clock::time_point begin_, end_;
    unsigned long long done_ = 0, failed_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) return 2;
    Load(argv[1], std::atof(argv[2]), argv[4]).run(std::atoi(argv[3]));
}
