#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <deque>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>
#include <utility>

#include <ctlsign/error.hpp>
#include <ctlsign/phone/inventory.hpp>
#include <ctlsign/phone/words.hpp>
#include <ctlsign/trustlist/show.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::phone {

namespace {

// One more than the members of Traits: the device's own name.
enum Field : std::size_t { kDevice, kModel, kFirmware, kCtl, kItl, kPool, kTvs, kFields };
constexpr std::array<std::string_view, kFields> kHeadings{"device", "model", "firmware", "ctl",
                                                          "itl",    "pool",  "tvs"};
using Row = std::array<std::optional<std::string_view>, kFields>;

// In the order of Field, behind the device's name.
constexpr std::array kTraits{&Traits::model, &Traits::firmware, &Traits::ctl,
                             &Traits::itl,   &Traits::pool,     &Traits::tvs};
static_assert(kTraits.size() == kTraitFields && kTraitFields + 1 == kFields);

// "Device Name", "device_name" and "DEVICE" are one heading.
std::optional<std::size_t> find_field(std::string_view heading) {
    std::string name = lower(trim(heading));
    std::erase_if(name, [](char c) { return c == ' ' || c == '_' || c == '-'; });
    constexpr std::array<std::pair<std::string_view, Field>, 9> kOthers{{{"devicename", kDevice},
                                                                         {"name", kDevice},
                                                                         {"product", kModel},
                                                                         {"load", kFirmware},
                                                                         {"ctlchecksum", kCtl},
                                                                         {"itlchecksum", kItl},
                                                                         {"devicepool", kPool},
                                                                         {"tvsservers", kTvs},
                                                                         {"tvslist", kTvs}}};
    const auto known = std::ranges::find(kHeadings, name);
    if (known != kHeadings.end()) return static_cast<std::size_t>(known - kHeadings.begin());
    const auto other = std::ranges::find(kOthers, name, &decltype(kOthers)::value_type::first);
    if (other != kOthers.end()) return other->second;
    return std::nullopt;
}

constexpr std::size_t kMd5Digits = 32, kSha1Digits = 40;

// As most exports have it: a million times there is nothing to rewrite.
bool is_as_displayed(std::string_view text) {
    return (text.size() == kMd5Digits || text.size() == kSha1Digits) &&
           std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); });
}

// Nothing when it is neither a checksum nor a word that stands for one.
std::optional<std::string> find_checksum(std::string_view text) {
    std::string digits(text);
    std::erase_if(digits, [](char c) { return c == ' ' || c == ':'; });
    const std::string word = lower(digits);
    if (word.empty() || word == "none" || word == "-" || word == "notinstalled") return "";
    if (word == kNotKnown || word == "unknown") return std::string(kNotKnown);
    digits = as_displayed(std::move(digits));
    const bool hexadecimal =
        std::ranges::all_of(digits, [](unsigned char c) { return std::isxdigit(c) != 0; });
    if (!hexadecimal || (digits.size() != kMd5Digits && digits.size() != kSha1Digits)) return std::nullopt;
    return digits;
}

// The cells of CSV (RFC 4180), a row at a time.
class CsvReader {
  public:
    explicit CsvReader(std::string_view text) : text_(text) {}

    /// False at the end. Cells are valid until the next call.
    bool next(std::vector<std::string_view>& cells) {
        if (text_.empty()) return false;
        ++line_;
        cells.clear();
        unpaired_.clear();
        for (;;) {
            cells.emplace_back();
            text_.remove_prefix(std::min(text_.find_first_not_of(" \t"), text_.size()));
            const bool more = text_.starts_with('"') ? quoted(cells.back()) : plain(cells.back());
            if (!more) return true;
        }
    }
    std::size_t line() const noexcept { return line_; }
    /// What is wrong so far; empty: nothing.
    std::string_view problem() const noexcept { return problem_; }

  private:
    // Both answer whether another cell follows on this row.
    bool plain(std::string_view& cell) {
        const std::size_t end = end_of_cell(0);
        std::string_view text = text_.substr(0, end);
        if (text.ends_with('\r') && (end == text_.size() || text_[end] == '\n')) text.remove_suffix(1);
        if (text.find('\r') != std::string_view::npos)
            problem_ = "lines end with CR alone: LF or CR LF is expected";
        cell = trim(text);
        return leave(end);
    }
    bool quoted(std::string_view& cell) {
        std::size_t at = 1;
        bool paired = false;
        for (;; ++at) {
            if (at >= text_.size()) {
                problem_ = kNotClosed;
                cell = text_.substr(1);
                return leave(text_.size());
            }
            if (text_[at] == '"') {
                if (at + 1 >= text_.size() || text_[at + 1] != '"') break;
                ++at;
                paired = true;
            } else if (text_[at] == '\n') {
                ++line_;
            }
        }
        cell = text_.substr(1, at - 1);
        if (paired) cell = unpaired_.emplace_back(unpair(cell));
        const std::size_t end = end_of_cell(at);
        if (!trim(text_.substr(at + 1, end - at - 1)).empty()) problem_ = kNotClosed;
        return leave(end);
    }
    std::size_t end_of_cell(std::size_t at) const {
        while (at < text_.size() && text_[at] != ',' && text_[at] != '\n') ++at;
        return at;
    }
    // Of each pair of quotes one.
    static std::string unpair(std::string_view text) {
        std::string single;
        for (std::size_t i = 0; i < text.size(); ++i) {
            single += text[i];
            if (text[i] == '"') ++i;
        }
        return single;
    }
    bool leave(std::size_t end) {
        const bool more = end < text_.size() && text_[end] == ',';
        text_.remove_prefix(std::min(text_.size(), end + 1));
        return more;
    }

    static constexpr std::string_view kNotClosed = "a quote is not closed";

    std::string_view text_;
    std::size_t line_ = 0;
    std::string_view problem_;
    std::deque<std::string> unpaired_;  // cells that are not in the text as they are
};

std::string csv_cell(const std::string& text) {
    if (text.find_first_of(",\"\n\r") == std::string::npos && trim(text).size() == text.size()) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + '"';
}

}  // namespace

class InventoryReader {
  public:
    explicit InventoryReader(std::string_view name) : name_(name) {}

    Inventory read(std::string_view text) {
        if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // as spreadsheets write it
        const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
        inventory_.phones_.reserve(lines);
        names_.reserve(lines);
        const std::size_t first = text.find_first_not_of(" \t\r\n");
        if (first != std::string_view::npos && text[first] == '{') {
            read_json_lines(text);
        } else {
            read_csv(text);
        }
        return std::move(inventory_);
    }

  private:
    [[noreturn]] void malformed(std::size_t line, std::string_view what) const {
        throw Error(Errc::Malformed, "reading", name_, printable(fmt::format("line {}: {}", line, what)));
    }

    // A field that two columns claim has no value: they may say different things.
    std::optional<std::size_t> take_field(std::string_view heading, std::array<bool, kFields>& met,
                                          std::size_t line) const {
        const auto field = find_field(heading);
        if (field && std::exchange(met[*field], true))
            malformed(line, fmt::format("'{}' is there twice, in other words perhaps", kHeadings[*field]));
        return field;
    }

    void read_csv(std::string_view text) {
        CsvReader reader(text);
        std::vector<std::string_view> cells;
        std::vector<std::optional<std::size_t>> fields;
        std::array<bool, kFields> met{};
        if (reader.next(cells)) {
            for (const std::string_view heading : cells) fields.push_back(take_field(heading, met, 1));
        }
        if (!reader.problem().empty()) malformed(1, reader.problem());
        if (std::ranges::find(fields, std::optional<std::size_t>(kDevice)) == fields.end())
            malformed(1, "there is no heading 'device'");
        while (reader.next(cells)) {
            if (!reader.problem().empty()) malformed(reader.line(), reader.problem());
            if (cells.size() == 1 && cells[0].empty()) continue;
            if (cells.size() != fields.size())
                malformed(reader.line(),
                          fmt::format("{} cells under {} headings", cells.size(), fields.size()));
            Row row;
            for (std::size_t i = 0; i < cells.size(); ++i) {
                if (fields[i]) row[*fields[i]] = cells[i];
            }
            add(row, reader.line());
        }
    }

    void read_json_lines(std::string_view text) {
        for (std::size_t line = 1; !text.empty(); ++line) {
            const std::size_t end = std::min(text.find('\n'), text.size());
            const std::string_view one = trim(text.substr(0, end));
            text.remove_prefix(std::min(text.size(), end + 1));
            if (!one.empty()) read_object(one, line);
        }
    }

    void read_object(std::string_view text, std::size_t line) {
        std::array<bool, kFields> met{};
        const auto meet = [&](int depth, nlohmann::json::parse_event_t event, const nlohmann::json& key) {
            if (depth == 1 && event == nlohmann::json::parse_event_t::key)
                take_field(key.get_ref<const std::string&>(), met, line);
            return true;
        };
        const auto object = nlohmann::json::parse(text, meet, false);
        if (!object.is_object()) malformed(line, "expected a JSON object");
        Row row;
        std::string servers;
        for (const auto& [key, value] : object.items()) {
            const auto field = find_field(key);
            if (!field) continue;
            if (value.is_string()) {
                row[*field] = value.get_ref<const std::string&>();
            } else if (*field == kTvs && value.is_array()) {
                for (const auto& server : value) {
                    if (!server.is_string()) malformed(line, "a TVS server is a text");
                    servers += (servers.empty() ? "" : " ") + server.get<std::string>();
                }
                row[kTvs] = servers;
            } else if (!value.is_null()) {
                malformed(line, fmt::format("'{}' is a text", key));
            }
        }
        add(row, line);
    }

    void add(Row row, std::size_t line) {
        for (auto& cell : row) {
            if (cell) cell = trim(*cell);
        }
        if (!row[kDevice] || row[kDevice]->empty()) malformed(line, "a phone without a name");
        // A part of file names and of log lines.
        std::string device(*row[kDevice]);
        if (device.find('/') != std::string::npos || printable(device) != device)
            malformed(line, fmt::format("'{}' is no name of a phone", device));
        // A MAC address behind SEP: phones write it in upper case.
        if (lower(std::string_view(device).substr(0, 3)) == "sep") device = as_displayed(std::move(device));
        std::string ctl, itl;
        for (const Field field : {kCtl, kItl}) {
            // What is not said is not known; a blank cell says that there is none.
            if (!row[field] || is_as_displayed(*row[field])) continue;
            auto checksum = find_checksum(*row[field]);
            if (!checksum)
                malformed(line, fmt::format("'{}' is no checksum as phones display it", *row[field]));
            row[field] = (field == kCtl ? ctl : itl) = std::move(*checksum);
        }
        std::array<std::string_view, kTraitFields> texts;
        std::bitset<kTraitFields> left_out;
        texts[kCtl - 1] = texts[kItl - 1] = kNotKnown;
        for (std::size_t i = 0; i < kTraitFields; ++i) {
            const auto& cell = row[i + 1];
            left_out[i] = !cell;
            if (cell) texts[i] = *cell;
        }
        inventory_.phones_.push_back({std::move(device), inventory_.intern(texts, left_out)});
        const std::string& name = inventory_.phones_.back().name;
        if (!names_.insert(name).second) malformed(line, fmt::format("'{}' comes twice", name));
    }

    std::string_view name_;
    Inventory inventory_;
    std::unordered_set<std::string_view>
        names_;  // of phones, which stay where they are: there is room for all
};

std::uint32_t Inventory::intern(const Traits& traits) {
    std::array<std::string_view, kTraitFields> texts;
    std::ranges::transform(kTraits, texts.begin(),
                           [&](const auto part) -> std::string_view { return traits.*part; });
    return intern(texts, traits.left_out);
}

std::uint32_t Inventory::intern(const std::array<std::string_view, kTraitFields>& texts,
                                std::bitset<kTraitFields> left_out) {
    std::size_t size = texts.size() + 1;
    for (const std::string_view text : texts) size += text.size();
    std::string key;
    key.reserve(size);
    for (const std::string_view text : texts) {
        key += text;
        key += '\0';
    }
    key += static_cast<char>(left_out.to_ulong());
    const auto [at, fresh] =
        known_traits_.try_emplace(std::move(key), static_cast<std::uint32_t>(traits_.size()));
    if (fresh) {
        Traits& traits = traits_.emplace_back();
        for (std::size_t i = 0; i < texts.size(); ++i) traits.*kTraits[i] = texts[i];
        traits.left_out = left_out;
    }
    return at->second;
}

Inventory Inventory::decode(std::string_view text, std::string_view name) {
    return InventoryReader(name).read(text);
}

std::string Inventory::encode() const {
    std::vector<const Phone*> sorted;
    sorted.reserve(phones_.size());
    for (const Phone& phone : phones_) sorted.push_back(&phone);
    std::ranges::sort(sorted, {}, [](const Phone* phone) -> const std::string& { return phone->name; });
    std::string text = fmt::format("{}\n", fmt::join(kHeadings, ","));
    for (const Phone* phone : sorted) {
        const Traits& traits = traits_of(*phone);
        fmt::format_to(std::back_inserter(text), "{},{},{},{},{},{},{}\n", csv_cell(phone->name),
                       csv_cell(traits.model), csv_cell(traits.firmware), traits.ctl, traits.itl,
                       csv_cell(traits.pool), csv_cell(traits.tvs));
    }
    return text;
}

void Inventory::merge(const Inventory& newer) {
    std::unordered_map<std::string_view, std::size_t> here;
    for (std::size_t i = 0; i < phones_.size(); ++i) here.emplace(phones_[i].name, i);
    std::vector<Phone> added;
    for (const Phone& phone : newer.phones_) {
        Traits traits = newer.traits_of(phone);
        const auto known = here.find(phone.name);
        if (known == here.end()) {
            added.push_back({phone.name, intern(traits)});
            continue;
        }
        std::uint32_t& index = phones_[known->second].traits;
        for (std::size_t i = 0; i < kTraits.size(); ++i) {
            if (traits.left_out[i]) traits.*kTraits[i] = traits_[index].*kTraits[i];
        }
        traits.left_out &= traits_[index].left_out;
        index = intern(traits);
    }
    std::ranges::move(added, std::back_inserter(phones_));
}

std::string as_displayed(std::string checksum) {
    std::ranges::transform(checksum, checksum.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return checksum;
}

void KnownLists::add(std::shared_ptr<const TrustList> list, std::string name) {
    const Checksums sums = checksums(list->octets());
    if (by_checksum_.contains(as_displayed(sums.md5))) return;
    entries_.push_back(std::make_unique<Entry>(Entry{std::move(list), std::move(name)}));
    by_checksum_[as_displayed(sums.md5)] = entries_.back().get();
    by_checksum_[as_displayed(sums.sha1)] = entries_.back().get();
}

const KnownLists::Entry* KnownLists::find(std::string_view checksum) const {
    const auto found = by_checksum_.find(std::string(checksum));
    return found == by_checksum_.end() ? nullptr : found->second;
}

}  // namespace ctlsign::phone
