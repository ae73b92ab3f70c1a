#include <charconv>

#include <ctlsign/cluster/release.hpp>

namespace ctlsign::cluster {

namespace {

// The digits at the beginning of TEXT, taken off it.
std::optional<unsigned> take_number(std::string_view& text) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

}  // namespace

std::optional<Release> Release::parse(std::string_view text) {
    Release release;
    release.text_ = text;
    // Without a maintenance release the first is meant: 14SU3 is 14.0(1)SU3.
    release.numbers_ = {0, 0, 1, 0};
    const auto number = [&text](unsigned& place) {
        const auto found = take_number(text);
        if (found) place = *found;
        return found.has_value();
    };
    if (!number(release.numbers_[0])) return std::nullopt;
    if (take(text, ".") && !number(release.numbers_[1])) return std::nullopt;
    if (take(text, "(")) {
        if (!number(release.numbers_[2])) return std::nullopt;
        const std::size_t end = text.find(')');
        // An engineering special says more: 10.5(2.10000-5), 8.6(2a).
        if (end == std::string_view::npos) return std::nullopt;
        text.remove_prefix(end + 1);
    }
    if ((take(text, "SU") || take(text, "su")) && !number(release.numbers_[3])) return std::nullopt;
    if (!text.empty() && text.size() != 1) return std::nullopt;
    if (text.size() == 1 && (text[0] < 'a' || text[0] > 'z')) return std::nullopt;
    return release;
}

bool Release::knows_tokenless() const noexcept {
    return numbers_ >= Numbers{10, 0, 0, 0};
}

bool Release::has_itl_recovery() const noexcept {
    return numbers_ >= Numbers{10, 5, 2, 0};
}

bool Release::keeps_publisher_sast() const noexcept {
    return numbers_ >= Numbers{11, 5, 0, 0};
}

bool Release::signs_with_itl_recovery() const noexcept {
    return numbers_ >= Numbers{12, 0, 0, 0};
}

bool Release::takes_tokens() const noexcept {
    return numbers_ < Numbers{14, 0, 1, 3};
}

}  // namespace ctlsign::cluster
