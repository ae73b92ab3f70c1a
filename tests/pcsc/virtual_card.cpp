#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include <tests/pcsc/virtual_card.hpp>

namespace ctlsign::testing {

namespace {

// Control codes of vpcd: a message of one octet. Anything longer is a command of the reader's user.
enum Control : std::uint8_t { kPowerOff = 0, kPowerOn = 1, kReset = 2, kGetAtr = 4 };

void set_option(int connection, int option) {
    const int on = 1;
    setsockopt(connection, IPPROTO_TCP, option, &on, sizeof on);
}

std::optional<Bytes> receive(int connection, std::size_t size) {
    Bytes octets(size);
    for (std::size_t done = 0; done < size;) {
        // vpcd writes length and body apart; a delayed acknowledgement between them costs 40 ms each time,
        // and the kernel takes the option back by itself.
        set_option(connection, TCP_QUICKACK);
        const ssize_t got = recv(connection, octets.data() + done, size - done, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return std::nullopt;
        done += static_cast<std::size_t>(got);
    }
    return octets;
}

bool send_message(int connection, ByteView body) {
    Bytes message{static_cast<std::uint8_t>(body.size() >> 8U), static_cast<std::uint8_t>(body.size())};
    message.insert(message.end(), body.begin(), body.end());
    return send(connection, message.data(), message.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(message.size());
}

}  // namespace

VirtualCard::VirtualCard(std::unique_ptr<PivCard> card) : card_(std::move(card)) {}

VirtualCard::~VirtualCard() {
    pull();
}

void VirtualCard::insert(unsigned reader) {
    pull();
    const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(kFirstPort + reader));
    if (connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const int reason = errno;
        close(connection);
        throw std::system_error(reason, std::generic_category(), "the virtual reader does not listen");
    }
    set_option(connection, TCP_NODELAY);
    connection_ = connection;
    in_ = true;
    server_ = std::thread([this, connection] { serve(connection); });
}

void VirtualCard::pull() {
    if (!server_.joinable()) return;
    {
        const std::scoped_lock lock(mutex_);
        in_ = false;
    }
    pulled_.notify_all();
    shutdown(connection_, SHUT_RDWR);
    server_.join();
    close(std::exchange(connection_, -1));
}

void VirtualCard::serve(int connection) {
    while (serve_one(connection)) {
    }
    shutdown(connection, SHUT_RDWR);
}

bool VirtualCard::serve_one(int connection) {
    const auto length = receive(connection, 2);
    if (!length) return false;
    const auto message = receive(connection, std::size_t{(*length)[0]} << 8U | (*length)[1]);
    if (!message || message->empty()) return false;
    if (message->size() == 1) {
        if (message->front() == kGetAtr) return send_message(connection, PivCard::answer_to_reset());
        if (message->front() == kPowerOn || message->front() == kReset) card_->power_on();
        return true;
    }
    if ((*message)[1] == kGeneralAuthenticate && ((*message)[0] & 0x10U) == 0) {
        ++signatures_;
        if (pull_in_signature_.exchange(false)) return false;
        if (silent_.exchange(false)) return wait_for(std::chrono::hours(1));
        if (!wait_for(std::chrono::milliseconds(delay_ms_))) return false;
    }
    return send_message(connection, card_->answer(*message));
}

bool VirtualCard::wait_for(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return !pulled_.wait_for(lock, time, [this] { return !in_; });
}

}  // namespace ctlsign::testing
