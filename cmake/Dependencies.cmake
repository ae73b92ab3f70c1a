# Everything is a package of Debian 12; docs/dependencies.md says what each is for.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(tomlplusplus REQUIRED)
find_path(CTLSIGN_ASIO asio.hpp REQUIRED DOC "Asio without Boost: headers alone")
# Asio looks for aligned_alloc before it includes anything: unless it is told, what stands above it in a source decides how memory is
# taken, and a source next to it frees it in another way.
add_library(ctlsign_asio INTERFACE)
target_compile_definitions(ctlsign_asio INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED ASIO_HAS_STD_ALIGNED_ALLOC=1)
pkg_check_modules(p11-kit REQUIRED IMPORTED_TARGET p11-kit-1)
pkg_check_modules(pcsclite REQUIRED IMPORTED_TARGET libpcsclite)
pkg_check_modules(libssh2 REQUIRED IMPORTED_TARGET libssh2)
pkg_check_modules(libp11 REQUIRED IMPORTED_TARGET libp11)
