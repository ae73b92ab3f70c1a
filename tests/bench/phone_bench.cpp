#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <iterator>
#include <memory>
#include <string>

#include <ctlsign/phone/preflight.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/show.hpp>
#include <tests/support/data.hpp>
#include <tests/unit/phone/cluster_lists.hpp>

namespace ctlsign::phone {
namespace {

constexpr std::chrono::sys_seconds kNow{std::chrono::seconds(1'425'670'000)};

std::shared_ptr<const TrustList> load(const std::string& name) {
    return std::make_shared<const TrustList>(decode_list(ctlsign::testing::read_data(name)));
}

// An estate of many pools, models, loads and lists.
std::string make_inventory(std::int64_t phones, const std::string& itl = {}) {
    const Checksums old = checksums(load("krakow/CTLFile-tokenless.tlv")->octets());
    const Checksums tokens = checksums(load("krakow/CTLFile-tokens.tlv")->octets());
    const char* models[] = {"CP-8861", "CP-7962G", "Cisco 7960", "CP-8899", "Cisco Jabber for Desktop"};
    std::string text = "device,model,firmware,ctl,itl,pool,tvs\n";
    for (std::int64_t i = 0; i < phones; ++i) {
        const std::string& ctl = i % 3 == 0 ? old.md5 : i % 3 == 1 ? tokens.sha1 : std::string();
        fmt::format_to(std::back_inserter(text), "SEP{:012X},{},load-{},{},{},pool-{},\n", i, models[i % 5],
                       i % 20, ctl, itl, i % 400);
    }
    return text;
}

void load_inventory(benchmark::State& state) {
    const std::string text = make_inventory(state.range(0));
    for (auto _ : state) benchmark::DoNotOptimize(Inventory::decode(text, "phones.csv"));
    state.SetItemsProcessed(state.iterations() * state.range(0));
    // Of the process, with the text: says something of loading where nothing else has run in it.
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    state.counters["peak-MiB"] = static_cast<double>(usage.ru_maxrss) / 1024;
}

void decide(benchmark::State& state, const Inventory& inventory, const KnownLists& known,
            const TrustList& list, const TvsOf& tvs) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(
            preflight(inventory, list, ListKind::Ctl, known, ModelTable::shipped(), tvs, kNow));
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

// Aim: under a second for a million.
void decide_all(benchmark::State& state) {
    KnownLists known;
    known.add(load("krakow/CTLFile-tokenless.tlv"), "old");
    known.add(load("krakow/CTLFile-tokens.tlv"), "tokens");
    decide(state, Inventory::decode(make_inventory(state.range(0)), "phones.csv"), known,
           *load("krakow/CTLFile-tokenless-sha512.tlv"),
           [](const Traits&) { return std::vector<TvsServer>(); });
}

// The longest way: no installed list knows the signer, and the third TVS server is the one that answers.
void decide_all_by_tvs(benchmark::State& state) {
    const auto itl = testing::old_itl();
    KnownLists known;
    known.add(load("krakow/CTLFile-tokenless.tlv"), "old");
    known.add(load("krakow/CTLFile-tokens.tlv"), "tokens");
    known.add(itl, "itl");
    const TvsServer answers = testing::tvs_server(testing::Signer::InTvsDatabase);
    TvsServer foreign = answers;
    foreign.certificate = testing::stranger().certificate;
    decide(state,
           Inventory::decode(make_inventory(state.range(0), checksums(itl->octets()).sha1), "phones.csv"),
           known, *testing::new_list(testing::Signer::InTvsDatabase), [&](const Traits&) {
               return std::vector{TvsServer(), foreign, answers};
           });
}

BENCHMARK(load_inventory)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);
BENCHMARK(decide_all_by_tvs)->Arg(1'000'000)->Unit(benchmark::kMillisecond);
BENCHMARK(decide_all)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ctlsign::phone
