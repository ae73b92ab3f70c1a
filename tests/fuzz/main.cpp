#include <cstddef>
#include <cstdint>

#include <tests/fuzz/targets.hpp>

// One libFuzzer program a target; CTLSIGN_FUZZ_TARGET is its name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ctlsign::fuzz::CTLSIGN_FUZZ_TARGET({data, size});
    return 0;
}
