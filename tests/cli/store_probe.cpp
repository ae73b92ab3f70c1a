// store_probe TARGET TEXT: stores TEXT in TARGET, for test_store.py, which breaks one system call after the
// other.
#include <unistd.h>

#include <cstdio>

#include <pkcs11/store.hpp>

int main(int argc, char** argv) try {
    if (argc != 3) return 2;
    // The mark from which the test counts.
    if (::write(STDOUT_FILENO, "store\n", 6) != 6) return 2;
    ctlsign::store_file(argv[1], ctlsign::as_bytes(argv[2]));
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 6;
}
