#include <charconv>
#include <string>

#include <softhsm-profiles/locked_file.hpp>
#include <softhsm-profiles/module/pin_counter.hpp>

namespace ctlsign::virtual_token {

using softhsm::LockedFile;

namespace {

// A counter that cannot be read is one that nobody may log in with.
unsigned decode_left(const std::string& text, unsigned maximum) {
    if (text.empty()) return maximum;
    unsigned left = 0;
    std::from_chars(text.data(), text.data() + text.size(), left);
    return left;
}

void write_left(LockedFile& file, unsigned left) {
    file.write(std::to_string(left) + '\n');
}

}  // namespace

PinCounter::PinCounter(std::filesystem::path file, unsigned maximum)
    : file_(std::move(file)), maximum_(maximum) {}

unsigned PinCounter::left() const {
    return maximum_ == 0 ? 0 : decode_left(softhsm::read_locked(file_), maximum_);
}

CK_RV PinCounter::spend(const std::function<CK_RV()>& login) {
    if (maximum_ == 0) return login();
    LockedFile file(file_);
    const unsigned left = decode_left(file.read(), maximum_);
    if (left == 0) return CKR_PIN_LOCKED;
    write_left(file, left - 1);
    const CK_RV rv = login();
    if (rv == CKR_OK) {
        write_left(file, maximum_);
    } else if (rv != CKR_PIN_INCORRECT) {
        write_left(file, left);
    }
    return rv;
}

void PinCounter::reset() {
    if (maximum_ == 0) return;
    LockedFile file(file_);
    write_left(file, maximum_);
}

}  // namespace ctlsign::virtual_token
