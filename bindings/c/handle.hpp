#pragma once

#include <cstddef>
#include <memory>

namespace ctlsign::c {

/// What a handle stands for. The handle is its number in a table, not its address.
class Object {
  public:
    Object() = default;
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;
    virtual ~Object() = default;
    /// Its handle is gone; calls that are under way may still use it.
    virtual void handle_closed() {}
};

void* add_object(std::shared_ptr<Object> object);
/// Null when HANDLE is none that is open.
std::shared_ptr<Object> find_object(const void* handle) noexcept;
/// The object, its handle closed; null when it was none.
std::shared_ptr<Object> take_object(const void* handle) noexcept;
std::size_t count_objects() noexcept;

template <typename T>
T* open_handle(std::shared_ptr<T> object) {
    return static_cast<T*>(add_object(std::move(object)));
}

}  // namespace ctlsign::c
