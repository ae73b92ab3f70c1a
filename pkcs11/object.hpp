#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <pkcs11/bytes.hpp>
#include <pkcs11/mechanism.hpp>

namespace ctlsign::pkcs11 {

/// A session's number for an object.
enum class ObjectHandle : unsigned long {};

enum class ObjectClass : unsigned long {
    Data = 0,
    Certificate = 1,
    PublicKey = 2,
    PrivateKey = 3,
    HardwareFeature = 5,
};
enum class KeyType : unsigned long { Rsa = 0, Ec = 3 };
enum class CertificateType : unsigned long { X509 = 0 };
/// CKA_HW_FEATURE_TYPE; the one named is SafeNet's counter of PIN tries.
enum class HardwareFeatureType : unsigned long { PinCounter = 0x80005002 };

/// An attribute with the type of its value (PKCS#11 2.40, section 4): numbers, truths, texts or octets.
template <unsigned long Type, typename Value>
struct Attribute {
    static constexpr unsigned long kType = Type;
    using value_type = Value;
};

namespace attribute {
using Class = Attribute<0x0, ObjectClass>;
using Token = Attribute<0x1, bool>;
using Private = Attribute<0x2, bool>;
using Label = Attribute<0x3, std::string>;
using Value = Attribute<0x11, Bytes>;
using CertificateType = Attribute<0x80, pkcs11::CertificateType>;
using Issuer = Attribute<0x81, Bytes>;
using SerialNumber = Attribute<0x82, Bytes>;
using KeyType = Attribute<0x100, pkcs11::KeyType>;
using Subject = Attribute<0x101, Bytes>;
using Id = Attribute<0x102, Bytes>;
using Sensitive = Attribute<0x103, bool>;
using Sign = Attribute<0x108, bool>;
using Verify = Attribute<0x10A, bool>;
using Modulus = Attribute<0x120, Bytes>;
using ModulusBits = Attribute<0x121, unsigned long>;
using PublicExponent = Attribute<0x122, Bytes>;
using Extractable = Attribute<0x162, bool>;
using AlwaysAuthenticate = Attribute<0x202, bool>;
using HardwareFeature = Attribute<0x300, HardwareFeatureType>;
using PinTriesLeft = Attribute<0x80001110, unsigned long>;
using PinTriesMaximum = Attribute<0x80001112, unsigned long>;
using AllowedMechanisms = Attribute<0x40000600, std::vector<Mechanism>>;
}  // namespace attribute

/// Octets of an attribute's value as Cryptoki holds them (CK_BBOOL, CK_ULONG, text, octets).
template <typename Value>
Bytes encode_attribute(const Value& value) {
    if constexpr (std::is_same_v<Value, bool>) {
        return {static_cast<std::uint8_t>(value ? 1 : 0)};
    } else if constexpr (std::is_enum_v<Value> || std::is_integral_v<Value>) {
        const auto number = static_cast<unsigned long>(value);
        const auto* octets = reinterpret_cast<const std::uint8_t*>(&number);
        return Bytes(octets, octets + sizeof number);
    } else if constexpr (std::is_same_v<Value, std::string>) {
        const ByteView view = as_bytes(value);
        return Bytes(view.begin(), view.end());
    } else {
        return value;
    }
}

/// The value in the octets of an attribute; nothing when they have not the size that its type needs.
template <typename Value>
std::optional<Value> decode_attribute(ByteView octets) {
    const auto number_at = [&](std::size_t at) {
        unsigned long number = 0;
        std::copy_n(octets.begin() + static_cast<std::ptrdiff_t>(at), sizeof number,
                    reinterpret_cast<std::uint8_t*>(&number));
        return number;
    };
    if constexpr (std::is_same_v<Value, bool>) {
        if (octets.size() != 1) return std::nullopt;
        return octets[0] != 0;
    } else if constexpr (std::is_enum_v<Value> || std::is_integral_v<Value>) {
        if (octets.size() != sizeof(unsigned long)) return std::nullopt;
        return static_cast<Value>(number_at(0));
    } else if constexpr (std::is_same_v<Value, std::string>) {
        return std::string(as_text(octets));
    } else if constexpr (std::is_same_v<Value, std::vector<Mechanism>>) {
        if (octets.size() % sizeof(unsigned long) != 0) return std::nullopt;
        std::vector<Mechanism> list;
        for (std::size_t i = 0; i < octets.size(); i += sizeof(unsigned long))
            list.push_back(Mechanism{number_at(i)});
        return list;
    } else {
        return Bytes(octets.begin(), octets.end());
    }
}

/// Attributes to search by or to make an object of.
class Template {
  public:
    /// Adds attribute A (`with<attribute::Label>("key")`) with a copy of VALUE; the same one twice is not
    /// looked for.
    template <typename A>
    Template& with(const typename A::value_type& value) {
        entries_.push_back({A::kType, encode_attribute(value)});
        return *this;
    }
    /// An attribute as Cryptoki has it: CKA_..., and the octets of its value.
    struct Entry {
        unsigned long type = 0;
        Bytes value;
    };
    /// In the order in which they were added. Borrowed from the template.
    const std::vector<Entry>& entries() const noexcept { return entries_; }

  private:
    std::vector<Entry> entries_;
};

}  // namespace ctlsign::pkcs11
