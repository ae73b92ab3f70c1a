#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pkcs11/module.hpp>

namespace ctlsign::pkcs11 {

/// What a kind of token does beyond, or short of, what PKCS#11 promises (quirks.toml).
struct Quirks {
    std::chrono::milliseconds settle{};            ///< no object may be seen so long after a plug
    std::chrono::milliseconds busy_after_close{};  ///< no session may open so long after the last one closed
    bool no_sign_final = false;                    ///< for information: C_SignFinal is never called
    bool no_combined_sha1 = false;                 ///< CKM_SHA1_RSA_PKCS is offered and does not work
    bool one_operation_at_a_time = false;
    std::vector<std::string> reasons;  ///< of each row that applies

    /// Each of them in words; empty when there is none.
    std::vector<std::string> effects() const;
};

/// The same of a module.
struct ModuleQuirks {
    bool never_finalize = false;        ///< it crashes or hangs in C_Finalize
    bool spurious_first_event = false;  ///< for information: a watcher's first look believes none
    bool no_slot_events = false;        ///< C_WaitForSlotEvent is not to be called
    std::vector<std::string> reasons;

    /// Each of them in words; empty when there is none.
    std::vector<std::string> effects() const;
};

/// Rows of TOML, in the form that the head of quirks.toml describes.
class QuirkTable {
  public:
    /// NAME is for messages. Throws Errc::MalformedQuirks with the line.
    static QuirkTable decode(std::string_view toml, std::string_view name);
    /// The shipped rows, those of /etc/ctlsign/quirks.toml, and those of CTLSIGN_QUIRKS or else of
    /// $XDG_CONFIG_HOME/ctlsign/quirks.toml; read at the first call. Throws as decode() does, and the
    /// system's code when a file cannot be read.
    static const QuirkTable& of_process();

    /// Rows that count more than those before.
    void append(QuirkTable later);

  private:
    template <typename Subject, typename Found>
    struct Row {
        struct Condition {
            std::string (*text_of)(const Subject&);
            std::vector<std::string> patterns;
        };
        std::string why;
        std::vector<Condition> conditions;
        std::vector<std::pair<bool Found::*, bool>> switches;
        std::vector<std::pair<std::chrono::milliseconds Found::*, std::chrono::milliseconds>> times;
    };
    using TokenRow = Row<TokenInfo, Quirks>;
    using ModuleRow = Row<Module::Info, ModuleQuirks>;
    struct Decoder;
    template <typename Subject, typename Found>
    static Found merge(const std::vector<Row<Subject, Found>>& rows, const Subject& subject);
    friend Quirks find_quirks(const QuirkTable& table, const TokenInfo& token);
    friend ModuleQuirks find_quirks(const QuirkTable& table, const Module::Info& module);
    friend bool may_forbid_finalize(const QuirkTable& table) noexcept;

    std::vector<TokenRow> tokens_;
    std::vector<ModuleRow> modules_;
};

/// What TABLE says of a token, or of a module. Pure.
Quirks find_quirks(const QuirkTable& table, const TokenInfo& token);
ModuleQuirks find_quirks(const QuirkTable& table, const Module::Info& module);
/// Whether any row has never-finalize, so that it is worth asking a module who it is.
bool may_forbid_finalize(const QuirkTable& table) noexcept;

}  // namespace ctlsign::pkcs11
