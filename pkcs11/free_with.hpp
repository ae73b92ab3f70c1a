#pragma once

namespace ctlsign {

/// Deleter of a std::unique_ptr whose object goes with the C function FUNCTION.
template <auto Function>
struct FreeWith {
    template <typename T>
    void operator()(T* object) const noexcept {
        Function(object);
    }
};

}  // namespace ctlsign
