#include <cstdlib>
#include <new>

#include <bindings/c/argument.hpp>

namespace ctlsign::c {

void refuse_argument(const std::string& text) {
    throw Refusal(CTLSIGN_STATUS_ARGUMENT, text);
}

void FreeBytes::operator()(std::uint8_t* data) const noexcept {
    std::free(data);
}

Copy::Copy(ByteView bytes)
    : data_(static_cast<std::uint8_t*>(std::malloc(bytes.size() + 1))), size_(bytes.size()) {
    if (!data_) throw std::bad_alloc();
    std::copy(bytes.begin(), bytes.end(), data_.get());
    data_.get()[size_] = 0;
}

}  // namespace ctlsign::c

void ctlsign_bytes_free(ctlsign_bytes* bytes) {
    if (bytes == nullptr) return;
    std::free(bytes->data);
    *bytes = {};
}
