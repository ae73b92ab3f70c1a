#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/trustlist/model.hpp>

namespace ctlsign {

enum class Change { Added, Removed, Changed };
std::string_view to_text(Change change) noexcept;  ///< "added", "removed", "changed"

/// A field that differs, its values as text; empty where it is absent.
struct FieldChange {
    std::string field, before, after;
};

/// A record that only one of the lists has, or that both have with other fields.
struct RecordChange {
    Change change{};
    std::optional<std::size_t> before, after;  ///< the record in either list, counted from 0
    std::string what;                          ///< "CCM+TFTP cucm-1051-a-pub"
    std::vector<FieldChange> fields;           ///< of a changed record
};

/// A SAST: who may sign the next list. Changed: the same name and serial with another key.
struct SignerChange {
    Change change{};
    std::string subject, issuer, serial;
};

/// All that tells two lists apart.
struct ListDifference {
    std::vector<FieldChange> header;
    std::vector<RecordChange> records;
    std::vector<SignerChange> signers;
    bool empty() const noexcept { return header.empty() && records.empty() && signers.empty(); }
};

/// What AFTER has that BEFORE has not, and the other way round. Empty only when the octets are the same, but
/// for the signature of a list that waits for it.
ListDifference diff(const TrustList& before, const TrustList& after);
/// One line for each difference: "+" added, "-" removed, "~" changed.
std::string to_text(const ListDifference& difference);

}  // namespace ctlsign
