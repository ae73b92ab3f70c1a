#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace ctlsign::cluster {

/// A release of Unified CM, "10.5(2)", "12.5(1)SU3", "14SU3": which certificates sign, and who may, depends
/// on it.
class Release {
  public:
    /// Nothing when TEXT is none.
    static std::optional<Release> parse(std::string_view text);
    const std::string& text() const noexcept { return text_; }  ///< as it was given

    bool knows_tokenless() const noexcept;  ///< 10.0: the publisher's key may sign
    bool has_itl_recovery()
        const noexcept;  ///< 10.5(2): ITLRecovery is a SAST, and the local key can be reset
    bool keeps_publisher_sast() const noexcept;     ///< 11.5: the publisher's two stand beside the tokens
    bool signs_with_itl_recovery() const noexcept;  ///< 12.0
    bool takes_tokens() const noexcept;             ///< until 14SU3

    // Order of the releases, not of their texts.
    friend bool operator<(const Release& a, const Release& b) noexcept { return a.numbers_ < b.numbers_; }

  private:
    using Numbers = std::array<unsigned, 4>;  ///< major, minor, maintenance, service update
    std::string text_;
    Numbers numbers_{};
};

}  // namespace ctlsign::cluster
