#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/output.hpp>
#include <cli/terminal.hpp>
#include <cli/token_report.hpp>
#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/stores.hpp>
#include <pkcs11/uri.hpp>

namespace ctlsign::cli {

namespace {

struct ClusterCertificateOptions {
    ClusterOptions cluster;
    std::string file, store, node, key, serial;
    Answer answer = Answer::Ask;
    Force force = Force::No;
    Format format = Format::AsText;
};

std::string node_name(const cluster::State& state, const cluster::StoredCertificate& stored) {
    const auto node =
        std::ranges::find_if(state.nodes, [&](const auto& each) { return each.id == stored.node; });
    return node == state.nodes.end() ? std::string() : node->name;
}

Json to_json(const cluster::State& state, const cluster::StoredCertificate& stored) {
    Json json{{"store", to_text(stored.store)},
              {"subject", stored.certificate.subject_text()},
              {"issuer", stored.certificate.issuer_text()},
              {"serial", to_hex(stored.certificate.serial())},
              {"not-after", date_text(stored.certificate.not_after())}};
    if (stored.node) json["node"] = node_name(state, stored);
    if (stored.key) json["key"] = *stored.key;
    return json;
}

std::string to_line(const cluster::State& state, const cluster::StoredCertificate& stored) {
    const std::string node = node_name(state, stored);
    return fmt::format("{}{}{}: {}, serial {}, until {}\n", to_text(stored.store), node.empty() ? "" : " of ",
                       node, stored.certificate.subject_text(), to_hex(stored.certificate.serial()),
                       date_text(stored.certificate.not_after()));
}

std::optional<std::string> key_place(const std::string& key) {
    if (key.empty()) return std::nullopt;
    if (pkcs11::Uri::looks_like(key)) return key;
    return std::filesystem::absolute(key).lexically_normal().string();
}

ExitCode import(const ClusterCertificateOptions& options) {
    const cluster::Store store = get_store(options.store);
    const sast::Certificate certificate = load_certificate(options.file);
    Administration administration(options.cluster, "cluster certificate import");
    const cluster::State before = administration.database.load();
    if (is_own(store)) {
        const cluster::Node& node = get_owner(before, store, options.node, certificate.common_name());
        const cluster::StoredCertificate* known = before.find_own(store, node);
        // A first one is no change: the server has had it all along.
        std::vector<cluster::Refusal> refusals;
        if (known != nullptr && known->certificate != certificate)
            refusals = check_anchors(before, store, node);
        require_allowed(refusals, options.force);
        cluster::backup_before_change(administration.database);
        append_forced(administration.writer, "certificate import", refusals);
        put_own_certificate(administration.writer, store, node, certificate, key_place(options.key));
    } else {
        if (!options.node.empty() || !options.key.empty())
            throw UsageError(
                fmt::format("{} is of the whole cluster: leave out --node and --key", to_text(store)));
        cluster::backup_before_change(administration.database);
        add_trusted_certificate(administration.writer, store, certificate);
    }
    const cluster::State after = administration.database.load();
    const auto stored = std::ranges::find_if(after.certificates, [&](const cluster::StoredCertificate& each) {
        return each.store == store && each.certificate == certificate;
    });
    options.format == Format::AsJson ? print_json(to_json(after, *stored)) : print(to_line(after, *stored));
    return ExitCode::Done;
}

ExitCode list(const ClusterCertificateOptions& options) {
    std::optional<cluster::Store> store;
    if (!options.store.empty()) store = get_store(options.store);
    const cluster::State state = cluster::Database::open_to_read(options.cluster.path).load();
    Json json = Json::array();
    std::string text;
    for (const auto& stored : state.certificates) {
        if (store && stored.store != *store) continue;
        json.push_back(to_json(state, stored));
        text += to_line(state, stored);
    }
    options.format == Format::AsJson ? print_json({{"certificates", std::move(json)}}) : print(text);
    return ExitCode::Done;
}

// What an own store has of a node, or of all; all of a trust store.
ExitCode export_certificates(const ClusterCertificateOptions& options) {
    const cluster::Store store = get_store(options.store);
    if (!options.node.empty() && !is_own(store))
        throw UsageError(fmt::format("{} is of the whole cluster: leave out --node", to_text(store)));
    const cluster::State state = cluster::Database::open_to_read(options.cluster.path).load();
    std::optional<std::int64_t> node;
    if (!options.node.empty()) node = get_node(state, options.node).id;
    Json json = Json::array();
    std::string pem, text;
    for (const auto& stored : state.certificates) {
        if (stored.store != store || (node && stored.node != node)) continue;
        json.push_back(to_json(state, stored));
        pem += stored.certificate.to_pem();
        text += to_line(state, stored);
    }
    if (pem.empty())
        throw UsageError(fmt::format("no certificate is in {}{}{}", to_text(store),
                                     options.node.empty() ? "" : " of ", options.node));
    open_output(options.file, pem.size(), {options.cluster.path}).store(as_bytes(pem));
    options.format == Format::AsJson ? print_json({{"file", options.file}, {"certificates", std::move(json)}})
                                     : print(fmt::format("{}:\n{}", options.file, text));
    return ExitCode::Done;
}

// The one in STORE that SERIAL (hexadecimal) or a common name tells.
const cluster::StoredCertificate& find(const cluster::State& state, cluster::Store store,
                                       const std::string& text) {
    std::vector<const cluster::StoredCertificate*> found;
    Bytes serial;
    try {
        serial = from_hex(text);
    } catch (const std::invalid_argument&) {
        serial.clear();
    }
    for (const auto& stored : state.certificates) {
        const bool by_serial = !serial.empty() && equal(strip_leading_zeros(serial),
                                                        strip_leading_zeros(stored.certificate.serial()));
        if (stored.store == store && (by_serial || stored.certificate.common_name() == text))
            found.push_back(&stored);
    }
    if (found.size() == 1) return *found.front();
    throw UsageError(
        fmt::format("{} certificates in {} are {}: give the serial number as certificate list shows it",
                    found.size(), to_text(store), text));
}

ExitCode remove(const ClusterCertificateOptions& options) {
    const cluster::Store store = get_store(options.store);
    Administration administration(options.cluster, "cluster certificate delete");
    const cluster::State state = administration.database.load();
    const cluster::StoredCertificate& stored = find(state, store, options.serial);
    if (is_own(store))
        refuse(cluster::Refusal{
            cluster::ClusterRule::OwnCertificate,
            fmt::format("{} of {} is the server's own: it is regenerated or replaced, never deleted",
                        to_text(store), node_name(state, stored)),
            std::nullopt});
    confirm(fmt::format("Delete {} from {}? (y/n):", stored.certificate.subject_text(), to_text(store)),
            options.answer);
    cluster::backup_before_change(administration.database);
    delete_certificate(administration.writer, stored);
    if (options.format == Format::AsJson) print_json(to_json(state, stored));
    return ExitCode::Done;
}

}  // namespace

void add_cluster_certificate(Command parent, Action& action) {
    Command certificate = add_command(parent, "certificate", "The certificate stores of the cluster",
                                      "ctlsign cluster certificate list --store Phone-SAST-trust");
    certificate.require_subcommand();
    const auto options = std::make_shared<ClusterCertificateOptions>();

    Command importing = add_command(
        certificate, "import", "Put a certificate into a store",
        "ctlsign cluster certificate import pub.pem --store CallManager --node cucm-pub --key pub.key");
    add_cluster_option(importing, options->cluster);
    importing.add_option("FILE", options->file, "PEM or DER").required();
    importing
        .add_option("--store", options->store, "CallManager, CAPF, TVS, ITLRecovery, Phone-SAST-trust, ...")
        .type_name("STORE")
        .required();
    importing.add_option("--node", options->node, "Whose own certificate it is (default: whom it names)")
        .type_name("NAME");
    importing
        .add_option("--key", options->key,
                    "Where its private key is: a PKCS#11 URI, or a PEM or PKCS#12 file")
        .type_name("SIGNER");
    add_force_flag(importing, options->force);
    add_json_flag(importing, options->format);
    importing.callback([&action, options] { action = [options] { return import(*options); }; });

    Command listing = add_command(certificate, "list", "What is in the stores",
                                  "ctlsign cluster certificate list --store CallManager");
    add_cluster_option(listing, options->cluster);
    listing.add_option("--store", options->store, "This one alone").type_name("STORE");
    add_json_flag(listing, options->format);
    listing.callback([&action, options] { action = [options] { return list(*options); }; });

    Command exporting =
        add_command(certificate, "export", "Write certificates of a store to a file (PEM), never a key",
                    "ctlsign cluster certificate export --store TVS --node cucm-pub -o tvs.crt");
    add_cluster_option(exporting, options->cluster);
    exporting.add_option("--store", options->store, "Where they are").type_name("STORE").required();
    exporting.add_option("--node", options->node, "Whose own certificate (default: every node's)")
        .type_name("NAME");
    exporting.add_option("-o,--output", options->file, "The new file").type_name("FILE").required();
    add_json_flag(exporting, options->format);
    exporting.callback([&action, options] { action = [options] { return export_certificates(*options); }; });

    Command deleting =
        add_command(certificate, "delete", "Take a certificate out of a trust store",
                    "ctlsign cluster certificate delete SAST-ADN008580ef --store Phone-SAST-trust");
    add_cluster_option(deleting, options->cluster);
    deleting.add_option("CERTIFICATE", options->serial, "Its serial number or common name").required();
    deleting.add_option("--store", options->store, "Where it is").type_name("STORE").required();
    add_yes_flag(deleting, options->answer);
    add_json_flag(deleting, options->format);
    deleting.callback([&action, options] { action = [options] { return remove(*options); }; });

    add_cluster_regenerate(certificate, action);
}

}  // namespace ctlsign::cli
