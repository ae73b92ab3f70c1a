#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <ctlsign/phone/decision.hpp>

namespace ctlsign::phone {

inline constexpr std::size_t kTraitFields = 6;

/// In place of a checksum: whether there is a list, and which, is not known.
inline constexpr std::string_view kNotKnown = "?";

/// What an inventory says of a phone beside its name; phones share few of these.
struct Traits {
    std::string model, firmware;
    /// As phones display checksums: hexadecimal, upper case; empty: no list; kNotKnown.
    std::string ctl, itl;
    std::string pool;
    std::string tvs;  ///< names of TVS servers (tvs::split_servers); empty: those of the pool
    /// Of these, in their order: those that the inventory has no word of.
    std::bitset<kTraitFields> left_out{};

    friend bool operator==(const Traits&, const Traits&) = default;
};

/// The phones of a cluster. Made for a million: each costs its name and four octets.
class Inventory {
  public:
    struct Phone {
        std::string name;
        std::uint32_t traits = 0;  ///< index
    };

    /// CSV with a line of headings, or one JSON object a line. Headings and keys: device, model, firmware,
    /// ctl, itl, pool, tvs, in any order; others are passed over. A list of which there is no word is not
    /// known. NAME is for messages. Throws Errc::Malformed with the line; a phone or a field that comes twice
    /// is refused.
    static Inventory decode(std::string_view text, std::string_view name);
    /// The same as CSV, sorted by name.
    std::string encode() const;

    /// Adds the phones of NEWER; those that are here already take their newer traits, and keep those of which
    /// it has no word.
    void merge(const Inventory& newer);

    /// A phone's name must be new.
    void add(std::string name, const Traits& traits) { phones_.push_back({std::move(name), intern(traits)}); }
    /// INDEX is that of phones(). Throws std::out_of_range.
    void set_traits(std::size_t index, const Traits& traits) { phones_.at(index).traits = intern(traits); }

    const std::vector<Phone>& phones() const noexcept { return phones_; }
    const std::vector<Traits>& traits() const noexcept { return traits_; }
    const Traits& traits_of(const Phone& phone) const { return traits_.at(phone.traits); }

  private:
    friend class InventoryReader;
    std::uint32_t intern(const Traits& traits);
    /// TEXTS are the members of Traits, in their order.
    std::uint32_t intern(const std::array<std::string_view, kTraitFields>& texts,
                         std::bitset<kTraitFields> left_out);

    std::vector<Phone> phones_;
    std::vector<Traits> traits_;
    std::unordered_map<std::string, std::uint32_t> known_traits_;
};

/// CHECKSUM, hexadecimal, as phones display it.
std::string as_displayed(std::string checksum);

/// Trust lists that phones may have, by both of the checksums that phones display.
class KnownLists {
  public:
    /// Shares LIST. NAME is told to people. One with the octets of another that is here is passed over, and
    /// its name with it.
    void add(std::shared_ptr<const TrustList> list, std::string name);

    /// Stays where it is as long as this lives.
    struct Entry {
        std::shared_ptr<const TrustList> list;
        std::string name;  ///< for people
    };
    /// Null when no list has this checksum.
    const Entry* find(std::string_view checksum) const;
    const std::vector<std::unique_ptr<Entry>>& entries() const noexcept { return entries_; }

  private:
    std::vector<std::unique_ptr<Entry>> entries_;
    std::unordered_map<std::string, const Entry*> by_checksum_;
};

}  // namespace ctlsign::phone
