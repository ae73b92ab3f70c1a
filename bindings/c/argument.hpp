#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <bindings/c/handle.hpp>
#include <bindings/c/status.hpp>
#include <pkcs11/bytes.hpp>

namespace ctlsign::c {

[[noreturn]] void refuse_argument(const std::string& text);

/// The object that HANDLE stands for. Throws Refusal (CTLSIGN_STATUS_HANDLE).
template <typename T>
std::shared_ptr<T> get_object(const T* handle) {
    auto object = std::dynamic_pointer_cast<T>(find_object(handle));
    if (!object) throw Refusal(CTLSIGN_STATUS_HANDLE, "the handle is not open, or of another kind");
    return object;
}

/// Where a result goes: zero until there is one.
template <typename T>
T& result(T* out, const char* name) {
    if (out == nullptr) refuse_argument(std::string(name) + " is NULL");
    return *out = T{};
}

inline const char* text(const char* given, const char* name) {
    if (given == nullptr) refuse_argument(std::string(name) + " is NULL");
    return given;
}

inline ByteView octets(const ctlsign_view& view, const char* name) {
    if (view.data == nullptr) refuse_argument(std::string(name) + " is NULL");
    return {view.data, view.size};
}
inline std::optional<ByteView> find_octets(const ctlsign_view& view) {
    if (view.data == nullptr) return std::nullopt;
    return ByteView(view.data, view.size);
}

template <typename T>
const T& element(std::span<const T> all, std::size_t index) {
    if (index >= all.size())
        refuse_argument("index " + std::to_string(index) + " of " + std::to_string(all.size()));
    return all[index];
}

/// The part of a struct that the caller knows, the rest at its default.
template <typename T>
T read_struct(const T* given, const char* name) {
    T known{};
    if (given == nullptr) refuse_argument(std::string(name) + " is NULL");
    const std::size_t size = given->size;
    if (size < sizeof size) refuse_argument(std::string(name) + "->size is not set");
    std::memcpy(&known, given, std::min(size, sizeof known));
    return known;
}

/// A struct that the caller wants filled: written as far as the caller knows it.
template <typename T>
class StructResult {
  public:
    StructResult(T* out, const char* name) : out_(out), size_(read_struct(out, name).size) { write(T{}); }
    void write(T value) const noexcept {
        value.size = size_;
        std::memcpy(out_, &value, std::min(size_, sizeof value));
    }

  private:
    T* out_;
    std::size_t size_;
};

/// Views of what lives on: the library never hands out null for octets that are there.
inline ctlsign_view view(ByteView bytes) noexcept {
    static constexpr std::uint8_t kNone = 0;
    return {bytes.data() != nullptr ? bytes.data() : &kNone, bytes.size()};
}
inline ctlsign_view view(std::string_view characters) noexcept {
    return view(as_bytes(characters));
}
template <typename T>
ctlsign_view view(const std::optional<T>& bytes) noexcept {
    return bytes ? view(*bytes) : ctlsign_view{};
}

struct FreeBytes {
    void operator()(std::uint8_t* data) const noexcept;
};
/// A copy that a ctlsign_bytes can hold, with a NUL behind it.
class Copy {
  public:
    explicit Copy(ByteView bytes);
    explicit Copy(std::string_view characters) : Copy(as_bytes(characters)) {}
    ctlsign_bytes release() noexcept { return {data_.release(), size_}; }

  private:
    std::unique_ptr<std::uint8_t, FreeBytes> data_;
    std::size_t size_;
};

}  // namespace ctlsign::c
