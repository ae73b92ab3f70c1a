#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

#include <pkcs11/pin.hpp>

namespace ctlsign::pkcs11 {

namespace {
std::size_t page_size() {
    return static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}
}  // namespace

void wipe_memory(std::span<char> memory) noexcept {
    explicit_bzero(memory.data(), memory.size());
}

Pin Pin::take(std::span<char> text) {
    if (text.size() > kMaxSize) {
        wipe_memory(text);
        throw std::length_error("a PIN or passphrase has at most 255 octets");
    }
    Pin pin;
    if (text.empty()) return pin;
    void* page = mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        wipe_memory(text);
        throw std::bad_alloc();
    }
    // A process may be allowed no locked memory at all; then the page can be swapped, but still never dumped.
    (void)mlock(page, page_size());
    (void)madvise(page, page_size(), MADV_DONTDUMP);
    (void)madvise(page, page_size(), MADV_WIPEONFORK);
    pin.page_ = static_cast<char*>(page);
    pin.size_ = text.size();
    std::memcpy(pin.page_, text.data(), text.size());
    wipe_memory(text);
    return pin;
}

Pin::Pin(Pin&& other) noexcept
    : page_(std::exchange(other.page_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Pin& Pin::operator=(Pin&& other) noexcept {
    if (this != &other) {
        wipe();
        page_ = std::exchange(other.page_, nullptr);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

Pin::~Pin() {
    wipe();
}

void Pin::wipe() noexcept {
    if (page_ == nullptr) return;
    wipe_memory({page_, page_size()});
    munmap(page_, page_size());
    page_ = nullptr;
    size_ = 0;
}

}  // namespace ctlsign::pkcs11
