#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ctlsign::softhsm {

/// How one kind of token behaves, as data: one TOML file. SoftHSM2 itself can be given the label, the PINs,
/// the keys and what they allow, hidden certificates, and the mechanisms; the rest is for the module of
/// virtual tokens. Its PINs are test data that everybody may read.
struct Profile {
    struct Token {
        std::string label;         ///< empty: the name of the token
        std::string manufacturer;  ///< empty, as model and serial: what SoftHSM2 says
        std::string model;
        std::string serial;
        unsigned slots = 1;
        unsigned cryptoki_major = 2;
        unsigned cryptoki_minor = 40;
        bool removable = true;
        bool slot_id_changes = false;  ///< at each re-plug
    };
    struct Pin {
        std::string user;
        std::string security_officer;
        unsigned tries = 0;  ///< 0: never locks
        std::size_t minimum_length = 4;
        std::size_t maximum_length = 255;
        bool login_required = true;
        bool vendor_counter = false;  ///< the counter object of eTokens is there
    };
    struct Key {
        std::vector<unsigned> sizes;  ///< bits; the first is made when nobody names one
        std::string subject;          ///< of self-signed certificates; {name} stands for the token's name
        std::vector<std::string> mechanisms;  ///< names, CKM_...; empty: all that SoftHSM2 has
        std::vector<std::string>
            allowed_mechanisms;  ///< CKA_ALLOWED_MECHANISMS of private keys; empty: not set
        bool always_authenticate = false;
    };
    struct Behaviour {
        std::chrono::milliseconds settle{0};            ///< object list empty after a plug
        std::chrono::milliseconds busy_after_close{0};  ///< unavailable after the last session
        std::chrono::milliseconds latency{0};           ///< of each signature
        bool certificates_hidden = false;               ///< until login
        bool one_operation_at_a_time = false;
        bool no_sign_final = false;
        bool no_combined_sha1 = false;      ///< CKM_SHA1_RSA_PKCS answers CKR_ARGUMENTS_BAD
        bool spurious_first_event = false;  ///< the module tells of a slot in which nothing has changed
    };

    std::string name;
    std::string text;  ///< the TOML it was read from
    std::string description;
    Token token;
    Pin pin;
    Key key;
    Behaviour behaviour;
};

/// Reads TOML; NAME becomes the profile's name and stands in errors. A key that no profile has, a wrong type
/// or a value out of range: Errc::MalformedProfile with its line.
Profile decode_profile(std::string_view toml, std::string_view name);

/// The same as TOML; decode_profile() gives it back.
std::string encode_profile(const Profile& profile);

/// A profile that is shipped, by name, or any other, by the path of its file (a text with '/' or ".toml").
/// Throws Errc::UnknownProfile, Errc::MalformedProfile, or the system's error for a file that cannot be read.
Profile load_profile(const std::string& name_or_path);

/// The names of the profiles that are shipped, sorted.
std::vector<std::string> shipped_profiles();

}  // namespace ctlsign::softhsm
