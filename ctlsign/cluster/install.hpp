#pragma once

#include <string>
#include <vector>

#include <ctlsign/cluster/database.hpp>
#include <ctlsign/cluster/regenerate.hpp>
#include <ctlsign/cluster/rules.hpp>

namespace ctlsign::cluster {

/// Throws EEXIST where something stands at PATH, a link that leads nowhere too: no key is written there.
void require_free(const std::string& path);

/// Writes FRESH's key to the absolute KEY_PATH, where nothing is yet, and puts its certificate into STORE of
/// NODE (put_own_certificate). FORCED goes to the audit. Throws the system's code. What a killed process
/// leaves is in the journal: see resume.
void install(Writer& writer, Store store, const Node& node, const NewCertificate& fresh,
             const std::string& key_path, const std::vector<Refusal>& forced);
/// What the journal says of such a key is ended: where the key was written its certificate stands now, else
/// the one of before. Which of the two. For this folder's sources.
bool finish_install(Writer& writer);

}  // namespace ctlsign::cluster
