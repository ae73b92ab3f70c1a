#pragma once

#include <pkcs11/bytes.hpp>

// What is fuzzed. A target takes any octets; it may refuse them with Error, and abort()s when a promise is
// broken.
namespace ctlsign::fuzz {

void list(ByteView input);    ///< trust lists: decode, encode, verify, show, extract
void header(ByteView input);  ///< a list that waits for its signature (.tbs): only the header has to be right
void record(ByteView input);  ///< one record behind a good header
void sgn(ByteView input);     ///< signed configuration files
void certificate(ByteView input);    ///< X.509, DER and PEM
void uri(ByteView input);            ///< PKCS#11 URIs
void manifest(ByteView input);       ///< manifests
void tvs_message(ByteView input);    ///< messages of the Trust Verification Service, and answers to them
void inventory(ByteView input);      ///< phones, as CSV or JSON lines
void models(ByteView input);         ///< tables of models of phones
void quirks(ByteView input);         ///< tables of what tokens and modules do otherwise
void profile(ByteView input);        ///< kinds of virtual tokens
void fault(ByteView input);          ///< lines of fault scripts
void introductions(ByteView input);  ///< PKCS#12 by which clusters know each other
void key_file(ByteView input);       ///< files with a private key, and the right passphrase of the seeds
void plan(ByteView input);           ///< which TVS servers there are, and which of them phones ask
void http_answer(ByteView input);    ///< what an HTTP server sends for a phone's file
void sftp_message(ByteView input);   ///< an SFTP server's greeting, and its answer to a renaming

}  // namespace ctlsign::fuzz
