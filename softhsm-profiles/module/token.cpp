#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include <pkcs11/file.hpp>
#include <softhsm-profiles/limits.hpp>
#include <softhsm-profiles/mechanism_names.hpp>
#include <softhsm-profiles/module/token.hpp>

namespace ctlsign::virtual_token {

namespace fs = std::filesystem;

Token::Token(const fs::path& folder, const std::string& name,
             std::chrono::system_clock::time_point plugged_since, SoftHsmPool& pool)
    : folder_(folder / "tokens" / name),
      profile_(softhsm::load_profile((folder_ / "profile.toml").string())),
      pin_counter_(folder_ / "pin-tries", profile_.pin.tries),
      plugged_since_(plugged_since),
      pool_(pool) {}

const SoftHsm& Token::start() {
    if (const SoftHsm* started = started_) return *started;
    const std::scoped_lock lock(mutex_);
    if (!softhsm_) softhsm_ = pool_.start(folder_ / "softhsm" / "softhsm2.conf");
    started_ = softhsm_.get();
    return *softhsm_;
}

bool Token::settled() const {
    return std::chrono::system_clock::now() >= plugged_since_ + profile_.behaviour.settle;
}

bool Token::offers(CK_MECHANISM_TYPE mechanism) const {
    const auto& names = profile_.key.mechanisms;
    return names.empty() || std::ranges::find(names, softhsm::find_mechanism_name(mechanism)) != names.end();
}

CK_RV Token::admit_session() const {
    const std::scoped_lock lock(mutex_);
    const bool busy = sessions_ == 0 && closed_ &&
                      std::chrono::steady_clock::now() < *closed_ + profile_.behaviour.busy_after_close;
    return busy ? CKR_SESSION_COUNT : CKR_OK;
}

void Token::count_opened_session() {
    const std::scoped_lock lock(mutex_);
    ++sessions_;
}

void Token::count_closed_session() {
    const std::scoped_lock lock(mutex_);
    if (--sessions_ == 0) closed_ = std::chrono::steady_clock::now();
}

bool Token::has_sessions() const {
    const std::scoped_lock lock(mutex_);
    return sessions_ > 0;
}

std::string Token::read_pin() const {
    const Bytes pin = read_file((folder_ / "user-pin").string(), limits::kUserPinFile);
    return std::string(as_text(pin));
}

Token::Turn Token::begin_operation(CK_SESSION_HANDLE session) {
    if (!profile_.behaviour.one_operation_at_a_time) return Turn::Begun;
    const std::scoped_lock lock(mutex_);
    if (operating_ == session) return Turn::Had;
    if (operating_ != CK_INVALID_HANDLE) return Turn::Busy;
    if (!operation_lock_) {
        operation_lock_ =
            Descriptor(open((folder_ / "in-use").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
    }
    // In a folder that cannot be written it is this process's affair alone.
    if (operation_lock_ && flock(operation_lock_.get(), LOCK_EX | LOCK_NB) != 0) return Turn::Busy;
    operating_ = session;
    return Turn::Begun;
}

void Token::end_operation(CK_SESSION_HANDLE session) {
    const std::scoped_lock lock(mutex_);
    if (operating_ != session) return;
    operating_ = CK_INVALID_HANDLE;
    flock(operation_lock_.get(), LOCK_UN);
}

}  // namespace ctlsign::virtual_token
