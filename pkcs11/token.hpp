#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <pkcs11/mechanism.hpp>
#include <pkcs11/module.hpp>
#include <pkcs11/quirks.hpp>
#include <pkcs11/slot.hpp>

namespace ctlsign::pkcs11 {

/// What the flags of a token say of its user PIN. A module that never sets them says Good for ever.
enum class PinState { Good, CountLow, FinalTry, Locked, NotInitialized };
/// "good", "a wrong PIN was entered", "one try left", "locked", "not set".
std::string_view to_text(PinState state) noexcept;

/// CK_TOKEN_INFO (PKCS#11 2.40, 3.2), texts without their padding.
struct TokenInfo {
    std::string label, manufacturer, model, serial;
    std::string hardware_version, firmware_version;
    PinState pin = PinState::Good;
    bool pin_to_be_changed = false;
    bool login_required = false;
    bool protected_authentication_path = false;  ///< the PIN is entered at the reader
    bool write_protected = false;
    bool initialized = false;
    unsigned long min_pin = 0, max_pin = 0;  ///< octets

    /// Whether both are of one token, in whichever slot: manufacturer, serial and label.
    bool same_token(const TokenInfo& other) const noexcept;
    /// Names the token in files of ours: hexadecimal digits, the same as long as manufacturer and serial are.
    std::string file_name() const;
};

/// A token where it was found: module, slot, and who it is. A value; it holds the module open, nothing else.
class Token {
  public:
    /// What find_token_info() says of SLOT is INFO: nothing is asked here.
    Token(std::shared_ptr<Module> module, SlotId slot, TokenInfo info);

    /// Never null.
    const std::shared_ptr<Module>& module() const noexcept { return module_; }
    /// Where it was found: after a pull it may be in another one.
    SlotId slot() const noexcept { return slot_; }
    /// As it was found; read_info() asks anew.
    const TokenInfo& info() const noexcept { return info_; }
    /// "token SAST-ADN008580ef (serial 1234)", for messages.
    const std::string& text() const noexcept { return text_; }

    /// CK_TOKEN_INFO as it is now. Throws CK_RV; token_gone when it was pulled.
    TokenInfo read_info() const;
    /// C_GetMechanismList. Throws CK_RV.
    std::vector<Mechanism> mechanisms() const;
    /// C_GetMechanismInfo; nothing when the token does not know MECHANISM. Throws CK_RV otherwise.
    std::optional<MechanismInfo> find_mechanism(Mechanism mechanism) const;
    /// What QuirkTable::of_process() says of it; the token is not asked.
    Quirks quirks() const { return find_quirks(QuirkTable::of_process(), info_); }

  private:
    std::shared_ptr<Module> module_;
    SlotId slot_;
    TokenInfo info_;
    std::string text_;
};

}  // namespace ctlsign::pkcs11
