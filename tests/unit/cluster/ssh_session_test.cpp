#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>

#include <ctlsign/cluster/ssh_session.hpp>
#include <pkcs11/descriptor.hpp>
#include <tests/support/code_of.hpp>

namespace ctlsign::cluster {
namespace {

using namespace std::chrono_literals;
using testing::code_of;

// On loopback: the one client that may wait to be let in does, so that another one hears nothing.
class FullServer {
  public:
    FullServer() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto* const its = reinterpret_cast<sockaddr*>(&address);
        socklen_t size = sizeof address;
        pollfd waits{listening_.get(), POLLIN, 0};
        if (::bind(listening_.get(), its, size) != 0 || ::listen(listening_.get(), 0) != 0 ||
            ::getsockname(listening_.get(), its, &size) != 0 || ::connect(first_.get(), its, size) != 0 ||
            ::poll(&waits, 1, -1) != 1) {
            throw std::runtime_error("no server on loopback");
        }
        port_ = std::to_string(ntohs(address.sin_port));
    }
    const std::string& port() const { return port_; }

  private:
    Descriptor listening_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)},
        first_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::string port_;
};

volatile std::sig_atomic_t interruptions = 0;

// Signals that interrupt whatever waits, again and again.
class Interruptions {
  public:
    Interruptions() {
        struct sigaction action {};
        action.sa_handler = [](int) { interruptions = interruptions + 1; };
        ::sigaction(SIGALRM, &action, &before_);
        const itimerval often{{0, 20'000}, {0, 20'000}};
        ::setitimer(ITIMER_REAL, &often, nullptr);
    }
    ~Interruptions() {
        const itimerval never{};
        ::setitimer(ITIMER_REAL, &never, nullptr);
        ::sigaction(SIGALRM, &before_, nullptr);
    }
    Interruptions(const Interruptions&) = delete;
    Interruptions& operator=(const Interruptions&) = delete;

  private:
    struct sigaction before_ {};
};

TEST(SftpSession, SignalsNeitherShortenNorLengthenTheWaitForAServer) {
    const FullServer server;
    const SftpAddress address{"ctl", "127.0.0.1", server.port(), "/"};
    const auto begin = std::chrono::steady_clock::now();
    {
        const Interruptions often;
        EXPECT_EQ(code_of([&] { SftpSession(address, {}, 500ms); }), std::errc::timed_out);
    }
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 500ms);
    EXPECT_GT(interruptions, 0);
}

}  // namespace
}  // namespace ctlsign::cluster
