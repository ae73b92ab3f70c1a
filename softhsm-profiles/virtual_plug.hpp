#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace ctlsign::softhsm {

/// The reader of FOLDER in which a virtual token is plugged.
std::optional<unsigned> find_reader(const std::filesystem::path& folder, const std::string& token);

/// Plugs a token into READER, or into the first that is empty, and says into which. Throws Errc::NoSuchToken,
/// Errc::TokenPlugged, Errc::ReaderOccupied.
unsigned plug_virtual_token(const std::filesystem::path& folder, const std::string& token,
                            std::optional<unsigned> reader = std::nullopt);

/// Pulls a token out of its reader and says which that was. Throws Errc::NoSuchToken, Errc::TokenUnplugged.
unsigned unplug_virtual_token(const std::filesystem::path& folder, const std::string& token);

/// The number of a reader's folder, nothing for any other name.
std::optional<unsigned> find_reader_number(const std::string& name);
/// The link that says what is plugged into a reader.
std::filesystem::path link_of_reader(const std::filesystem::path& folder, unsigned reader);

}  // namespace ctlsign::softhsm
