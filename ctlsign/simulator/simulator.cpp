#include <fmt/format.h>

#include <array>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include <ctlsign/files/load.hpp>
#include <ctlsign/limits.hpp>
#include <ctlsign/phone/log.hpp>
#include <ctlsign/simulator/simulator.hpp>
#include <ctlsign/simulator/source.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/show.hpp>
#include <ctlsign/tvs/exchange.hpp>
#include <ctlsign/tvs/phone_answer.hpp>
#include <ctlsign/tvs/plan.hpp>
#include <pkcs11/private_files.hpp>
#include <pkcs11/store.hpp>

namespace ctlsign::simulator {

namespace {

using phone::ListKind;
using phone::Rule;

std::string checksum_of(const TrustList& list) {
    const std::array<ByteView, 1> whole{list.octets()};
    return to_hex(compute_digest(Digest::Sha1, whole));
}

// Editors, file managers and a store that was killed leave files that are none.
bool is_list(const std::filesystem::path& path) {
    return path.extension() == ".tlv" && !path.filename().string().starts_with('.');
}

// "CP-8861-SEPB000B4BA0AEE".
std::string device_name(std::string_view model, std::string_view name) {
    return fmt::format("CP-{}-{}", phone::own_name(model), name).substr(0, limits::kDeviceName);
}

phone::TvsTrace::Met met(tvs::Exchange::End end) noexcept {
    switch (end) {
        case tvs::Exchange::End::NotConnected:
            return phone::TvsTrace::Met::NotConnected;
        case tvs::Exchange::End::NoHandshake:
            return phone::TvsTrace::Met::NoHandshake;
        case tvs::Exchange::End::NotTrusted:
            return phone::TvsTrace::Met::NotTrusted;
        default:
            return phone::TvsTrace::Met::Trusted;
    }
}

// A TVS server that phones ask, with what its name leads to.
struct TvsPlace {
    tvs::Endpoint name;
    std::vector<asio::ip::tcp::endpoint> addresses;
};
using TvsPlaces = std::vector<TvsPlace>;

// What all phones of one start share.
struct Network {
    Network(const Options& given, const Log& told)
        : options(given), log(told), source(Source::open(io, given.source)) {
        for (const tvs::Endpoint& server : options.tvs_servers)
            everybodys.push_back(
                {server, resolve<asio::ip::tcp>(io, server.address, std::to_string(server.port))});
    }

    // Those that were given for all phones, else those of one phone's configuration. Valid as long as this
    // is.
    const TvsPlaces& servers_of(const std::string& names) {
        if (!everybodys.empty()) return everybodys;
        const auto [at, fresh] = servers.try_emplace(names);
        if (!fresh) return at->second;
        for (const std::string_view name : tvs::split_servers(names)) {
            TvsPlace& place = at->second.emplace_back(TvsPlace{{std::string(name)}, {}});
            try {
                place.addresses =
                    resolve<asio::ip::tcp>(io, place.name.address, std::to_string(place.name.port));
            } catch (const Error&) {
                continue;  // a name that nobody knows is a server that nobody reaches
            }
        }
        return at->second;
    }

    std::shared_ptr<const tvs::TlsContext> context_for(const phone::Model& model) {
        auto& context = model.tls10_only ? old_context : context_;
        if (!context) {
            const tvs::TlsPolicy policy{model.tls10_only ? tvs::OldTls::Only : tvs::OldTls::Refused,
                                        tvs::SmallKeys::Allowed};
            context =
                std::make_shared<const tvs::TlsContext>(tvs::TlsContext::client(options.identity, policy));
        }
        return context;
    }

    // Phones that fetch the same list share it.
    std::shared_ptr<const TrustList> share(Bytes octets) {
        const std::array<ByteView, 1> whole{octets};
        auto& shared = lists[to_hex(compute_digest(Digest::Sha1, whole))];
        if (!shared) shared = std::make_shared<const TrustList>(decode_list(std::move(octets)));
        return shared;
    }

    const Options& options;
    const Log& log;
    asio::io_context io;
    std::unique_ptr<Source> source;
    TvsPlaces everybodys;
    std::map<std::string, TvsPlaces> servers;
    std::shared_ptr<const tvs::TlsContext> context_, old_context;
    std::map<std::string, std::shared_ptr<const TrustList>> lists;
    Summary summary;
};

// One start of one phone.
class Start : public std::enable_shared_from_this<Start> {
  public:
    Start(Network& network, std::string name, const phone::Traits& traits, const phone::KnownLists& known)
        : network_(network),
          name_(std::move(name)),
          model_name_(traits.model),
          places_(network.servers_of(traits.tvs)) {
        device_.model = network.options.models.find(traits.model, traits.firmware);
        if (const auto* ctl = known.find(traits.ctl)) device_.installed.ctl = ctl->list;
        if (const auto* itl = known.find(traits.itl)) device_.installed.itl = itl->list;
    }

    void begin() { fetch(ListKind::Ctl, Which::Own); }
    const std::string& name() const noexcept { return name_; }
    const phone::Installed& installed() const noexcept { return device_.installed; }

  private:
    enum class Which { Own, Common };  // the phone's own file is asked for first

    void log(std::string_view line) const { network_.log(name_, line); }

    void fetch(ListKind kind, Which which) {
        const std::string prefix = kind == ListKind::Ctl ? "CTL" : "ITL";
        const std::string file = prefix + (which == Which::Own ? name_ : "File") + ".tlv";
        network_.source->fetch(file, [self = shared_from_this(), kind, which, file](Fetched fetched) {
            if (fetched.octets) return self->take(kind, file, std::move(*fetched.octets));
            if (!fetched.problem.empty()) {
                ++self->network_.summary.failed;
                self->log(fmt::format("{}: {}", file, fetched.problem));
                return self->next(kind);
            }
            if (which == Which::Own) return self->fetch(kind, Which::Common);
            self->log(phone::file_not_found(file));
            self->next(kind);
        });
    }

    void take(ListKind kind, const std::string& file, Bytes octets) {
        try {
            list_ = network_.share(std::move(octets));
        } catch (const Error& error) {
            ++network_.summary.failed;
            log(fmt::format("{}: {}", file, error.what()));
            last_status_ = phone::failed_update(kind, device_.installed);
            log(last_status_);
            return next(kind);
        }
        servers_.clear();
        traces_.clear();
        judge(kind, phone::decide(*list_, kind, device_, std::nullopt, network_.options.now));
    }

    // Asks one TVS server more as long as that may change the answer.
    void judge(ListKind kind, const phone::Verdict& verdict) {
        const bool undecided = verdict.rule == Rule::AskTvs || verdict.rule == Rule::TvsDown ||
                               verdict.rule == Rule::TvsTlsTooNew || verdict.rule == Rule::TvsNotTrusted;
        if (undecided && servers_.size() < places_.size()) return ask(kind, 0);
        if (verdict.rule == Rule::AskTvs)  // nobody to ask
            return conclude(kind, phone::decide(*list_, kind, device_, servers_, network_.options.now));
        conclude(kind, verdict);
    }

    // The next server, at one of its addresses.
    void ask(ListKind kind, std::size_t address) {
        const TvsPlace& place = places_[servers_.size()];
        if (place.addresses.empty()) return answered(kind, {});
        const tvs::Message query{
            static_cast<std::uint32_t>(1001 + servers_.size()), 0,
            tvs::QueryRequest{device_name(model_name_, name_), std::string(list_->signer_name()),
                              std::string(list_->signer_issuer()),
                              Bytes(list_->signer_serial().begin(), list_->signer_serial().end())}};
        start_exchange(
            network_.io, place.addresses[address], network_.context_for(device_.model), query,
            [self = shared_from_this()](const sast::Certificate& certificate) {
                return self->device_.installed.trusts_tvs(certificate);
            },
            network_.options.patience,
            [self = shared_from_this(), kind, address, &place](tvs::Exchange exchange) {
                if (exchange.end == tvs::Exchange::End::NotConnected && address + 1 < place.addresses.size())
                    return self->ask(kind, address + 1);
                self->answered(kind, std::move(exchange));
            });
    }

    void answered(ListKind kind, tvs::Exchange exchange) {
        using End = tvs::Exchange::End;
        traces_.push_back({to_text(places_[servers_.size()].name), met(exchange.end), exchange.request.size(),
                           exchange.response.size()});
        phone::TvsServer server;
        server.speaks_tls10 = device_.model.tls10_only && exchange.server.has_value();
        if (exchange.server) server.certificate = *exchange.server;
        const bool too_new = exchange.end == End::NoHandshake && device_.model.tls10_only;
        const bool answers = exchange.end == End::Answered || exchange.end == End::NotTrusted || too_new;
        if (answers) server.state = phone::TvsServer::State::Answers;
        if (exchange.answer) {
            ++network_.summary.queries;
            server.answer = tvs::to_phone(*exchange.answer);
        }
        servers_.push_back(std::move(server));
        judge(kind, phone::decide(*list_, kind, device_, servers_, network_.options.now));
    }

    void conclude(ListKind kind, const phone::Verdict& verdict) {
        for (const std::string& line : phone::log_lines(verdict, *list_, device_.model, traces_)) log(line);
        const phone::Installed before = device_.installed;
        if (verdict.rule == Rule::AlreadyInstalled) {
            ++network_.summary.unchanged;
        } else if (verdict.outcome == phone::Outcome::Accepts) {
            ++network_.summary.taken;
            device_.installed.take(list_, kind);
        } else {
            ++network_.summary.refused;
        }
        const std::string status = phone::status_message(verdict, kind, before, device_.installed);
        if (!status.empty()) {
            log(status);
            last_status_ = status;
        }
        next(kind);
    }

    void next(ListKind kind) {
        if (kind == ListKind::Ctl) return fetch(ListKind::Itl, Which::Own);
        const auto& ctl = device_.installed.ctl;
        const bool is_signed = ctl && phone::registration_of(*ctl) == phone::Registration::Signed;
        fetch_configuration(is_signed ? ".cnf.xml.sgn" : ".cnf.xml");
    }

    void fetch_configuration(std::string_view ending) {
        const std::string file = name_ + std::string(ending);
        network_.source->fetch(file, [self = shared_from_this(), file](const Fetched& fetched) {
            if (!fetched.problem.empty()) {
                ++self->network_.summary.failed;
                self->log(fmt::format("{}: {}", file, fetched.problem));
            } else if (!fetched.octets) {
                self->log(phone::file_not_found(file));
                // After a rollback to before 8.0 unsigned configuration is taken, too.
                const auto& itl = self->device_.installed.itl;
                if (file.ends_with(".sgn") && itl && phone::is_rollback_itl(*itl))
                    return self->fetch_configuration(".cnf.xml");
            }
            ++self->network_.summary
                  .status[self->last_status_.empty() ? phone::summary_message(self->device_.installed)
                                                     : self->last_status_];
        });
    }

    Network& network_;
    const std::string name_, model_name_;
    const TvsPlaces& places_;
    phone::Device device_;
    std::shared_ptr<const TrustList> list_;
    std::vector<phone::TvsServer> servers_;
    std::vector<phone::TvsTrace> traces_;
    std::string last_status_;
};

}  // namespace

State State::load(std::string folder) {
    State state;
    state.folder_ = std::move(folder);
    const std::filesystem::path root(state.folder_);
    if (std::filesystem::exists(root / "phones.csv")) {
        const std::string path = (root / "phones.csv").string();
        state.phones = phone::Inventory::decode(as_text(load_file(path, limits::kInventory).bytes), path);
    }
    if (std::filesystem::is_directory(root / "lists")) {
        for (const auto& file : std::filesystem::directory_iterator(root / "lists")) {
            if (!is_list(file.path())) continue;
            const std::string path = file.path().string();
            try {
                state.lists.add(
                    std::make_shared<const TrustList>(decode_list(load_file(path, kMaxFileSize).bytes)),
                    path);
            } catch (const DecodeError& error) {
                throw Error(error.code(), "reading", path, error.advice());
            }
        }
    }
    return state;
}

void State::store() const {
    const std::filesystem::path root(folder_);
    make_private_folder(root);
    make_private_folder(root / "lists");
    for (const auto& entry : lists.entries()) {
        const std::string path = (root / "lists" / (checksum_of(*entry->list) + ".tlv")).string();
        if (!std::filesystem::exists(path)) store_file(path, entry->list->octets());
    }
    store_file((root / "phones.csv").string(), as_bytes(phones.encode()), Readers::OwnerAtFirst);
}

Summary start_phones(State& state, const Options& options, const Log& log) {
    Network network(options, log);
    std::vector<std::shared_ptr<Start>> starts;
    starts.reserve(state.phones.phones().size());
    for (const auto& one : state.phones.phones())
        starts.push_back(
            std::make_shared<Start>(network, one.name, state.phones.traits_of(one), state.lists));
    for (const auto& start : starts) start->begin();
    network.io.run();

    for (const auto& [checksum, list] : network.lists) {
        if (list) state.lists.add(list, checksum);
    }
    for (std::size_t i = 0; i < starts.size(); ++i) {
        phone::Traits traits = state.phones.traits_of(state.phones.phones()[i]);
        const phone::Installed& installed = starts[i]->installed();
        traits.ctl = installed.ctl ? checksum_of(*installed.ctl) : std::string();
        traits.itl = installed.itl ? checksum_of(*installed.itl) : std::string();
        state.phones.set_traits(i, traits);
    }
    return std::move(network.summary);
}

}  // namespace ctlsign::simulator
