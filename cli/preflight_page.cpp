#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include <cli/preflight_page.hpp>
#include <cli/preflight_template.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

// More rows than this make a page that no browser likes; the JSON report has them all.
constexpr std::size_t kMostRows = 5000;
constexpr std::size_t kMostBoxes = 12;

std::string escape(std::string_view text) {
    std::string safe;
    for (const char c : printable(text)) {
        switch (c) {
            case '&':
                safe += "&amp;";
                break;
            case '<':
                safe += "&lt;";
                break;
            case '>':
                safe += "&gt;";
                break;
            case '"':
                safe += "&quot;";
                break;
            default:
                safe += c;
        }
    }
    return safe;
}

// The beginning of a text that has to fit into a box; characters of UTF-8 stay whole.
std::string shorten(std::string text, std::size_t most) {
    if (text.size() <= most) return text;
    std::size_t end = most;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    return text.substr(0, end) + "…";
}

std::string file_name(const std::string& path) {
    return std::filesystem::path(path).filename().string();
}

// "1 phone", "2 phones".
std::string count_phones(std::size_t count) {
    return fmt::format("{} phone{}", count, count == 1 ? "" : "s");
}

class Page {
  public:
    explicit Page(const PreflightFacts& facts)
        : facts_(facts), traits_count_(facts.inventory.traits().size()) {
        for (const auto& one : facts.inventory.phones()) ++traits_count_[one.traits];
    }

    std::string body() {
        counts();
        steps();
        picture();
        groups();
        phones();
        return std::move(html_);
    }

  private:
    template <typename... Arguments>
    void add(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
        fmt::format_to(std::back_inserter(html_), format, std::forward<Arguments>(arguments)...);
    }

    std::string list_name(const std::string& checksum) const {
        if (checksum.empty()) return "none";
        const auto* entry = facts_.known.find(checksum);
        return entry == nullptr ? (checksum == phone::kNotKnown ? "not known" : checksum + " (not known)")
                                : entry->name;
    }

    // A name that fits into half a box; of a checksum the beginning.
    std::string brief_name(const std::string& checksum) const {
        constexpr std::size_t kDigits = 8, kLetters = 14;
        const bool known = checksum.empty() || checksum == phone::kNotKnown || facts_.known.find(checksum);
        return known ? shorten(file_name(list_name(checksum)), kLetters) : shorten(checksum, kDigits);
    }

    void counts() {
        const auto& result = facts_.result;
        const std::size_t refusing = result.count(phone::Outcome::Refuses);
        add("<h1>Will the phones take {}?</h1>\n", escape(file_name(facts_.list_name)));
        add("<p>Signed by {}. Decided {} for {}.</p>\n", escape(facts_.list.signer_name()), facts_.time,
            count_phones(facts_.inventory.phones().size()));
        add("<p class=\"{}\"><strong>{}</strong></p>\n", refusing == 0 ? "accepts" : "refuses",
            refusing == 0 ? "No phone is known to refuse." : count_phones(refusing) + " would refuse.");
        add("<ul class=\"counts\">\n");
        for (const auto& [outcome, word] :
             {std::pair(phone::Outcome::Accepts, "accept"), std::pair(phone::Outcome::Refuses, "refuse"),
              std::pair(phone::Outcome::NotKnown, "not known")}) {
            add("<li class=\"{}\"><strong>{}</strong> {}</li>\n", phone::to_text(outcome),
                result.count(outcome), word);
        }
        add("</ul>\n");
        if (result.unlisted_models > 0)
            add("<p>Models that are not known, judged by the look of the name: {}.</p>\n",
                count_phones(result.unlisted_models));
    }

    void steps() {
        const auto ways = facts_.result.ways();
        if (ways.empty()) return;
        add("<h2>What would change it</h2>\n<ul>\n");
        for (const auto& [way, phones] : ways)
            add("<li>{}: {}</li>\n", escape(phone::describe(way)), count_phones(phones));
        add("</ul>\n");
    }

    // What phones have on the left, the signer on the right, and how the phones come to trust it.
    void picture() {
        struct Name {
            std::string full, brief;
            auto operator<=>(const Name&) const = default;  // NOLINT(modernize-use-nullptr)
        };
        std::map<Name, std::map<phone::Rule, std::size_t>> boxes;
        for (std::size_t i = 0; i < traits_count_.size(); ++i) {
            if (traits_count_[i] == 0) continue;
            const phone::Traits& traits = facts_.inventory.traits()[i];
            const Name name{
                "CTL " + file_name(list_name(traits.ctl)) + ", ITL " + file_name(list_name(traits.itl)),
                "CTL " + brief_name(traits.ctl) + ", ITL " + brief_name(traits.itl)};
            boxes[name][facts_.result.groups[facts_.result.group_of[i]].verdict.rule] += traits_count_[i];
        }
        std::vector<std::pair<Name, std::map<phone::Rule, std::size_t>>> sorted(boxes.begin(), boxes.end());
        const auto phones_in = [](const auto& box) {
            std::size_t count = 0;
            for (const auto& [rule, phones] : box.second) count += phones;
            return count;
        };
        std::ranges::stable_sort(sorted,
                                 [&](const auto& a, const auto& b) { return phones_in(a) > phones_in(b); });
        const std::size_t left_out = sorted.size() > kMostBoxes ? sorted.size() - kMostBoxes : 0;
        sorted.resize(sorted.size() - left_out);

        std::size_t edges = 0;
        for (const auto& [name, rules] : sorted) edges += rules.size();
        constexpr std::size_t kRow = 46, kTop = 20;
        const std::size_t height = kTop + std::max<std::size_t>(edges, 1) * kRow + 20, middle = height / 2;
        add("<h2>Who trusts whom</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
            "aria-label=\"Who trusts whom\"><svg viewBox=\"0 0 900 {}\" role=\"img\" "
            "aria-labelledby=\"picture-title "
            "picture-text\">\n<title id=\"picture-title\">How phones come to trust the signer of the new "
            "list</title>\n",
            height);
        std::string lines, description;
        std::size_t y = kTop;
        for (const auto& box : sorted) {
            const std::size_t box_height = box.second.size() * kRow - 8;
            fmt::format_to(
                std::back_inserter(lines),
                "<rect class=\"box\" x=\"1\" y=\"{}\" width=\"300\" height=\"{}\" rx=\"6\"/><text x=\"10\" "
                "y=\"{}\">{}</text><text x=\"10\" y=\"{}\">{}</text>\n",
                y, box_height, y + 17, escape(box.first.brief), y + 34, count_phones(phones_in(box)));
            for (const auto& [rule, phones] : box.second) {
                const phone::Outcome outcome = phone::outcome_of(rule);
                const std::size_t at = y + 19;
                const bool arrives = outcome == phone::Outcome::Accepts;
                const std::size_t end_x = arrives ? 698 : 560, end_y = arrives ? middle : at;
                fmt::format_to(
                    std::back_inserter(lines),
                    "<path class=\"{}\" d=\"M301 {} C 420 {}, {} {}, {} {}\"/><text x=\"312\" y=\"{}\">{}: "
                    "{}</text>\n",
                    phone::to_text(outcome), at, at, end_x - 80, end_y, end_x, end_y, at - 6, phones,
                    escape(shorten(std::string(phone::to_text(rule)), 30)));
                if (!arrives)
                    fmt::format_to(std::back_inserter(lines), "<text x=\"566\" y=\"{}\">{}</text>\n", at + 5,
                                   outcome == phone::Outcome::Refuses ? "✕" : "?");
                fmt::format_to(std::back_inserter(description), "{} with {}: {}, {}. ", count_phones(phones),
                               escape(box.first.full), phone::to_text(outcome), phone::describe(rule));
                y += kRow;
            }
        }
        if (left_out > 0)
            fmt::format_to(std::back_inserter(description), "{} rarer combinations of lists are left out. ",
                           left_out);
        add("<desc id=\"picture-text\">{}</desc>\n{}<rect class=\"box\" x=\"700\" y=\"{}\" width=\"198\" "
            "height=\"44\" "
            "rx=\"6\"/><text x=\"709\" y=\"{}\">signer of the new list</text><text x=\"709\" "
            "y=\"{}\">{}</text>\n</svg></div>\n",
            description, lines, middle - 22, middle - 4, middle + 14,
            escape(shorten(std::string(facts_.list.signer_name()), 22)));
        if (left_out > 0) add("<p>{} rarer combinations of lists are in the table alone.</p>\n", left_out);
    }

    void filter(std::string_view table) {
        add("<form class=\"filter\" data-table=\"{0}\" role=\"search\" aria-label=\"Filter the table "
            "{0}\"><div><label "
            "for=\"{0}-words\">Words</label><input id=\"{0}-words\" name=\"words\" "
            "type=\"search\"></div><div><label "
            "for=\"{0}-verdict\">Verdict</label><select id=\"{0}-verdict\" name=\"verdict\"><option "
            "value=\"\">all</option>"
            "<option>accepts</option><option>refuses</option><option>not-known</option></select></"
            "div><output "
            "aria-live=\"polite\"></output></form>\n",
            table);
    }

    // On small screens rows are blocks: the roles say that this is a table all the same.
    void head(std::string_view table, std::string_view caption,
              std::initializer_list<std::string_view> headings) {
        add("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{1}\"><table "
            "id=\"{0}\" role=\"table\">\n<caption>{1}</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">",
            table, caption);
        for (const std::string_view heading : headings)
            add("<th scope=\"col\" role=\"columnheader\">{}</th>", heading);
        add("</tr></thead>\n<tbody role=\"rowgroup\">\n");
    }

    void cell(std::string_view label, std::string_view text, std::string_view kind = {}) {
        add("<td role=\"cell\" data-label=\"{}\"{}{}{}>{}</td>", label, kind.empty() ? "" : " class=\"", kind,
            kind.empty() ? "" : "\"", escape(text));
    }

    void cells_of(const phone::Verdict& verdict) {
        cell("Verdict", phone::to_text(verdict.outcome), phone::to_text(verdict.outcome));
        cell("Why", phone::describe(verdict.rule));
    }

    void groups() {
        add("<h2>Groups of phones</h2>\n");
        filter("groups");
        head("groups", "Phones by what they have",
             {"Verdict", "Why", "Model", "Firmware", "CTL", "ITL", "Device pool", "Phones"});
        std::vector<std::size_t> order;
        for (std::size_t i = 0; i < traits_count_.size(); ++i) {
            if (traits_count_[i] > 0) order.push_back(i);
        }
        std::ranges::stable_sort(
            order, [&](std::size_t a, std::size_t b) { return traits_count_[a] > traits_count_[b]; });
        const std::size_t left_out = order.size() > kMostRows ? order.size() - kMostRows : 0;
        order.resize(order.size() - left_out);
        for (const std::size_t i : order) {
            const phone::Traits& traits = facts_.inventory.traits()[i];
            const phone::Preflight::Group& group = facts_.result.groups[facts_.result.group_of[i]];
            add("<tr role=\"row\" data-verdict=\"{}\">", phone::to_text(group.verdict.outcome));
            cells_of(group.verdict);
            cell("Model", traits.model + (group.model.listed ? "" : " (not known)"));
            cell("Firmware", traits.firmware);
            cell("CTL", list_name(traits.ctl));
            cell("ITL", list_name(traits.itl));
            cell("Device pool", traits.pool);
            cell("Phones", std::to_string(traits_count_[i]), "number");
            add("</tr>\n");
        }
        finish(left_out, "groups");
    }

    void finish(std::size_t left_out, std::string_view what) {
        add("</tbody></table></div>\n");
        if (left_out > 0) add("<p>{} more {} are in the JSON report alone.</p>\n", left_out, what);
    }

    void phones() {
        add("<h2>Phones that need something</h2>\n");
        filter("phones");
        head("phones", "Phones that refuse, or of which it is not known",
             {"Phone", "Verdict", "Why", "What would change it", "Model", "CTL", "ITL"});
        std::size_t rows = 0, left_out = 0;
        for (const auto& one : facts_.inventory.phones()) {
            const phone::Verdict& verdict = facts_.result.group(one).verdict;
            if (verdict.outcome == phone::Outcome::Accepts) continue;
            if (rows == kMostRows) {
                ++left_out;
                continue;
            }
            ++rows;
            const phone::Traits& traits = facts_.inventory.traits_of(one);
            add("<tr role=\"row\" data-verdict=\"{}\"><th scope=\"row\" role=\"rowheader\">{}</th>",
                phone::to_text(verdict.outcome), escape(one.name));
            cells_of(verdict);
            std::string ways;
            for (const phone::Way& way : verdict.ways)
                ways += (ways.empty() ? "" : "; or ") + phone::describe(way);
            cell("What would change it", ways);
            cell("Model", traits.model);
            cell("CTL", list_name(traits.ctl));
            cell("ITL", list_name(traits.itl));
            add("</tr>\n");
        }
        finish(left_out, "phones");
    }

    const PreflightFacts& facts_;
    std::vector<std::size_t> traits_count_;  // phones, by index of traits
    std::string html_;
};

}  // namespace

std::string preflight_page(const PreflightFacts& facts) {
    std::string page(preflight_template());
    constexpr std::string_view kBody = "<!--body-->";
    page.replace(page.find(kBody), kBody.size(), Page(facts).body());
    return page;
}

}  // namespace ctlsign::cli
