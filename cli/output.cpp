#include <fmt/format.h>

#include <cli/json.hpp>
#include <cli/output.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/files/load.hpp>
#include <ctlsign/trustlist/show.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

void require_output(const std::string& path, const std::vector<std::string>& inputs) {
    if (path == "-") throw UsageError("the output cannot be -: give the path of a file");
    for (const std::string& input : inputs) {
        if (same_file(path, input))
            throw UsageError(fmt::format("{} is an input: the output must be another file", path));
    }
}

OutputFile open_output(const std::string& path, std::size_t size, const std::vector<std::string>& inputs) {
    require_output(path, inputs);
    return OutputFile::open(path, size);
}

void report_planned(const std::string& path, const ListDraft& draft, const sast::Signer::Facts& facts,
                    std::size_t length, Format format) {
    if (format == Format::AsJson) {
        print_json({{"file", path},
                    {"length", length},
                    {"signer", facts.description},
                    {"digest", to_text(draft.header.digest)},
                    {"timestamp", format_utc(draft.header.timestamp)},
                    {"records", draft.records.size()},
                    {"dry-run", true}});
    } else {
        print(fmt::format(
            "{}: would be {} octets, {} records, signed by {} with {} at {}; nothing is written\n", path,
            length, draft.records.size(), facts.description, to_text(draft.header.digest),
            format_utc(draft.header.timestamp)));
    }
}

void report_signed(const std::string& path, ByteView octets, Format format) {
    const Checksums sums = checksums(octets);
    if (format == Format::AsJson) {
        print_json({{"file", path}, {"length", octets.size()}, {"md5", sums.md5}, {"sha1", sums.sha1}});
    } else {
        print(fmt::format("{}: {} octets, {}(MD5) {}(SHA1)\n", path, octets.size(), sums.md5, sums.sha1));
    }
}

}  // namespace ctlsign::cli
