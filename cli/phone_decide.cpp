#include <memory>
#include <optional>

#include <cli/fleet.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/phone.hpp>
#include <cli/terminal.hpp>

namespace ctlsign::cli {

namespace {

struct PhoneDecideOptions {
    std::string list, ctl, itl, model, firmware, pool, cluster;
    JudgeOptions judge;
    Format format = Format::AsText;
};

std::shared_ptr<const TrustList> load_optional(const std::string& path) {
    return path.empty() ? nullptr : std::make_shared<const TrustList>(load_list(path));
}

ExitCode run(const PhoneDecideOptions& options) {
    const TrustList list = load_list(options.list);
    const phone::ListKind kind = kind_of(list);
    const phone::Device device{load_models(options.judge).find(options.model, options.firmware),
                               {load_optional(options.ctl), load_optional(options.itl), {}}};
    phone::Traits traits;
    traits.pool = options.pool;
    std::optional<cluster::State> state;
    if (const auto cluster = find_cluster(options.cluster)) state = cluster->load();
    const auto servers =
        load_tvs(options.judge, list, kind, state ? &*state : nullptr, Publisher::AsTheListSays)(traits);
    const phone::Verdict verdict = phone::decide(list, kind, device, servers, now());
    const bool accepts = verdict.outcome == phone::Outcome::Accepts;
    if (options.format == Format::AsJson) {
        Json json{{"outcome", phone::to_text(verdict.outcome)},
                  {"rule", phone::to_text(verdict.rule)},
                  {"step", phone::step(verdict.rule)},
                  {"text", phone::to_text(verdict)},
                  {"model-known", device.model.listed},
                  {"newer-header", verdict.newer_header},
                  {"remedies", Json::array()}};
        for (const phone::Way& way : verdict.ways) json["remedies"].push_back(phone::to_text(way));
        print_json(json);
    } else {
        print(coloured(phone::to_text(verdict), accepts ? Tone::Good : Tone::Bad) + '\n');
    }
    if (!device.model.listed)
        print_warning("the model '" + options.model + "' is not known: taken for what its name looks like");
    if (verdict.newer_header)
        print_warning("the header is newer than the phone knows: it takes the list all the same");
    return accepts ? ExitCode::Done : ExitCode::No;
}

}  // namespace

void add_phone_decide(Command parent, Action& action) {
    const auto options = std::make_shared<PhoneDecideOptions>();
    Command command =
        add_command(parent, "decide", "Whether one phone will take a new list, and by which rule",
                    "ctlsign phone decide NEW.tlv --model 8861 --ctl CTLFile.tlv --itl ITLFile.tlv");
    command.add_option("NEW", options->list, "CTL or ITL file; which of them, its header says").required();
    command.add_option("--model", options->model, "\"8861\", \"CP-8861\", \"Cisco 8861\"")
        .type_name("NAME")
        .required();
    command.add_option("--firmware", options->firmware, "Name of its load").type_name("NAME");
    command.add_option("--ctl", options->ctl, "The CTL that it has (default none)").type_name("FILE");
    command.add_option("--itl", options->itl, "The ITL that it has (default none)").type_name("FILE");
    command.add_option("--pool", options->pool, "Its device pool").type_name("NAME");
    add_judge_options(command, options->judge);
    add_cluster_of_phones_option(command, options->cluster);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
