#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

namespace ctlsign::testing::contract {

inline bool listens(const std::string& socket_path) {
    const int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
    const bool accepted =
        connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(connection);
    return accepted;
}

/// A socket is there before anybody listens, and who is refused may not try again.
inline void wait_for_listener(const std::string& socket_path) {
    for (int i = 0; !listens(socket_path); ++i) {
        if (i == 3000) throw std::runtime_error("nobody listens: " + socket_path);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

}  // namespace ctlsign::testing::contract
