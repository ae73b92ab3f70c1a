#include <fmt/format.h>

#include <memory>
#include <mutex>
#include <optional>

#include <cli/batch.hpp>
#include <cli/config.hpp>
#include <cli/input.hpp>
#include <cli/output.hpp>
#include <cli/signer.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/trustlist/sgn.hpp>

namespace ctlsign::cli {

namespace {

struct ConfigSignOptions {
    std::vector<std::string> files;
    SignerOptions signer;
    Places places;
    std::string timestamp, digest = "sha1", name_style = "callmanager", layout = "cucm";
    unsigned jobs = 1;
    bool dry_run = false;
    Format format = Format::AsText;
};

template <typename Find>
auto get_choice(const char* option, const std::string& text, Find find) {
    const auto found = find(text);
    if (!found) throw UsageError(fmt::format("{} {}: see --help for what it can be", option, text));
    return *found;
}

// But for the name of the file.
HeaderDraft make_header(const ConfigSignOptions& options, const sast::Certificate& certificate) {
    return make_sgn_header(certificate, {}, get_choice("--digest", options.digest, find_digest),
                           get_choice("--name-style", options.name_style, find_name_style),
                           get_choice("--layout", options.layout, find_layout),
                           choose_timestamp(options.timestamp, std::nullopt));
}

class ConfigSigner {
  public:
    ConfigSigner(const ConfigSignOptions& options, sast::Signer& signer)
        : options_(options),
          signer_(signer),
          header_(make_header(options, signer.facts().certificate)),
          names_(names_below_root(options.files, options.places)) {
        for (std::string& name : names_) name += ".sgn";
        targets_ = targets_for(options.files, names_, options.places);
    }

    /// Everything about a file that can fail before there is a signature.
    void check(std::size_t file) const {
        const ToSign to_sign = make(file);
        static_cast<void>(open(file, to_sign));
    }

    void sign(std::size_t file) {
        const ToSign to_sign = make(file);
        OutputFile output = open(file, to_sign);
        const Bytes finished = splice(to_sign, sign_one(to_sign.octets));
        const std::vector certificates{signer_.facts().certificate};
        const Verdict verdict = verify(decode_sgn(ByteView(finished)), {{}, certificates}, now());
        if (verdict.outcome != Outcome::Verified)
            throw Error(Errc::NotVerified, "signing", options_.files[file], to_text(verdict));
        output.store(finished);
    }

  private:
    ToSign make(std::size_t file) const {
        HeaderDraft header = header_;
        header.filename = names_[file];
        return encode(header, read_input(options_.files[file]).bytes);
    }

    OutputFile open(std::size_t file, const ToSign& to_sign) const {
        return open_output(targets_[file], signed_size(to_sign.octets.size(), to_sign.signature_length),
                           {options_.files[file], options_.signer.signer});
    }

    // A token signs one file after the other. What stops it once is not tried again: neither a wrong PIN nor
    // a token that was pulled gets better by the next file.
    Bytes sign_one(ByteView octets) {
        const std::lock_guard lock(mutex_);
        if (refusal_) {
            throw Error(refusal_->code(), "signing", signer_.facts().description,
                        "not tried: the signer failed before");
        }
        try {
            return signer_.sign(header_.digest, octets);
        } catch (const Error& error) {
            refusal_ = error;
            throw;
        }
    }

    const ConfigSignOptions& options_;
    sast::Signer& signer_;
    HeaderDraft header_;
    std::vector<std::string> names_, targets_;
    std::mutex mutex_;
    std::optional<Error> refusal_;
};

ExitCode run(const ConfigSignOptions& options) {
    const OpenedSigner opened = open_signer(options.signer);
    ConfigSigner signer(options, *opened.signer);
    Batch batch(options.files, options.jobs);
    batch.run("checking", [&](std::size_t file) { signer.check(file); });
    const std::string& description = opened.signer->facts().description;
    if (options.dry_run)
        return batch.report(fmt::format("would be signed by {}", description), options.format);
    if (batch.failed() < options.files.size()) {
        opened.unlock();
        batch.run("signing", [&](std::size_t file) { signer.sign(file); });
    }
    return batch.report(fmt::format("signed by {}", description), options.format);
}

}  // namespace

void add_config_sign(Command parent, Action& action) {
    const auto options = std::make_shared<ConfigSignOptions>();
    Command command =
        add_command(parent, "sign", "Put a signed header before configuration files: FILE.sgn for each",
                    "ctlsign config sign *.cnf.xml --signer 'pkcs11:token=tftp' -d signed");
    command.add_option("FILE", options->files, "The files, as many as there are").required();
    add_signer_options(command, options->signer);
    add_place_options(command, options->places);
    command.add_option("--digest", options->digest, "sha1 (every phone), sha256 or sha512")
        .type_name("DIGEST");
    command.add_option("--name-style", options->name_style, "callmanager, ctl-client or rfc4514")
        .type_name("STYLE");
    command.add_option("--layout", options->layout, "cucm or open-tools").type_name("LAYOUT");
    add_timestamp_option(command, options->timestamp);
    add_jobs_option(command, options->jobs);
    command.add_flag("--dry-run", options->dry_run, "Do everything up to the PIN, and write nothing");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
