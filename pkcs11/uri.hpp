#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <pkcs11/bytes.hpp>
#include <pkcs11/token.hpp>

namespace ctlsign::pkcs11 {

/// A PKCS#11 URI (RFC 7512), read and matched by p11-kit. A value, cheap to copy. What it gives of its
/// attributes (2.3, 2.4) is percent-decoded, and nothing for one that it has not.
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

    /// "id": CKA_ID.
    std::optional<Bytes> id() const;
    /// "object": CKA_LABEL, UTF-8.
    std::optional<std::string> object() const;
    /// "module-path": the file of a module. Whoever wrote the URI chose what it makes a program load.
    std::optional<std::string> module_path() const;
    /// "module-name": that file's name without "lib" and without its ending.
    std::optional<std::string> module_name() const;
    /// "pin-source": where the PIN comes from, as it stands; see sast::make_pin_source().
    std::optional<std::string> pin_source() const;
    /// The URI, written by p11-kit. Throws Errc::NotAnUri when it cannot.
    std::string to_text() const;

  private:
    struct Impl;
    explicit Uri(std::shared_ptr<const Impl> impl);
    std::shared_ptr<const Impl> impl_;
};

}  // namespace ctlsign::pkcs11
