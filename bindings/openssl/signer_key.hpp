#pragma once

#include <memory>

#include <bindings/openssl/token_key.hpp>
#include <sast/pin_source.hpp>
#include <sast/token_signer.hpp>

namespace ctlsign::openssl {

/// SIGNER's key for servers and other long work: it survives a token that is pulled and put back, as SIGNER
/// does, and checks each signature before OpenSSL has it. For as many threads as there are, one at a time.
/// The key holds both arguments; what SIGNER throws is put on OpenSSL's queue of errors. PSS, and with it
/// TLS 1.3, needs a token that takes InputForm::PaddedBlock.
KeyPtr make_key(std::unique_ptr<sast::TokenSigner> signer, std::unique_ptr<sast::PinSource> pins);

}  // namespace ctlsign::openssl
