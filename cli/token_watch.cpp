#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <mutex>

#include <cli/terminal.hpp>
#include <cli/token.hpp>
#include <cli/token_access.hpp>
#include <cli/token_report.hpp>
#include <ctlsign/trustlist/text.hpp>
#include <pkcs11/watcher.hpp>

namespace ctlsign::cli {

namespace {

struct TokenWatchOptions {
    TokenOptions token;
    Format format = Format::AsText;
};

// A counter that wakes a poll(); also from a signal handler.
class Wake {
  public:
    Wake() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    }
    ~Wake() { close(descriptor_); }
    Wake(const Wake&) = delete;
    Wake& operator=(const Wake&) = delete;

    void wake() const noexcept {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = write(descriptor_, &one, sizeof one);
    }
    void clear() const noexcept {
        std::uint64_t count = 0;
        [[maybe_unused]] const auto taken = read(descriptor_, &count, sizeof count);
    }
    pollfd to_poll() const noexcept { return {.fd = descriptor_, .events = POLLIN, .revents = 0}; }

  private:
    int descriptor_;
};

// SIGINT and SIGTERM wake instead of ending the process, as long as this lives. One at a time.
class StopSignals {
  public:
    StopSignals() {
        target = &wake_;
        struct sigaction action {};
        action.sa_handler = [](int) {
            const int saved = errno;
            target->wake();
            errno = saved;
        };
        sigaction(SIGINT, &action, &interrupt_);
        sigaction(SIGTERM, &action, &terminate_);
    }
    ~StopSignals() {
        sigaction(SIGINT, &interrupt_, nullptr);
        sigaction(SIGTERM, &terminate_, nullptr);
    }
    StopSignals(const StopSignals&) = delete;
    StopSignals& operator=(const StopSignals&) = delete;
    const Wake& wake() const noexcept { return wake_; }

  private:
    static inline const Wake* target = nullptr;
    Wake wake_;
    struct sigaction interrupt_ {
    }, terminate_{};
};

struct Line {
    std::chrono::system_clock::time_point time;
    pkcs11::Watcher::Event event;
};

std::string to_text(const Line& line, Format format) {
    const auto time =
        format_utc(std::chrono::duration_cast<std::chrono::seconds>(line.time.time_since_epoch()).count());
    const auto& token = line.event.token;
    const char* change = line.event.change == pkcs11::Watcher::Change::Arrived ? "arrived" : "left";
    if (format == Format::AsJson) {
        const Json json{{"event", change}, {"time", time}, {"token", to_json(token)}};
        return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
    }
    return fmt::format("{} {:<7} {}, slot {} of {}\n", time, change, token.text(),
                       static_cast<unsigned long>(token.slot()), token.module()->path());
}

ExitCode run(const TokenWatchOptions& options) {
    const auto modules = find_tokens(options.token, std::nullopt).modules;
    if (modules.empty())
        throw Error(pkcs11::Errc::ModuleNotLoaded, "looking for", "a PKCS#11 module",
                    "name one with --module");
    const StopSignals stop;
    const Wake told;
    std::mutex mutex;
    std::vector<Line> lines;
    const pkcs11::Watcher watcher(modules, [&](const pkcs11::Watcher::Event& event) {
        const std::scoped_lock lock(mutex);
        lines.push_back({std::chrono::system_clock::now(), event});
        told.wake();
    });
    for (;;) {
        std::array waiting{stop.wake().to_poll(), told.to_poll()};
        if (poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "poll");
        told.clear();
        std::vector<Line> now;
        {
            const std::scoped_lock lock(mutex);
            now.swap(lines);
        }
        for (const Line& line : now) print(to_text(line, options.format));
        if ((waiting[0].revents & POLLIN) != 0) return ExitCode::Done;
    }
}

}  // namespace

void add_token_watch(Command parent, Action& action) {
    const auto options = std::make_shared<TokenWatchOptions>();
    Command command = add_command(
        parent, "watch",
        "Tell of tokens as they arrive and leave, until interrupted; a line each, with --json an object each",
        "ctlsign token watch --json");
    add_module_option(command, options->token);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
