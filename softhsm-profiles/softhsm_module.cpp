#include <unistd.h>

#include <cstdlib>

#include <softhsm-profiles/error.hpp>
#include <softhsm-profiles/softhsm_module.hpp>

namespace ctlsign::softhsm {

std::string find_softhsm_module() {
    constexpr const char* kPlaces[] = {
#ifdef CTLSIGN_SOFTHSM2_MODULE
        CTLSIGN_SOFTHSM2_MODULE,
#endif
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/lib/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    };
    if (const char* named = std::getenv("CTLSIGN_SOFTHSM2_MODULE"); named != nullptr && *named != '\0') {
        if (access(named, R_OK) == 0) return named;
        throw Error(Errc::NoSoftHsm, "looking for SoftHSM2", named,
                    "CTLSIGN_SOFTHSM2_MODULE names a file that cannot be read");
    }
    for (const char* place : kPlaces) {
        if (access(place, R_OK) == 0) return place;
    }
    throw Error(Errc::NoSoftHsm, "looking for", "libsofthsm2.so",
                "install it (Debian: softhsm2), or name it in CTLSIGN_SOFTHSM2_MODULE");
}

}  // namespace ctlsign::softhsm
