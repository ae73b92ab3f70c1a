#include <charconv>
#include <cstddef>
#include <string>

#include <ctlsign/phone/words.hpp>
#include <ctlsign/simulator/http_answer.hpp>

namespace ctlsign::simulator {

namespace {

// What the head of an answer says that its body has. (RFC 9110, 8.6)
std::optional<std::size_t> content_length(std::string_view head) {
    constexpr std::string_view kName = "content-length:";
    for (std::size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at)) {
        at += 2;
        if (phone::lower(head.substr(at, kName.size())) != kName) continue;
        const std::string_view rest = head.substr(at + kName.size());
        const std::string value(phone::trim(rest.substr(0, rest.find("\r\n"))));
        std::size_t length = 0;
        const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), length);
        if (failed == std::errc() && end == value.data() + value.size()) return length;
    }
    return std::nullopt;
}

}  // namespace

Fetched decode_http_answer(std::string_view answer) {
    const std::size_t end = answer.find("\r\n\r\n");
    if (end == std::string_view::npos || !answer.starts_with("HTTP/1.") || answer.size() < 12)
        return {{}, "the HTTP server's answer is none"};
    const std::string_view status = answer.substr(9, 3);
    if (status == "404") return {};
    if (status != "200") return {{}, "the HTTP server answers " + std::string(status)};
    const ByteView body = as_bytes(answer.substr(end + 4));
    if (const auto length = content_length(answer.substr(0, end)); length && *length != body.size())
        return {{}, "the HTTP server's answer is cut"};
    return {Bytes(body.begin(), body.end()), {}};
}

}  // namespace ctlsign::simulator
