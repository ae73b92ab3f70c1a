#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <tests/contract/token_kind.hpp>
#include <tests/support/child_process.hpp>
#include <tests/support/data.hpp>

namespace ctlsign::testing::contract {

namespace {

void mount_at(const char* what, const char* where, const char* kind, unsigned long flags) {
    if (mount(what, where, kind, flags, nullptr) != 0)
        throw std::system_error(errno, std::generic_category(), std::string("mount ") + where);
}

/// opencryptoki's soft token. Its state belongs to the machine: this process gets folders and System V memory
/// of its own, with a token that nobody has used.
class OpenCryptoki final : public TokenKind {
  public:
    ~OpenCryptoki() override { stop_daemon(); }
    void provision() override {
        if (unshare(CLONE_NEWNS | CLONE_NEWIPC) != 0)
            throw std::system_error(errno, std::generic_category(), "unshare");
        for (const char* folder : {"/etc/opencryptoki", "/var/lib/opencryptoki", "/dev/shm", "/run"})
            mount_at("tmpfs", folder, "tmpfs", 0);
        for (const char* folder : {"/run/lock/opencryptoki/swtok", "/var/lib/opencryptoki/swtok/TOK_OBJ"})
            std::filesystem::create_directories(folder);
        std::ofstream("/etc/opencryptoki/opencryptoki.conf")
            << "version opencryptoki-3.1\nslot 0\n{\nstdll = libpkcs11_sw.so\n}\n";
        // Its files belong to this group, whose number must be known in a user namespace too.
        std::ofstream("/run/group") << "pkcs11:x:0:root\nroot:x:0:\n";
        mount_at("/run/group", "/etc/group", nullptr, MS_BIND);
        start_daemon();
        const std::string key = data_path(key_name());
        tool({"--init-token", "--slot-index", "0", "--label", "A", "--so-pin", kSoPin});
        tool({"--init-pin", "--login", "--login-type", "so", "--so-pin", kSoPin, "--pin", pin()});
        tool({"--login", "--pin", pin(), "--write-object", key + ".key", "--type", "privkey", "--id", "01"});
        tool({"--login", "--pin", pin(), "--write-object", key + ".pem", "--type", "cert", "--id", "01"});
    }
    std::string module_path() const override { return "libopencryptoki.so"; }
    std::string pin() const override { return "12345678"; }
    void restart_daemon() override {
        stop_daemon();
        start_daemon();
    }
    std::optional<pkcs11::PinTries> tries() override {
        switch (open()->tokens().at(0).info().pin) {
            case pkcs11::PinState::Good:
                return pkcs11::PinTries{3, 3};
            case pkcs11::PinState::CountLow:
                return pkcs11::PinTries{2, 3};
            case pkcs11::PinState::FinalTry:
                return pkcs11::PinTries{1, 3};
            case pkcs11::PinState::Locked:
                return pkcs11::PinTries{0, 3};
            case pkcs11::PinState::NotInitialized:
                break;
        }
        return std::nullopt;
    }

  private:
    static constexpr const char* kSoPin = "87654321";

    static void start_daemon() {
        run({"/usr/sbin/pkcsslotd"});
        // It goes on in the background, and gets ready there.
        for (int i = 0; ChildProcess(tool_command({"--show-info"})).wait() != 0; ++i) {
            if (i == 300) throw std::runtime_error("pkcsslotd does not start");
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    static void stop_daemon() {
        pid_t daemon = 0;
        if (std::ifstream("/run/pkcsslotd.pid") >> daemon) kill(daemon, SIGKILL);
    }
    static std::vector<std::string> tool_command(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"pkcs11-tool", "--module", "libopencryptoki.so.0"});
        return arguments;
    }
    static void tool(std::vector<std::string> arguments) { run(tool_command(std::move(arguments))); }
};

}  // namespace

std::unique_ptr<TokenKind> make_opencryptoki() {
    return std::make_unique<OpenCryptoki>();
}

}  // namespace ctlsign::testing::contract
