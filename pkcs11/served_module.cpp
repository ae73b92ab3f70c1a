#include <fcntl.h>
#include <fmt/format.h>
#include <p11-kit/p11-kit.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <pkcs11/backoff.hpp>
#include <pkcs11/descriptor.hpp>
#include <pkcs11/error.hpp>
#include <pkcs11/served_module.hpp>
#include <pkcs11/signals_blocked.hpp>

extern char** environ;

namespace ctlsign::pkcs11 {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

constexpr const char* kClient = "p11-kit-client.so";
constexpr const char* kAddress = "P11_KIT_SERVER_ADDRESS";
constexpr auto kTurn = std::chrono::seconds(10);  // a client connects within moments

[[noreturn]] void fail(const char* failed, std::string_view what) {
    throw Error(std::error_code(errno, std::generic_category()), failed, what, "");
}

// Where only this user can connect. A path of a socket has at most 107 octets.
fs::path runtime_folder() {
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    return runtime != nullptr && *runtime == '/' && std::strlen(runtime) < 60 ? runtime : "/tmp";
}
fs::path choose_folder(const fs::path& runtime) {
    std::string pattern = runtime / "ctlsign-XXXXXX";
    // The name is taken and given back: the folder is there only while a client connects.
    if (mkdtemp(pattern.data()) == nullptr) fail("making a folder in", pattern);
    rmdir(pattern.c_str());
    return pattern;
}

std::string address_of(const fs::path& socket) {
    return "unix:path=" + socket.string();
}

// A socket in a folder of its own, both gone at the end of the scope.
class Listener {
  public:
    explicit Listener(const fs::path& folder)
        : folder_(folder), socket_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        // Children of one parent share a client, and where it looks: one connects after the other.
        for (Backoff backoff(kTurn); mkdir(folder.c_str(), 0700) != 0;) {
            const int error = errno;
            if (error == EEXIST && backoff.pause()) continue;
            errno = error;
            fail("making the folder", folder.string());
        }
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = (folder / "p").string();
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        if (!socket_ || bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
            listen(socket_.get(), 1) != 0) {
            const int error = errno;
            rmdir(folder.c_str());
            errno = error;
            fail("listening on", path);
        }
    }
    ~Listener() {
        unlink((folder_ / "p").c_str());
        rmdir(folder_.c_str());
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    // The client's connection; none when STOP is written to first.
    Descriptor accept_before(int stop) const {
        std::array<pollfd, 2> waiting{pollfd{socket_.get(), POLLIN, 0}, pollfd{stop, POLLIN, 0}};
        while (poll(waiting.data(), waiting.size(), -1) < 0 && errno == EINTR) {
        }
        if ((waiting[0].revents & POLLIN) == 0) return {};
        return Descriptor(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }

  private:
    fs::path folder_;
    Descriptor socket_;
};

// Of what the whole process has: the environment, and the clients that nobody uses.
std::mutex& clients_mutex() {
    static auto* mutex = new std::mutex;
    return *mutex;
}

// Readable when PROCESS has ended. (glibc 2.36 declares pidfd_open for C alone.)
Descriptor open_process(pid_t process) {
    return Descriptor(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
}

// Starts COMMAND with its standard input and output at DESCRIPTOR. Gives 0 when that fails.
pid_t start(const std::vector<std::string>& command, int descriptor) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, descriptor, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, descriptor, STDOUT_FILENO);
    // With the client's end of the connection it would never see us go.
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<char*> arguments;
    arguments.reserve(command.size() + 1);
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    pid_t process = 0;
    if (posix_spawnp(&process, arguments[0], &actions, &attributes, arguments.data(), environ) != 0)
        process = 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return process;
}

}  // namespace

// What there is of a connection in one process. A thread of its own watches the deadlines and the process:
// this process holds the other end of the connection too, so that the client would not see it end.
struct ServedModule::Connection {
    const pid_t owner = getpid();
    mutable std::mutex mutex;
    std::map<unsigned long, Clock::time_point> calls;  // that run, and when they must have ended
    unsigned long next = 0;
    Descriptor socket;  // ours of the client's connection, to cut it with
    pid_t process = 0;
    Descriptor process_end;               // readable when the process has ended
    const Descriptor wake = make_wake();  // there is something new for the watcher
    bool late = false, stopping = false;
    std::thread watcher;

    static Descriptor make_wake() {
        Descriptor made(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!made) fail("eventfd", "the process of a module");
        return made;
    }

    // Only with the mutex held.
    void cut() {
        if (socket) shutdown(socket.get(), SHUT_RDWR);
        if (process > 0) kill(process, SIGKILL);
    }
    void notify() const {
        constexpr std::uint64_t kOne = 1;
        (void)!write(wake.get(), &kOne, sizeof kOne);
    }

    void watch() {
        std::unique_lock lock(mutex);
        while (!stopping) {
            // Calls begin in the order of their numbers and all may take equally long.
            int left = -1;
            if (!calls.empty()) {
                const auto time =
                    std::chrono::ceil<std::chrono::milliseconds>(calls.begin()->second - Clock::now());
                left = static_cast<int>(std::max<std::chrono::milliseconds::rep>(time.count(), 0));
            }
            std::array<pollfd, 2> waiting{pollfd{wake.get(), POLLIN, 0},
                                          pollfd{process_end.get(), POLLIN, 0}};
            lock.unlock();
            (void)poll(waiting.data(), waiting.size(), left);
            std::uint64_t ignored = 0;
            (void)!read(wake.get(), &ignored, sizeof ignored);
            lock.lock();
            if ((waiting[1].revents & POLLIN) != 0) {
                cut();
                process_end = {};
            }
            if (!calls.empty() && Clock::now() >= calls.begin()->second) {
                late = true;
                cut();
                calls.clear();
            }
        }
    }

    ~Connection() {
        {
            const std::scoped_lock lock(mutex);
            stopping = true;
            cut();
            notify();
        }
        if (watcher.joinable()) watcher.join();
        while (process > 0 && waitpid(process, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
};

ServedModule::ServedModule(std::vector<std::string> command, std::chrono::milliseconds deadline)
    : command_(std::move(command)), deadline_(deadline) {}

ServedModule::~ServedModule() {
    if (connection_ != nullptr && connection_->owner == getpid()) delete connection_;
    if (client_.functions == nullptr || initialized_) return;
    const std::scoped_lock lock(clients_mutex());
    idle_clients().push_back(std::move(client_));
}

// A client cannot be unloaded as long as there is another: what was finalized is used again.
std::vector<ServedModule::Client>& ServedModule::idle_clients() {
    static auto* clients = new std::vector<Client>;
    return *clients;
}

CK_FUNCTION_LIST* ServedModule::load_client() {
    const std::scoped_lock lock(clients_mutex());
    const fs::path runtime = runtime_folder();
    auto& idle = idle_clients();
    const auto known =
        std::ranges::find(idle, runtime, [](const Client& client) { return client.folder.parent_path(); });
    if (known != idle.end()) {
        client_ = std::move(*known);
        idle.erase(known);
        return client_.functions;
    }
    client_.folder = choose_folder(runtime);
    // p11-kit's client reads its address from the environment when it is loaded, once for each time.
    const char* before = std::getenv(kAddress);
    const std::string kept = before != nullptr ? before : "";
    setenv(kAddress, address_of(client_.folder / "p").c_str(), 1);
    CK_FUNCTION_LIST* functions =
        p11_kit_module_load(kClient, P11_KIT_MODULE_UNMANAGED | P11_KIT_MODULE_CRITICAL);
    const char* reason = functions == nullptr ? p11_kit_message() : nullptr;
    if (before != nullptr) {
        setenv(kAddress, kept.c_str(), 1);
    } else {
        unsetenv(kAddress);
    }
    if (functions == nullptr) {
        throw Error(Errc::ModuleNotLoaded, "loading", kClient,
                    reason != nullptr ? reason : "it belongs to the package p11-kit-modules");
    }
    client_.functions = functions;
    return functions;
}

CK_RV ServedModule::connect(const std::function<CK_RV()>& initialize) {
    if (Connection* before = std::exchange(connection_, nullptr);
        before != nullptr && before->owner == getpid())
        delete before;
    auto* connection = connection_ = new Connection;
    std::optional<Listener> listener(std::in_place, client_.folder);
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe2", command_.front());
    const Descriptor stop(ends[0]), stopped(ends[1]);
    auto blocked = std::make_optional<SignalsBlocked>();
    // First, since it needs no join here when the other one cannot be started.
    connection->watcher = std::thread([connection] { connection->watch(); });
    // The client connects within C_Initialize and waits there for the first octet of the process.
    std::thread starting([&] {
        Descriptor socket = listener->accept_before(stop.get());
        listener.reset();  // the next one's turn
        if (!socket) return;
        const pid_t process = start(command_, socket.get());
        const std::scoped_lock lock(connection->mutex);
        connection->socket = std::move(socket);
        connection->process = process;
        if (process == 0) connection->cut();
        if (process != 0) connection->process_end = open_process(process);
        connection->notify();
    });
    blocked.reset();
    CK_RV rv = CKR_OK;
    {
        const Call call(this);
        rv = initialize();
    }
    (void)!write(stopped.get(), "", 1);
    starting.join();
    initialized_ = rv == CKR_OK;
    return rv;
}

ServedModule::Call::Call(ServedModule* module) : module_(module) {
    if (module_ == nullptr || module_->connection_ == nullptr) return;
    Connection& connection = *module_->connection_;
    const std::scoped_lock lock(connection.mutex);
    number_ = connection.next++;
    connection.calls.emplace(number_, Clock::now() + module_->deadline_);
    if (connection.calls.size() == 1) connection.notify();
}

ServedModule::Call::~Call() {
    if (module_ == nullptr || module_->connection_ == nullptr) return;
    Connection& connection = *module_->connection_;
    const std::scoped_lock lock(connection.mutex);
    connection.calls.erase(number_);
}

std::string ServedModule::find_fault(CK_RV rv) const {
    if (connection_ == nullptr) return {};
    // What p11-kit's client answers when nobody is there. The end of the connection is seen a little before
    // the end of the process.
    if (rv != CKR_DEVICE_ERROR && rv != CKR_DEVICE_REMOVED) return fault();
    std::string found;
    for (int i = 0; i < 20 && (found = fault()).empty(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return found;
}

std::string ServedModule::fault() const {
    const std::scoped_lock lock(connection_->mutex);
    if (connection_->late) {
        return fmt::format("it did not answer within {} s, and its process was ended",
                           std::chrono::ceil<std::chrono::seconds>(deadline_).count());
    }
    if (connection_->process == 0) return fmt::format("{} could not be started", command_.front());
    siginfo_t state{};
    const bool ended =
        waitid(P_PID, static_cast<id_t>(connection_->process), &state, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        state.si_pid == connection_->process;
    return ended ? "its process has ended" : "";
}

}  // namespace ctlsign::pkcs11
