#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/trustlist/model.hpp>

namespace ctlsign::phone {

/// What a model of phone can do.
struct Model {
    bool listed = false;  ///< false: not known, or taken for what its name looks like
    /// Asks TVS about a signer that its lists do not know. Nothing: not known.
    std::optional<bool> security_by_default{};
    bool sha1_only = false;
    bool tls10_only = false;
    Version newest_header{1, 2};
    std::vector<std::string> reasons{};  ///< of each row that applies

    friend bool operator==(const Model&, const Model&) = default;
};

/// What is left of a model's name when everything that stands in front of its own is taken away: "8861" of
/// "CP-8861" and of "Cisco 8861".
std::string_view own_name(std::string_view name);

/// Rows of TOML, in the form that the head of models.toml describes.
class ModelTable {
  public:
    /// NAME is for messages. Throws Errc::Malformed with the line.
    static ModelTable decode(std::string_view toml, std::string_view name);
    /// The rows of models.toml, which are part of this library; each says why. Lives as long as the program.
    static const ModelTable& shipped();

    /// Rows that count more than those before.
    void append(ModelTable later);
    /// NAME as an inventory has it, in any case: "CP-8861", "Cisco 8861", "Cisco Unified IP Phone 7940".
    Model find(std::string_view name, std::string_view firmware) const;

  private:
    struct Decoder;
    struct Row {
        std::string why;
        std::vector<std::string> names, firmware;
        std::optional<bool> guess{}, security_by_default{}, sha1_only{}, tls10_only{};
        std::optional<Version> newest_header{};
    };
    std::vector<Row> rows_;
};

}  // namespace ctlsign::phone
