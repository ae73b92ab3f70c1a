#include <gtest/gtest.h>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <ctlsign/tvs/client.hpp>
#include <ctlsign/tvs/server.hpp>
#include <ctlsign/tvs/tls_stream.hpp>
#include <tests/support/krakow.hpp>

namespace ctlsign::tvs {
namespace {

namespace krakow = testing::krakow;
using asio::ip::tcp;

TlsIdentity identity() {
    return TlsIdentity::decode(
        testing::read_text(krakow::kPublisher + ".pem") + testing::read_text(krakow::kPublisher + ".key"),
        krakow::kPublisher);
}

const TlsPolicy kPolicy{OldTls::Refused, SmallKeys::Allowed};

std::unique_ptr<Server> make_server(unsigned threads) {
    Server::Options options{{{"127.0.0.1", 0}}, identity(), kPolicy, {}, threads};
    return std::make_unique<Server>(
        std::move(options),
        std::make_shared<const CertificateStore>(std::span<const DatabaseEntry>(), nullptr),
        [](Severity, std::string_view) {});
}

Exchange ask_about_nobody(const Endpoint& server) {
    return ask(server, {1, 0, QueryRequest{"SEP0", "CN=nobody", "CN=nobody", {1}}},
               [](const sast::Certificate&) { return true; }, {nullptr, kPolicy});
}

// Of every thread of this process: the mask of blocked signals, as the kernel writes it.
std::map<std::string, std::string> masks() {
    std::map<std::string, std::string> found;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream status(task.path() / "status");
        for (std::string word; status >> word;)
            if (word == "SigBlk:") status >> found[task.path().filename().string()];
    }
    return found;
}

TEST(Server, IsStoppedOnceByAnyNumberOfCalls) {
    const auto server = make_server(2);
    const Endpoint endpoint = server->endpoints().front();
    EXPECT_EQ(ask_about_nobody(endpoint).end, Exchange::End::Answered);
    {
        const std::jthread other([&] { server->stop(); });
        server->stop();
    }
    server->stop();
    EXPECT_EQ(server->counters().open, 0U);
    EXPECT_EQ(ask_about_nobody(endpoint).end, Exchange::End::NotConnected);
}

TEST(Server, LeavesSignalsToTheThreadsOfTheProgram) {
    const auto before = masks();
    const auto server = make_server(3);
    std::size_t own = 0;
    for (const auto& [thread, mask] : masks()) {
        if (before.contains(thread)) {
            EXPECT_EQ(mask, before.at(thread));
            continue;
        }
        ++own;
        // SIGKILL and SIGSTOP cannot be, and the C library keeps two of its own.
        const auto blocked = std::strtoull(mask.c_str(), nullptr, 16);
        for (const int signal : {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGCHLD, SIGUSR1})
            EXPECT_EQ(blocked >> (signal - 1) & 1U, 1U) << "thread " << thread << ", signal " << signal;
    }
    EXPECT_GE(own, 3U);  // ThreadSanitizer may have one of its own
}

TEST(TlsStream, APeerThatIsGoneIsAProblemAndNoSignal) {
    asio::io_context io;
    tcp::acceptor acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    tcp::socket socket(io);
    socket.connect(acceptor.local_endpoint());
    const TlsContext context = TlsContext::client(nullptr, kPolicy);
    TlsStream stream(std::move(socket), context, TlsStream::Side::Client);
    stream.socket().shutdown(tcp::socket::shutdown_send);
    EXPECT_EQ(stream.handshake(), TlsStream::Progress::Failed);
    EXPECT_EQ(stream.problem(), "Broken pipe");
}

}  // namespace
}  // namespace ctlsign::tvs
