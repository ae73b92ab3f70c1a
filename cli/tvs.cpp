#include <sys/resource.h>

#include <algorithm>
#include <charconv>

#include <cli/command.hpp>
#include <cli/exit_code.hpp>
#include <cli/input.hpp>
#include <cli/tvs.hpp>

namespace ctlsign::cli {

namespace {

std::uint16_t parse_port(const std::string& text, std::string_view digits) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size())
        throw UsageError("'" + text + "' has no port behind its colon: 0 to 65535 is expected");
    return port;
}

}  // namespace

tvs::Endpoint parse_endpoint(const std::string& text) {
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string::npos) throw UsageError("'" + text + "' has no closing bracket");
        tvs::Endpoint endpoint{text.substr(1, end - 1)};
        if (end + 1 == text.size()) return endpoint;
        if (text[end + 1] != ':') throw UsageError("'" + text + "': expected [ADDRESS]:PORT");
        endpoint.port = parse_port(text, std::string_view(text).substr(end + 2));
        return endpoint;
    }
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos || text.find(':', colon + 1) != std::string::npos)
        return {text};  // a name, or IPv6
    return {text.substr(0, colon), parse_port(text, std::string_view(text).substr(colon + 1))};
}

void add_tls_options(Command command, tvs::TlsPolicy& policy) {
    command.add_flag_callback(
        "--allow-tls10", [&policy] { policy.old = tvs::OldTls::Allowed; },
        "Speak TLS 1.0 and 1.1 too, for phones of the 7900 series; weak");
    command.add_flag_callback(
        "--allow-small-keys", [&policy] { policy.small_keys = tvs::SmallKeys::Allowed; },
        "Take RSA keys below 2048 bits; weak");
}

tvs::TlsIdentity load_identity(const std::string& path) {
    const KeyInput key = read_key(path);
    return tvs::TlsIdentity::decode(as_text(key.content.octets()), key.name);
}

void add_tvs_commands(Command command, Action& action) {
    add_tvs_serve(command, action);
    add_tvs_query(command, action);
    add_tvs_import(command, action);
}

std::size_t allow_open_files(std::size_t wanted) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;  // connections will show how far that goes
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}

}  // namespace ctlsign::cli
