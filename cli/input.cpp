#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include <cli/exit_code.hpp>
#include <cli/input.hpp>
#include <ctlsign/files/certificates.hpp>
#include <ctlsign/files/load.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/text.hpp>
#include <sast/error.hpp>
#include <sast/limits.hpp>

namespace ctlsign::cli {

namespace {

// What a file that is no trust list seems to be, and what to do then.
std::string_view advice_for(ByteView bytes) {
    const std::string_view text = as_text(bytes.first(std::min<std::size_t>(bytes.size(), 64)));
    if (bytes.empty()) return "the file is empty";
    if (text.starts_with("-----BEGIN")) return "this is PEM: give the .tlv or .sgn file";
    if (bytes[0] == 0x30 && bytes.size() > 1 && bytes[1] >= 0x80)
        return "this looks like DER, not a trust list";
    if (text.starts_with("<") || text.starts_with("\xEF\xBB\xBF<"))
        return "this is XML without a signature: config sign makes a .sgn file of it";
    return "give a CTL, ITL or .sgn file";
}

template <typename Decode>
auto decode_named(Input&& input, Decode decode) {
    const std::string_view seems = advice_for(input.bytes);
    try {
        return decode(std::move(input.bytes));
    } catch (const DecodeError& error) {
        // What goes wrong in the first element is most often a file of another kind.
        throw Error(error.code(), "reading", input.name,
                    error.position() < 5 ? fmt::format("{}; {}", error.advice(), seems) : error.advice());
    } catch (const Error& error) {
        throw Error(error.code(), "reading", input.name, error.advice());
    }
}

}  // namespace

Input read_input(const std::string& path, std::size_t limit) {
    if (path == "-") {
        LoadedFile file = load_descriptor(STDIN_FILENO, "standard input", limit);
        return {"standard input", std::move(file.bytes), std::nullopt};
    }
    LoadedFile file = load_file(path, limit);
    return {path, std::move(file.bytes), file.modified};
}

KeyInput read_key(const std::string& path) {
    Input input = read_input(path, limits::kKeyFile);
    return {std::move(input.name), sast::KeyOctets(std::move(input.bytes))};
}

TrustList decode_list_input(Input&& input) {
    return decode_named(std::move(input), [](Bytes&& bytes) { return decode_list(std::move(bytes)); });
}

SgnFile decode_sgn_input(Input&& input) {
    return decode_named(std::move(input), [](Bytes&& bytes) { return decode_sgn(std::move(bytes)); });
}

std::variant<TrustList, SgnFile> decode_any_input(Input&& input) {
    return decode_named(std::move(input), [](Bytes&& bytes) { return decode_any(std::move(bytes)); });
}

TrustList load_list(const std::string& path) {
    return decode_list_input(read_input(path));
}

std::vector<sast::Certificate> load_certificates(const std::string& path) {
    const Input input = read_input(path);
    return decode_certificates(input.bytes, input.name);
}

sast::Certificate load_certificate(const std::string& path) {
    return load_certificates(path).front();
}

LoadedManifest load_manifest(const std::string& path) {
    const Input input = read_input(path);
    return {decode_manifest(as_text(input.bytes), input.name),
            make_certificate_loader(std::filesystem::path(path).parent_path().string())};
}

std::uint32_t choose_timestamp(const std::string& option, std::optional<std::uint32_t> otherwise) {
    if (!option.empty()) {
        const auto time = find_timestamp(option);
        if (time) return *time;
        throw UsageError(
            fmt::format("--timestamp {}: give Unix seconds or a time like 2015-03-06T18:45:13Z", option));
    }
    if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch != nullptr && *epoch != '\0') {
        const auto time = find_timestamp(epoch);
        if (time) return *time;
        throw UsageError(fmt::format("SOURCE_DATE_EPOCH={}: it must be Unix seconds", epoch));
    }
    if (otherwise) return *otherwise;
    const auto time = find_timestamp(now());
    if (!time) throw UsageError("the clock is outside of what a trust list can hold: give --timestamp");
    return *time;
}

Digest get_digest(const std::string& option) {
    const auto digest = find_digest(option);
    if (!digest) throw UsageError("--digest is sha1, sha256 or sha512");
    return *digest;
}

void check_bits(unsigned bits) {
    if (bits != 1024 && bits != 2048 && bits != 4096)
        throw UsageError("--bits is 1024, 2048 or 4096: a trust list has no code for others");
}

std::chrono::sys_seconds now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

std::int64_t unix_now() {
    return now().time_since_epoch().count();
}

}  // namespace ctlsign::cli
