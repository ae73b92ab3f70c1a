#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <pkcs11/bytes.hpp>
#include <pkcs11/token.hpp>

namespace ctlsign::pkcs11 {

/// A PKCS#11 URI (RFC 7512), read and matched by p11-kit. A value, cheap to copy.
class Uri {
  public:
    /// Throws Errc::NotAnUri, and Errc::PinInUri when it holds a pin-value: a PIN does not belong into a
    /// command line.
    static Uri parse(std::string_view text);
    /// True when TEXT begins with "pkcs11:", in any case.
    static bool looks_like(std::string_view text) noexcept;
    /// The URI that names TOKEN by label and serial.
    static Uri of(const Token& token);

    /// Whether the URI's token, slot and library attributes fit. Attributes unknown to p11-kit fit nothing.
    bool matches(const Token& token) const;

    std::optional<Bytes> id() const;            ///< CKA_ID
    std::optional<std::string> object() const;  ///< CKA_LABEL
    std::optional<std::string> module_path() const;
    std::optional<std::string> module_name() const;
    std::optional<std::string> pin_source() const;
    std::string to_text() const;

  private:
    struct Impl;
    explicit Uri(std::shared_ptr<const Impl> impl);
    std::shared_ptr<const Impl> impl_;
};

}  // namespace ctlsign::pkcs11
