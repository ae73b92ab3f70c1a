#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>

#include <cli/fleet.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <cli/tvs.hpp>
#include <ctlsign/simulator/simulator.hpp>
#include <ctlsign/tvs/plan.hpp>

namespace ctlsign::cli {

namespace {

enum class Talk { Everything, Summary };

struct PhoneSimulateOptions {
    std::string state, source, phones, identity, model = "8861", firmware, models;
    std::vector<std::string> tvs_servers, known;
    std::size_t count = 0;
    unsigned timeout = 30;
    Talk talk = Talk::Everything;
    Format format = Format::AsText;
};

// Phones that were not there before come in with what their inventory says, or with nothing installed.
void add_phones(const PhoneSimulateOptions& options, simulator::State& state) {
    for (const std::string& path : options.known)
        state.lists.add(std::make_shared<const TrustList>(load_list(path)), path);
    phone::Inventory newcomers;
    if (!options.phones.empty()) newcomers = load_inventory(options.phones);
    const phone::Traits bare{options.model, options.firmware, {}, {}, {}, {}};
    phone::Inventory all;
    for (std::size_t i = 0; i < options.count; ++i) all.add(fmt::format("SEP{:012X}", i), bare);
    all.merge(newcomers);
    all.merge(state.phones);  // what a phone has by now counts
    state.phones = std::move(all);
    if (state.phones.phones().empty()) throw UsageError("there is no phone: give --count or --phones");
    for (const auto& one : state.phones.phones()) {
        const phone::Traits& traits = state.phones.traits_of(one);
        for (const std::string* checksum : {&traits.ctl, &traits.itl}) {
            if (*checksum == phone::kNotKnown)
                throw UsageError(fmt::format(
                    "the inventory does not say which lists {} has: give it columns ctl and itl", one.name));
            if (!checksum->empty() && state.lists.find(*checksum) == nullptr)
                throw UsageError(fmt::format("{} has the list {}, which is not known: give it with --known",
                                             one.name, *checksum));
        }
    }
}

ExitCode run(const PhoneSimulateOptions& options) {
    simulator::Options start;
    start.source = options.source;
    start.now = now();
    start.patience = std::chrono::seconds(options.timeout);
    for (const std::string& text : options.tvs_servers) start.tvs_servers.push_back(parse_endpoint(text));
    if (start.tvs_servers.size() > tvs::kServersOfAPhone)
        throw UsageError("a phone knows three TVS servers at the most");
    if (!options.models.empty()) start.models = load_models({options.models, {}});
    tvs::TlsIdentity identity;
    if (!options.identity.empty()) {
        identity = load_identity(options.identity);
        start.identity = &identity;
    }
    simulator::State state = simulator::State::load(options.state);
    add_phones(options, state);
    constexpr std::size_t kOtherFiles = 64;  // beside two connections of a phone at the most
    allow_open_files(2 * state.phones.phones().size() + kOtherFiles);

    const bool talks = options.talk == Talk::Everything && options.format == Format::AsText;
    simulator::Summary summary;
    try {
        summary =
            simulator::start_phones(state, start, [talks](const std::string& name, std::string_view line) {
                if (talks) print(fmt::format("{}: {}\n", name, line));
            });
    } catch (const std::invalid_argument& error) {
        throw UsageError(fmt::format("--source {}: {}", options.source, error.what()));
    }
    state.store();
    if (options.format == Format::AsJson) {
        Json json{{"phones", state.phones.phones().size()},
                  {"taken", summary.taken},
                  {"refused", summary.refused},
                  {"unchanged", summary.unchanged},
                  {"queries", summary.queries},
                  {"failed", summary.failed},
                  {"status", Json::object()}};
        for (const auto& [status, count] : summary.status) json["status"][status] = count;
        print_json(json);
    } else {
        std::string text = fmt::format(
            "{} phones: {} lists taken, {} refused, {} unchanged, {} answers of TVS, {} failures\n",
            state.phones.phones().size(), summary.taken, summary.refused, summary.unchanged, summary.queries,
            summary.failed);
        for (const auto& [status, count] : summary.status)
            fmt::format_to(std::back_inserter(text), "{:>9}  {}\n", count, status);
        print(text);
    }
    return summary.refused == 0 && summary.failed == 0 ? ExitCode::Done : ExitCode::No;
}

}  // namespace

void add_phone_simulate(Command parent, Action& action) {
    const auto options = std::make_shared<PhoneSimulateOptions>();
    Command command = add_command(
        parent, "simulate",
        "Start many phones against real servers, which decide as real ones do; exit 1 when a list is refused",
        "ctlsign phone simulate --state lab --count 100 --source tftp://cucm1 --tvs-server cucm1:2445");
    command.add_option("--state", options->state, "Where the phones keep what they have")
        .type_name("FOLDER")
        .required();
    command.add_option("--source", options->source, "tftp://HOST, http://HOST[:6970], or a folder")
        .type_name("SOURCE")
        .required();
    command
        .add_option(
            "--tvs-server", options->tvs_servers,
            "HOST[:PORT] for all phones, again for the second and third (default those that the inventory "
            "names for each)")
        .type_name("HOST")
        .one_value();
    command.add_option("--count", options->count, "Phones to add: SEP000000000000 and so on")
        .type_name("NUMBER")
        .within(1U, 1'000'000U);
    command.add_option("--model", options->model, "Of the phones that --count adds (default 8861)")
        .type_name("NAME");
    command.add_option("--firmware", options->firmware, "Of the phones that --count adds").type_name("NAME");
    command.add_option("--phones", options->phones, "An inventory of phones to add").type_name("FILE");
    add_known_option(command, options->known);
    command.add_option("--models", options->models, "More rows of models").type_name("FILE");
    command.add_option("--identity", options->identity, "What phones present to TVS: certificate and key")
        .type_name("PEM");
    command.add_option("--timeout", options->timeout, "Seconds for one TVS server (default 30)")
        .type_name("SECONDS")
        .within(1U, 3600U);
    command.add_flag_callback(
        "--quiet", [options] { options->talk = Talk::Summary; }, "The summary alone, not every phone's log");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
