#include <cstdio>

#include <ctlsign/files/load.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/verify.hpp>
#include <pkcs11/error.hpp>

// Shared or not, an exception crosses the libraries.
int main(int /*argc*/, char** argv) {
    try {
        ctlsign::load_file("/nowhere.tlv", 1);
        return 1;
    } catch (const ctlsign::Error& e) {
        if (e.code() != std::errc::no_such_file_or_directory) return 1;
    }
    const auto list = ctlsign::decode_list(ctlsign::load_file(argv[1], ctlsign::kMaxFileSize).bytes);
    std::puts(to_text(ctlsign::verify(list, {}, {}).rule).data());
}
