#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ctlsign/cluster/state.hpp>

struct evp_pkey_st;

namespace ctlsign::cluster {

/// An RSA key that was just made, and a certificate that it has signed itself.
class NewCertificate {
  public:
    struct Terms {
        Bytes subject_der;  ///< Name, with its head
        unsigned bits = 2048;
        std::int64_t not_before = 0, not_after = 0;  ///< Unix seconds
    };
    explicit NewCertificate(const Terms& terms);

    const sast::Certificate& certificate() const noexcept { return certificate_; }
    /// Its private key to a file that is not there yet: PEM (PKCS#8), readable by its owner alone. Throws the
    /// system's code.
    void store_key(const std::string& path) const;

  private:
    struct Free {
        void operator()(evp_pkey_st* key) const noexcept;
    };
    std::unique_ptr<evp_pkey_st, Free> key_;
    sast::Certificate certificate_;
};

/// The subject that takes the place of OLD: the same, but for CAPF, whose is new each time ("CAPF-1f20a3b4").
Bytes regenerated_subject(Store store, const sast::Certificate& old);

/// What to know before FRESH takes its place in STORE of NODE, a line each: whether the CTL's signer will
/// change, and what phones make of it.
std::vector<std::string> announce(const State& state, Store store, const Node& node,
                                  const sast::Certificate& fresh);

}  // namespace ctlsign::cluster
