#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <ctlsign/error.hpp>
#include <ctlsign/phone/words.hpp>
#include <ctlsign/tvs/plan.hpp>

namespace ctlsign::tvs {

namespace {

class PlanReader {
  public:
    explicit PlanReader(std::string_view name) : name_(name) {}

    Plan read(const toml::table& root) {
        for (const auto& [key, value] : root) {
            if ((key != "server" && key != "pool") || !value.is_array())
                malformed(key.source(), "expected [[server]] or [[pool]]");
            for (const toml::node& node : *value.as_array()) {
                if (!node.is_table()) malformed(node.source(), "expected a table");
                key == "server" ? server(*node.as_table()) : pool(*node.as_table());
            }
        }
        for (const auto& [pool_name, servers] : plan_.pools) {
            for (const std::string& server : servers) {
                if (std::ranges::find(plan_.servers, server, &Plan::Server::name) == plan_.servers.end())
                    throw Error(
                        Errc::Malformed, "reading", name_,
                        fmt::format("pool '{}' names a server '{}' that is not there", pool_name, server));
            }
        }
        return std::move(plan_);
    }

    [[noreturn]] void malformed(const toml::source_region& where, std::string_view what) const {
        throw Error(Errc::Malformed, "reading", name_, fmt::format("line {}: {}", where.begin.line, what));
    }

  private:
    std::string text(const toml::node& node) const {
        auto value = node.value_exact<std::string>();
        if (!value || value->empty()) malformed(node.source(), "expected a text");
        return std::move(*value);
    }
    bool flag(const toml::node& node) const {
        const auto value = node.value_exact<bool>();
        if (!value) malformed(node.source(), "expected true or false");
        return *value;
    }

    void server(const toml::table& table) {
        constexpr std::array<std::pair<std::string_view, std::string Plan::Server::*>, 4> kTexts{
            {{"name", &Plan::Server::name},
             {"certificate", &Plan::Server::certificate},
             {"database", &Plan::Server::database},
             {"ctl", &Plan::Server::ctl}}};
        Plan::Server server;
        for (const auto& [key, value] : table) {
            const auto known = std::ranges::find(kTexts, key.str(), &decltype(kTexts)::value_type::first);
            if (known != kTexts.end()) {
                server.*known->second = text(value);
            } else if (key == "tls10") {
                server.speaks_tls10 = flag(value);
            } else if (key == "down") {
                server.down = flag(value);
            } else {
                malformed(key.source(), fmt::format("no server has the key '{}'", key.str()));
            }
        }
        if (server.name.empty() || server.certificate.empty())
            malformed(table.source(), "a server has a name and a certificate");
        plan_.servers.push_back(std::move(server));
    }

    void pool(const toml::table& table) {
        std::string pool_name;
        std::vector<std::string> servers;
        for (const auto& [key, value] : table) {
            if (key == "name") {
                pool_name = text(value);
            } else if (key == "servers" && value.is_array()) {
                for (const toml::node& node : *value.as_array()) servers.push_back(text(node));
            } else {
                malformed(key.source(), fmt::format("no pool has the key '{}'", key.str()));
            }
        }
        if (pool_name.empty()) malformed(table.source(), "a pool has a name");
        plan_.pools[pool_name] = std::move(servers);
    }

    std::string_view name_;
    Plan plan_;
};

}  // namespace

Plan Plan::decode(std::string_view toml, std::string_view name) {
    PlanReader reader(name);
    try {
        return reader.read(toml::parse(toml));
    } catch (const toml::parse_error& e) {
        reader.malformed(e.source(), e.description());
    }
}

std::vector<std::optional<std::size_t>> Plan::servers_of(std::string_view names,
                                                         std::string_view pool) const {
    std::vector<std::optional<std::size_t>> found;
    const auto add = [&](std::string_view name) {
        const auto server =
            std::ranges::find_if(servers, [&](const Server& one) { return same_server(one.name, name); });
        found.emplace_back();
        if (server != servers.end()) found.back() = static_cast<std::size_t>(server - servers.begin());
    };
    for (const std::string_view name : split_servers(names)) add(name);
    if (found.empty() && !pool.empty() && !pools.empty()) {
        const auto known =
            std::ranges::find_if(pools, [&](const auto& one) { return same_server(one.first, pool); });
        // Whom the phones of a pool ask that is not in the plan, the plan does not say.
        if (known == pools.end()) return {std::nullopt};
        for (const std::string& name : known->second) add(name);
    } else if (found.empty()) {
        for (const Server& server : servers) add(server.name);
    }
    found.resize(std::min(found.size(), kServersOfAPhone));
    return found;
}

std::vector<std::string_view> split_servers(std::string_view names) {
    std::vector<std::string_view> found;
    while (!names.empty() && found.size() < kServersOfAPhone) {
        const std::string_view name = names.substr(0, names.find_first_of(" \t\n,;"));
        if (!name.empty()) found.push_back(name);
        names.remove_prefix(std::min(names.size(), name.size() + 1));
    }
    return found;
}

bool same_server(std::string_view a, std::string_view b) {
    return phone::lower(phone::trim(a)) == phone::lower(phone::trim(b));
}

}  // namespace ctlsign::tvs
