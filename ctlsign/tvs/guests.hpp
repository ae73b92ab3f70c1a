#pragma once

#include <algorithm>
#include <asio/ip/address.hpp>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>

#include <ctlsign/tvs/server.hpp>

namespace ctlsign::tvs {

/// What counts as one address: all of IPv4, the /64 that one site has of IPv6.
inline std::string site_of(const asio::ip::address& address) {
    if (address.is_v4()) return address.to_string();
    if (address.to_v6().is_v4_mapped())
        return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
    auto octets = address.to_v6().to_bytes();
    std::fill(octets.begin() + 8, octets.end(), std::uint8_t{0});
    return asio::ip::address_v6(octets).to_string();
}

/// Private: who is connected, and from where. A seat is taken before TLS begins.
class Guests {
  public:
    explicit Guests(const Limits& limits) : limits_(limits) {}

    class Seat {
      public:
        Seat(Guests& guests, std::string site) : guests_(&guests), site_(std::move(site)) {}
        Seat(Seat&& other) noexcept
            : guests_(std::exchange(other.guests_, nullptr)), site_(std::move(other.site_)) {}
        Seat& operator=(Seat&&) = delete;
        ~Seat() {
            if (guests_ != nullptr) guests_->leave(site_);
        }

      private:
        Guests* guests_;
        std::string site_;
    };

    /// Where there is no room.
    enum class Full { Everywhere, OfTheSite };

    std::variant<Seat, Full> enter(std::string site) {
        const std::scoped_lock lock(mutex_);
        if (count_ >= limits_.connections) return Full::Everywhere;
        const auto at = sites_.try_emplace(site).first;
        if (at->second >= limits_.per_address) return Full::OfTheSite;
        ++at->second;
        ++count_;
        return Seat(*this, std::move(site));
    }
    std::size_t count() const {
        const std::scoped_lock lock(mutex_);
        return count_;
    }

  private:
    void leave(const std::string& site) {
        const std::scoped_lock lock(mutex_);
        const auto at = sites_.find(site);
        if (--at->second == 0) sites_.erase(at);
        --count_;
    }

    const Limits& limits_;
    mutable std::mutex mutex_;
    std::unordered_map<std::string, std::size_t> sites_;
    std::size_t count_ = 0;
};

/// Private: from where connections are turned away, so that a line in the log tells of many.
class Crowds {
  public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::minutes kQuiet{1};

    /// One of SITE is turned away: how many the line that is due now tells of, 0 when none is. The first of
    /// a site is told at once, then at most one line a minute.
    std::uint64_t turn_away(const std::string& site, Time now) {
        const std::scoped_lock lock(mutex_);
        auto at = sites_.find(site);
        if (at == sites_.end()) {
            std::erase_if(sites_, [&](const auto& one) { return now - one.second.told >= kQuiet; });
            sites_.emplace(site, Site{now, 0});
            return 1;
        }
        ++at->second.since;
        if (now - at->second.told < kQuiet) return 0;
        at->second.told = now;
        return std::exchange(at->second.since, 0);
    }

  private:
    struct Site {
        Time told;
        std::uint64_t since = 0;  // turned away, and not told of
    };
    std::mutex mutex_;
    std::unordered_map<std::string, Site> sites_;
};

}  // namespace ctlsign::tvs
