#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include <ctlsign/tvs/message.hpp>
#include <ctlsign/tvs/server.hpp>
#include <ctlsign/tvs/tls.hpp>

namespace ctlsign::tvs {

/// One question to one server: what was sent and received, and how far it came.
struct Exchange {
    enum class End {
        NotConnected,
        NoHandshake,
        NotTrusted,  ///< the caller does not trust the certificate: nothing was asked
        NoAnswer,    ///< closed or silent
        Malformed,   ///< what came is no answer to this question
        Answered,
    };
    End end = End::NotConnected;
    std::string problem{};                      ///< of every end but Answered
    std::optional<sast::Certificate> server{};  ///< that it presented
    std::string tls_version{};
    Bytes request{}, response{};
    std::optional<Answer> answer{};
};
std::string_view to_text(Exchange::End end) noexcept;

struct ClientOptions {
    const TlsIdentity* identity = nullptr;  ///< what a phone presents: its LSC or MIC
    TlsPolicy policy{};
    std::chrono::milliseconds patience{10'000};  ///< for the whole exchange
};

/// Whether a server that presents this certificate is the right one.
using Trust = std::function<bool(const sast::Certificate&)>;

/// Asks SERVER, whose address may be a name. What goes wrong is in the answer; throws only what encode()
/// does. A server that goes away raises no SIGPIPE.
Exchange ask(const Endpoint& server, const Message& request, const Trust& trust,
             const ClientOptions& options);

}  // namespace ctlsign::tvs
