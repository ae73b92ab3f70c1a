#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ctlsign/cluster/database.hpp>
#include <ctlsign/cluster/rules.hpp>

namespace ctlsign::cluster {

/// What an entry tells besides when and who: no secret.
using AuditDetails = std::initializer_list<std::pair<std::string_view, std::string>>;

/// Adds an entry: one line of JSON that holds the SHA-256 of the line before it. In the transaction under
/// way.
void append_audit(Writer& writer, std::string_view event, AuditDetails details);

/// One entry for each of REFUSALS, which OPERATION overrides.
void append_forced(Writer& writer, std::string_view operation, const std::vector<Refusal>& refusals);

/// Every entry, oldest first, as it was written.
void read_audit(const Database& database, const std::function<void(const std::string& line)>& take);

/// Whether the audit is the chain that was written: what is cut off at its end shows only against a head.
struct AuditVerdict {
    std::int64_t entries = 0;
    std::string head;  ///< SHA-256 of the last line: whoever notes it can tell later that none was cut off
    std::optional<std::int64_t> broken;  ///< the first entry that does not follow from the one before
    bool head_found = true;              ///< HEAD, where one was given, is in the chain
};
/// Follows the whole chain. HEAD is one that was noted earlier. What is broken is an answer; throws what
/// reading the database does.
AuditVerdict verify_audit(const Database& database, const std::optional<std::string>& head);

}  // namespace ctlsign::cluster
