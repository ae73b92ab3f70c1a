#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <softhsm-profiles/softhsm_module.hpp>
#include <tests/contract/token_kind.hpp>
#include <tests/support/child_process.hpp>
#include <tests/support/soft_tokens.hpp>

namespace ctlsign::testing::contract {

namespace {

// The socket is there before anybody listens, and a client that is refused shows no tokens for ever.
bool listens(const std::string& path) {
    const int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const bool accepted =
        connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(connection);
    return accepted;
}

/// SoftHSM2 in a process of its own, through p11-kit's remoting.
class Remote final : public TokenKind {
  public:
    void provision() override {
        tokens_.add("A", "plain-softhsm", key_name());
        const std::filesystem::path socket = tokens_.folder() / "p11-kit.socket";
        server_.emplace(std::vector<std::string>{"p11-kit", "server", "--foreground", "--provider",
                                                 softhsm::find_softhsm_module(), "--name", socket,
                                                 "pkcs11:"});
        for (int i = 0; !listens(socket); ++i) {
            if (i == 3000) throw std::runtime_error("p11-kit server does not start");
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        setenv("P11_KIT_SERVER_ADDRESS", ("unix:path=" + socket.string()).c_str(), 1);
    }
    std::shared_ptr<pkcs11::Module> open() override { return pkcs11::Module::open("p11-kit-client.so"); }
    std::string pin() const override { return tokens_.pin(); }
    void die() override { server_->kill_all(); }

  private:
    SoftTokens tokens_;
    std::optional<ChildProcess> server_;
};

}  // namespace

std::unique_ptr<TokenKind> make_remote() {
    return std::make_unique<Remote>();
}

}  // namespace ctlsign::testing::contract
