#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include <ctlsign/phone/inventory.hpp>

namespace ctlsign::phone {

/// What becomes of the phones of an inventory when a list is published.
struct Preflight {
    /// Phones that the same things decide: the first rule, and what they have.
    struct Group {
        Verdict verdict{};
        Model model{};
        std::uint32_t example = 0;  ///< index of traits that led here
        std::size_t count = 0;      ///< phones
    };
    std::vector<Group> groups;
    std::vector<std::uint32_t> group_of;  ///< by index of Inventory::traits()

    std::size_t count(Outcome outcome) const noexcept;
    std::map<Rule, std::size_t> by_rule() const;  ///< phones
    std::size_t unlisted_models = 0;              ///< phones whose model was guessed, or is not known
    /// Ways that would turn refusals into acceptance, with the number of phones that each would help.
    std::map<Way, std::size_t> ways() const;
    const Group& group(const Inventory::Phone& phone) const { return groups[group_of[phone.traits]]; }
};

/// The TVS servers that phones with these traits ask, in order, and what they say of the list's signer.
using TvsOf = std::function<std::vector<TvsServer>(const Traits&)>;

/// Decides once for all phones that nothing tells apart.
Preflight preflight(const Inventory& inventory, const TrustList& list, ListKind kind, const KnownLists& known,
                    const ModelTable& models, const TvsOf& tvs, std::chrono::sys_seconds now);

}  // namespace ctlsign::phone
