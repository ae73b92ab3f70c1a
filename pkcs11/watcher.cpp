#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <utility>

#include <pkcs11/reader_events.hpp>
#include <pkcs11/signals_blocked.hpp>
#include <pkcs11/watched_module.hpp>
#include <pkcs11/watcher.hpp>

namespace ctlsign::pkcs11 {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kFastest = 20ms;  // between looks
constexpr auto kSlowest = 1s;
constexpr auto kCovered = 5s;   // where pcscd tells of every slot
constexpr int kIdleShare = 50;  // one part of the time for looking, as long as nothing happens
constexpr auto kAlert = 2s;     // after pcscd told of a change; modules need a while to see it too
constexpr auto kPatience = 2s;  // with a module that does not return
// Each wait for pcscd ends with a millisecond of work (pcsc-lite 1.9 polls without a pause for the last one),
// so there are no short ones; where a module is looked at often, pcscd is asked now and then.
constexpr auto kShortestWait = 100ms;
constexpr auto kLongestWait = 1s;
constexpr auto kAskReaders = 200ms;

}  // namespace

// What the thread works on. It outlives the watcher when a module does not let the thread go.
class Watcher::Worker {
  public:
    Worker(std::vector<std::shared_ptr<Module>> modules, Callback callback, std::stop_token stop)
        : callback_(std::move(callback)), forward_stop_(std::move(stop), [this] { request_stop(); }) {
        for (auto& module : modules) watched_.push_back({WatchedModule(std::move(module)), {}});
    }

    void run() {
        while (!stopped()) {
            auto next = Clock::now() + kLongestWait;
            for (Watched& watched : watched_) {
                if (watched.due <= Clock::now()) look(watched);
                if (stopped()) break;
                next = std::min(next, watched.due);
            }
            if (!stopped() && readers_changed(next)) {
                alert_until_ = Clock::now() + kAlert;
                for (Watched& watched : watched_) watched.due = {};
            }
        }
        readers_.disconnect();  // not in a forked child, whose connection it is too
        finished_.set_value();
    }

    void request_stop() noexcept {
        stop_.request_stop();
        readers_.cancel();
    }
    std::future<void> finished() { return finished_.get_future(); }
    /// In a call that may never return.
    bool away() const noexcept { return away_; }

  private:
    struct Watched {
        WatchedModule module;
        Clock::time_point due;
    };
    struct Told {
        const WatchedModule* by;
        Token token;
    };

    bool stopped() const noexcept { return stop_.stop_requested(); }

    auto while_away(auto call) {
        away_ = true;
        auto result = call();
        away_ = false;
        return result;
    }

    void look(Watched& watched) {
        auto left = while_away([&] { return watched.module.look(readers_); });
        tell(watched.module, std::move(left));
        const auto now = Clock::now();
        const auto cost = watched.module.cost();
        if (now < alert_until_) {
            watched.due = now + std::clamp<Clock::duration>(2 * cost, kFastest, kSlowest);
        } else if (watched.module.covered()) {
            watched.due = now + kCovered;
        } else {
            watched.due = now + std::clamp<Clock::duration>(kIdleShare * cost, kFastest, kSlowest);
        }
    }

    void tell(const WatchedModule& module, std::vector<Token> left) {
        for (Token& token : left) {
            const auto told = std::ranges::find_if(told_, [&](const Told& entry) {
                return entry.by == &module && entry.token.slot() == token.slot();
            });
            if (told == told_.end()) continue;
            told_.erase(told);
            call({Change::Left, std::move(token)});
        }
        // A token that another module shows too is told when the one that told it has lost it.
        for (Token& token : module.tokens()) {
            const bool known = std::ranges::any_of(told_, [&](const Told& entry) {
                return entry.by == &module ? entry.token.slot() == token.slot()
                                           : entry.token.info().same_token(token.info());
            });
            if (known) continue;
            told_.push_back({&module, token});
            call({Change::Arrived, std::move(token)});
        }
    }

    void call(const Event& event) const {
        if (!stopped()) callback_(event);
    }

    // Waits until then at most.
    bool readers_changed(Clock::time_point until) {
        if (!readers_.connected()) {
            if (while_away([&] { return readers_.connect(); })) return true;
            rest(until);
            return false;
        }
        const auto time = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
        if (time >= kShortestWait)
            return while_away(
                [&] { return readers_.wait(std::min<std::chrono::milliseconds>(time, kLongestWait)); });
        rest(until);
        if (Clock::now() < ask_readers_) return false;
        ask_readers_ = Clock::now() + kAskReaders;
        return while_away([&] { return readers_.wait(0ms); });
    }

    void rest(Clock::time_point until) {
        std::unique_lock lock(mutex_);
        idle_.wait_until(lock, stop_.get_token(), until, [] { return false; });
    }

    Callback callback_;
    std::stop_source stop_;
    std::atomic<bool> away_ = false;
    std::promise<void> finished_;
    std::mutex mutex_;
    std::condition_variable_any idle_;
    ReaderEvents readers_;
    // The thread's own:
    std::vector<Watched> watched_;
    std::vector<Told> told_;
    Clock::time_point alert_until_, ask_readers_;

    std::stop_callback<std::function<void()>> forward_stop_;  // last: it may call at once
};

Watcher::Watcher(std::vector<std::shared_ptr<Module>> modules, Callback callback, std::stop_token stop)
    : worker_(std::make_shared<Worker>(std::move(modules), std::move(callback), std::move(stop))),
      process_(getpid()) {
    const SignalsBlocked blocked;
    thread_ = std::make_unique<std::thread>([worker = worker_] { worker->run(); });
}

Watcher::~Watcher() {
    if (process_ != getpid()) {
        // The thread is the parent's, with its connection to pcscd: there is nothing to end here.
        (void)thread_.release();
        return;
    }
    const auto finished = worker_->finished();
    const auto patience = Clock::now() + kPatience;
    do {
        if (Clock::now() > patience && worker_->away()) {
            thread_->detach();
            return;
        }
        worker_->request_stop();  // again, for a wait that had not begun
    } while (finished.wait_for(kFastest) == std::future_status::timeout);
    thread_->join();
}

std::optional<Token> wait_for_token(std::vector<std::shared_ptr<Module>> modules,
                                    const std::function<bool(const Token&)>& wanted,
                                    std::chrono::steady_clock::time_point deadline, std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any came;
    std::optional<Token> found;
    std::stop_source enough;
    const auto take = [&](const Watcher::Event& event) {
        if (event.change != Watcher::Change::Arrived || !wanted(event.token)) return;
        const std::scoped_lock lock(mutex);
        found = event.token;
        enough.request_stop();
        came.notify_all();
    };
    const Watcher watcher(std::move(modules), take, enough.get_token());
    std::unique_lock lock(mutex);
    came.wait_until(lock, std::move(stop), deadline, [&] { return found.has_value(); });
    return found;
}

}  // namespace ctlsign::pkcs11
