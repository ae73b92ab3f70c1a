#pragma once

#include <string>
#include <vector>

#include <pkcs11/pin.hpp>
#include <pkcs11/session.hpp>
#include <pkcs11/token.hpp>
#include <softhsm-profiles/profile.hpp>

namespace ctlsign::softhsm {

/// What a token shows of its kind, as a profile with test PINs in the place of its own. Nothing of who it is:
/// neither label nor serial. Without PIN nothing is logged in; with it, one login and a few signatures.
/// Nothing is written to the token. Throws what sessions throw.
struct Learned {
    Profile profile;
    std::vector<std::string> unknown;  ///< keys of the profile that were left at their defaults
};
Learned learn_profile(const pkcs11::Token& token, const pkcs11::Pin* pin, pkcs11::FinalTry final_try);

}  // namespace ctlsign::softhsm
