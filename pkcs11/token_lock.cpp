#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include <pkcs11/descriptor.hpp>
#include <pkcs11/error.hpp>
#include <pkcs11/private_files.hpp>
#include <pkcs11/token_lock.hpp>

namespace ctlsign::pkcs11 {

using namespace std::chrono_literals;

TokenLock::TokenLock(const Token& token) : name_(token.info().file_name()), text_(token.text()) {}

TokenLock::~TokenLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

void TokenLock::open() {
    if (descriptor_ >= 0 && process_ == getpid()) return;
    if (descriptor_ >= 0) ::close(descriptor_);
    const auto folder = user_state_folder() / "locks";
    make_private_folder(folder.parent_path());
    make_private_folder(folder);
    const auto file = folder / name_;
    descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (descriptor_ < 0) {
        throw Error(std::error_code(errno, std::generic_category()), "opening the lock", file.string(),
                    "set XDG_STATE_HOME to a folder that can be written");
    }
    process_ = getpid();
    depth_ = 0;
}

TokenLock::Hold TokenLock::hold(std::chrono::milliseconds wait, const std::function<void()>& on_pause) {
    open();
    const auto deadline = std::chrono::steady_clock::now() + wait;
    const auto lock = [this] { return flock(descriptor_, LOCK_EX | LOCK_NB); };
    for (auto pause = 1ms; depth_ == 0 && retry(lock) != 0; pause = std::min(pause * 2, 100ms)) {
        if (errno != EWOULDBLOCK) {
            throw Error(std::error_code(errno, std::generic_category()), "locking", text_,
                        "XDG_STATE_HOME must be on a file system that has locks");
        }
        if (std::chrono::steady_clock::now() >= deadline) {
            throw Error(Errc::TokenInUse, "waiting for", text_, "try again when it is done");
        }
        if (on_pause) on_pause();
        std::this_thread::sleep_for(pause);
    }
    ++depth_;
    return Hold(*this);
}

void TokenLock::release() noexcept {
    // A child that unwinds what its parent held has nothing to give back.
    if (process_ == getpid() && depth_ > 0 && --depth_ == 0) flock(descriptor_, LOCK_UN);
}

}  // namespace ctlsign::pkcs11
