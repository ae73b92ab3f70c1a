#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

#include <softhsm-profiles/module/folder_watch.hpp>
#include <softhsm-profiles/virtual_plug.hpp>

namespace ctlsign::virtual_token {

namespace fs = std::filesystem;

namespace {
constexpr std::uint32_t kCame = IN_CREATE | IN_MOVED_TO;
constexpr std::uint32_t kWent = IN_DELETE | IN_MOVED_FROM;
}  // namespace

FolderWatch::FolderWatch(fs::path folder)
    : folder_(std::move(folder)), notices_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    if (!notices_) return;
    // Not IN_MODIFY: every line of the log would be an event.
    root_ = inotify_add_watch(notices_.get(), folder_.c_str(), kCame | kWent | IN_CLOSE_WRITE | IN_ONLYDIR);
    FolderChanges ignored;
    watch_readers(ignored);
    if (root_ < 0 || readers_ < 0) notices_ = {};
}

void FolderWatch::watch_reader(unsigned number, FolderChanges& changes) {
    const fs::path place = softhsm::link_of_reader(folder_, number).parent_path();
    const int watch = inotify_add_watch(notices_.get(), place.c_str(), kCame | kWent | IN_ONLYDIR);
    if (watch >= 0) reader_of_[watch] = number;
    changes.linked.insert(number);  // it may have come before the watch
}

void FolderWatch::watch_readers(FolderChanges& changes) {
    readers_ = inotify_add_watch(notices_.get(), (folder_ / "readers").c_str(), kCame | IN_ONLYDIR);
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(folder_ / "readers", code)) {
        if (const auto number = softhsm::find_reader_number(entry.path().filename().string()))
            watch_reader(*number, changes);
    }
}

FolderChanges FolderWatch::take() {
    FolderChanges changes;
    if (!notices_) {
        changes.everything = changes.faults = true;
        return changes;
    }
    alignas(inotify_event) std::array<char, 4096> events{};
    for (;;) {
        const ssize_t size = read(notices_.get(), events.data(), events.size());
        if (size <= 0) return changes;
        for (const char* at = events.data(); at < events.data() + size;) {
            const auto* event = reinterpret_cast<const inotify_event*>(at);
            at += sizeof *event + event->len;
            const std::string_view name(event->len > 0 ? event->name : "");
            if ((event->mask & IN_Q_OVERFLOW) != 0) {
                changes.everything = changes.faults = true;
            } else if ((event->mask & IN_IGNORED) != 0) {
                reader_of_.erase(event->wd);
            } else if (event->wd == root_) {
                if (name == "faults") changes.faults = true;
                if (name == "readers" && (event->mask & kCame) != 0) watch_readers(changes);
            } else if (event->wd == readers_) {
                if (const auto number = softhsm::find_reader_number(std::string(name)))
                    watch_reader(*number, changes);
            } else if (const auto reader = reader_of_.find(event->wd);
                       reader != reader_of_.end() && name == "token") {
                ((event->mask & kWent) != 0 ? changes.pulled : changes.linked).insert(reader->second);
            }
        }
    }
}

}  // namespace ctlsign::virtual_token
