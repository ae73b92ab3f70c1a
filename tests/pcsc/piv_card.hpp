#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include <pkcs11/bytes.hpp>
#include <tests/support/key_signer.hpp>

namespace ctlsign::testing {

/// A PIV card (NIST SP 800-73-4) with what OpenSC needs to sign: command APDU in, response APDU out. Keys of
/// RSA-1024, RSA-2048 and P-256. What a card forgets without power is forgotten at power_on(); the PIN's
/// tries are not.
class PivCard {
  public:
    struct Key {
        KeyPtr key;
        sast::Certificate certificate;
    };
    /// Key references of SP 800-78-4, table 6-1.
    static constexpr std::uint8_t kAuthentication = 0x9A, kSignature = 0x9C;
    static constexpr unsigned kTries = 3;
    static constexpr const char* kPin = "123456";

    /// NUMBER tells one card from another: OpenSC shows it as the last octet of the serial number.
    PivCard(std::uint8_t number, std::map<std::uint8_t, Key> keys);

    static const Bytes& answer_to_reset();
    void power_on();
    Bytes answer(ByteView command);

    unsigned tries_left() const { return tries_; }
    void set_tries_left(unsigned tries) { tries_ = tries; }

  private:
    struct Command;
    Bytes select(const Command& command);
    Bytes get_data(const Command& command);
    Bytes verify(const Command& command);
    Bytes general_authenticate(const Command& command);
    Bytes respond(ByteView data);

    std::map<std::uint8_t, Key> keys_;
    std::map<Bytes, Bytes> objects_;
    std::atomic<unsigned> tries_ = kTries;
    bool selected_ = false, verified_ = false;
    bool just_verified_ = false;  ///< what the signature key asks for each time
    Bytes chained_, pending_;     ///< of a command not yet whole, of a response not yet fetched
};

/// A card whose authentication key is STEM.key, with STEM.pem, under tests/data.
std::unique_ptr<PivCard> make_piv_card(std::uint8_t number, const std::string& stem);

/// The signature command's instruction byte (GENERAL AUTHENTICATE).
inline constexpr std::uint8_t kGeneralAuthenticate = 0x87;

}  // namespace ctlsign::testing
