#include <filesystem>
#include <string>
#include <utility>

#include <bindings/c/file.hpp>
#include <bindings/c/signer.hpp>
#include <ctlsign/files/certificates.hpp>
#include <ctlsign/files/load.hpp>
#include <ctlsign/trustlist/manifest.hpp>
#include <ctlsign/trustlist/sign.hpp>
#include <ctlsign/trustlist/text.hpp>

using namespace ctlsign;
using namespace ctlsign::c;

struct ctlsign_manifest : Object {
    explicit ctlsign_manifest(LoadedManifest given) : loaded(std::move(given)) {}

    ListDraft draft_for(const sast::Certificate& signer, std::int64_t timestamp) const;

    LoadedManifest loaded;
};

namespace {

std::uint32_t timestamp_of(std::int64_t seconds, std::optional<std::uint32_t> otherwise) {
    if (seconds == CTLSIGN_TIME_DEFAULT && otherwise) return *otherwise;
    const auto timestamp = find_timestamp(time_of(seconds));
    if (!timestamp) refuse_argument("a trust list holds times from 1970 to 2106");
    return *timestamp;
}

NameStyle style_of(ctlsign_name_style style) {
    switch (style) {
        case CTLSIGN_NAME_CALLMANAGER:
            return NameStyle::CallManager;
        case CTLSIGN_NAME_CTL_CLIENT:
            return NameStyle::CtlClient;
        case CTLSIGN_NAME_RFC4514:
            return NameStyle::Rfc4514;
        default:
            refuse_argument("name_style is none of CTLSIGN_NAME_...");
    }
}

Layout layout_of(ctlsign_layout layout) {
    switch (layout) {
        case CTLSIGN_LAYOUT_CUCM:
            return Layout::Cucm;
        case CTLSIGN_LAYOUT_OPEN_TOOLS:
            return Layout::OpenTools;
        default:
            refuse_argument("layout is none of CTLSIGN_LAYOUT_...");
    }
}

HeaderDraft header_of(const ctlsign_sgn_options& options, const sast::Certificate& signer) {
    return make_sgn_header(signer, text(options.filename, "options->filename"), digest_of(options.digest),
                           style_of(options.name_style), layout_of(options.layout),
                           timestamp_of(options.timestamp, std::nullopt));
}

}  // namespace

ListDraft ctlsign_manifest::draft_for(const sast::Certificate& signer, std::int64_t timestamp) const {
    return make_draft(loaded.manifest, loaded.load, signer,
                      timestamp_of(timestamp, loaded.manifest.timestamp));
}

ctlsign_status ctlsign_manifest_load(const char* path, ctlsign_manifest** manifest, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(manifest, "manifest");
        const std::string file = text(path, "path");
        const auto loaded = load_file(file, kMaxFileSize);
        out = open_handle(std::make_shared<ctlsign_manifest>(
            LoadedManifest{decode_manifest(as_text(loaded.bytes), file),
                           make_certificate_loader(std::filesystem::path(file).parent_path().string())}));
    });
}

ctlsign_status ctlsign_manifest_decode(ctlsign_view toml, const char* folder, ctlsign_manifest** manifest,
                                       ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(manifest, "manifest");
        const ByteView given = octets(toml, "toml.data");
        out = open_handle(std::make_shared<ctlsign_manifest>(
            LoadedManifest{decode_manifest(as_text(given), "the manifest"),
                           make_certificate_loader(text(folder, "folder"))}));
    });
}

ctlsign_status ctlsign_list_build(ctlsign_manifest* manifest, ctlsign_signer* signer, int64_t timestamp,
                                  ctlsign_bytes* file, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(file, "file");
        const auto recipe = get_object(manifest);
        const auto object = get_object(signer);
        const ctlsign_signer::Use use(*object);
        out = Copy(sign_list(recipe->draft_for((*use).facts().certificate, timestamp), *use)).release();
    });
}

ctlsign_status ctlsign_list_resign(ctlsign_file* list, ctlsign_signer* signer, int64_t timestamp,
                                   ctlsign_bytes* file, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(file, "file");
        const auto before = get_object(list);
        const auto object = get_object(signer);
        const auto time = timestamp_of(timestamp, std::nullopt);
        const ctlsign_signer::Use use(*object);
        out = Copy(sign_list(make_resign_draft(before->list(), (*use).facts().certificate, time), *use))
                  .release();
    });
}

ctlsign_status ctlsign_list_prepare(ctlsign_manifest* manifest, ctlsign_view certificate, int64_t timestamp,
                                    ctlsign_bytes* prepared, ctlsign_bytes* digest, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(prepared, "prepared");
        auto& digest_out = result(digest, "digest");
        const auto recipe = get_object(manifest);
        const auto signer =
            decode_certificates(octets(certificate, "certificate.data"), "certificate").front();
        const Prepared made = prepare(recipe->draft_for(signer, timestamp));
        Copy covered(made.octets);
        Copy approved(made.digest);
        out = covered.release();
        digest_out = approved.release();
    });
}

ctlsign_status ctlsign_list_attach(ctlsign_view prepared, ctlsign_view signature, ctlsign_view certificate,
                                   ctlsign_view digest, ctlsign_bytes* file, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(file, "file");
        AttachChecks checks;
        if (const auto given = find_octets(certificate))
            checks.certificate = decode_certificates(*given, "certificate").front();
        if (const auto given = find_octets(digest)) checks.digest = Bytes(given->begin(), given->end());
        out = Copy(attach(octets(prepared, "prepared.data"), octets(signature, "signature.data"), checks))
                  .release();
    });
}

ctlsign_status ctlsign_sgn_sign(ctlsign_view payload, const ctlsign_sgn_options* options,
                                ctlsign_signer* signer, ctlsign_bytes* file, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(file, "file");
        const ByteView content = octets(payload, "payload.data");
        const auto given = read_struct(options, "options");
        const auto object = get_object(signer);
        const ctlsign_signer::Use use(*object);
        out = Copy(sign_payload(header_of(given, (*use).facts().certificate), content, *use)).release();
    });
}
