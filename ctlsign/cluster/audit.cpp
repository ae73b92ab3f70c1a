#include <openssl/evp.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/files/sqlite.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cluster {

namespace {

using Json = nlohmann::ordered_json;

// What the first entry has before it.
constexpr std::string_view kBeginning = "0000000000000000000000000000000000000000000000000000000000000000";

std::string hash_of(std::string_view line) {
    const std::array<ByteView, 1> parts{as_bytes(line)};
    return to_lower_hex(compute_digest(Digest::Sha256, parts));
}

// The user as the system knows it: a variable of the environment can say anything.
std::string user_name() {
    passwd entry{};
    passwd* found = nullptr;
    std::vector<char> buffer(16384);
    if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
        return entry.pw_name;
    return "uid " + std::to_string(::getuid());
}

}  // namespace

void append_audit(Writer& writer, std::string_view event, AuditDetails details) {
    sqlite::Connection& connection = writer.connection();
    std::int64_t number = 1;
    std::string previous(kBeginning);
    {
        sqlite::Statement last =
            connection.query("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1");
        if (last.step()) {
            number = last.integer(0) + 1;
            previous = last.text(1);
        }
    }
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    Json entry{{"number", number},
               {"time", format_utc(now.time_since_epoch().count())},
               {"who", user_name()},
               {"event", event}};
    for (const auto& [name, value] : details) entry[std::string(name)] = value;
    entry["previous"] = previous;
    const std::string line = entry.dump(-1, ' ', false, Json::error_handler_t::replace);
    connection.run("INSERT INTO audit VALUES(?, ?, ?)", {number, std::string_view(line), hash_of(line)});
}

void append_forced(Writer& writer, std::string_view operation, const std::vector<Refusal>& refusals) {
    for (const Refusal& refusal : refusals)
        append_audit(writer, "forced",
                     {{"operation", std::string(operation)},
                      {"rule", std::string(to_text(refusal.rule))},
                      {"text", refusal.text},
                      {"consequence", refusal.consequence.value_or("")}});
}

void read_audit(const Database& database, const std::function<void(const std::string& line)>& take) {
    sqlite::Statement row = database.connection().query("SELECT line FROM audit ORDER BY number");
    while (row.step()) take(row.text(0));
}

AuditVerdict verify_audit(const Database& database, const std::optional<std::string>& head) {
    AuditVerdict verdict;
    verdict.head = kBeginning;
    verdict.head_found = !head || *head == kBeginning;
    sqlite::Statement row =
        database.connection().query("SELECT number, line, hash FROM audit ORDER BY number");
    while (row.step()) {
        ++verdict.entries;
        const std::string line = row.text(1);
        const Json entry = Json::parse(line, nullptr, false);
        const bool follows = entry.is_object() && entry.contains("previous") &&
                             entry.at("previous") == verdict.head && entry.contains("number") &&
                             entry.at("number") == verdict.entries && row.integer(0) == verdict.entries;
        verdict.head = hash_of(line);
        if ((!follows || row.text(2) != verdict.head) && !verdict.broken) verdict.broken = verdict.entries;
        if (head && *head == verdict.head) verdict.head_found = true;
    }
    return verdict;
}

}  // namespace ctlsign::cluster
