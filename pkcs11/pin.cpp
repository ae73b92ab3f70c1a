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

// What the page holds. A fork clears it in the child, so that the PIN is empty there and not a row of zeros.
struct Pin::Page {
    std::size_t size;
    char text[kMaxSize];
};

std::string_view Pin::reveal_secret() const noexcept {
    return page_ == nullptr ? std::string_view() : std::string_view(page_->text, page_->size);
}

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
    pin.page_ = new (page) Page{};
    pin.page_->size = text.size();
    std::memcpy(pin.page_->text, text.data(), text.size());
    wipe_memory(text);
    return pin;
}

Pin::Pin(Pin&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}

Pin& Pin::operator=(Pin&& other) noexcept {
    if (this != &other) {
        wipe();
        page_ = std::exchange(other.page_, nullptr);
    }
    return *this;
}

Pin::~Pin() {
    wipe();
}

void Pin::wipe() noexcept {
    if (page_ == nullptr) return;
    wipe_memory({reinterpret_cast<char*>(page_), page_size()});
    munmap(page_, page_size());
    page_ = nullptr;
}

}  // namespace ctlsign::pkcs11
