#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <pkcs11/session.hpp>
#include <pkcs11/token.hpp>
#include <sast/token_login.hpp>
#include <softhsm-profiles/profile.hpp>

namespace ctlsign::softhsm {

/// What a token shows of its kind, as a profile with test PINs in the place of its own. Nothing of who it is:
/// neither label nor serial. Without LOGIN nobody is logged in; with it, one login and a few signatures.
/// Nothing is written to the token. Throws what sessions and sast::TokenLogin throw.
struct Learned {
    Profile profile;
    std::vector<std::string> unknown;  ///< keys of the profile that were left at their defaults
};
Learned learn_profile(const pkcs11::Token& token, sast::TokenLogin* login);

/// Closes SESSION and opens it again, a few times; the fastest opening, for the machine may be busy, too.
/// With other sessions of the process the token stays open. Throws what sessions throw.
std::chrono::milliseconds measure_opening(pkcs11::Session& session);
/// An idle token opens faster.
inline constexpr std::chrono::milliseconds kSlowOpening{20};

}  // namespace ctlsign::softhsm
