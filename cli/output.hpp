#pragma once

#include <string>
#include <vector>

#include <cli/command.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <pkcs11/store.hpp>
#include <sast/signer.hpp>

namespace ctlsign::cli {

/// Throws UsageError when PATH, that of an output, is one of INPUTS or standard output.
void require_output(const std::string& path, const std::vector<std::string>& inputs);

/// The file that -o names, checked as far as that goes before a PIN is asked for. Throws what
/// require_output and OutputFile::open throw.
OutputFile open_output(const std::string& path, std::size_t size, const std::vector<std::string>& inputs);

/// What would be written, LENGTH octets, signed by whom FACTS tell of.
void report_planned(const std::string& path, const ListDraft& draft, const sast::Signer::Facts& facts,
                    std::size_t length, Format format);

/// What was written, with the checksums that phones show.
void report_signed(const std::string& path, ByteView octets, Format format);

}  // namespace ctlsign::cli
