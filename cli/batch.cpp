#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include <cli/batch.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>

namespace ctlsign::cli {

void Batch::run(const std::string& label, const std::function<void(std::size_t)>& work) {
    std::vector<std::size_t> waiting;
    for (std::size_t file = 0; file < files_.size(); ++file) {
        if (!has_failed(file)) waiting.push_back(file);
    }
    Progress progress(label, waiting.size());
    std::atomic<std::size_t> next = 0;
    const auto take = [&] {
        for (std::size_t i = next++; i < waiting.size(); i = next++) {
            try {
                work(waiting[i]);
            } catch (const std::exception& error) {
                const std::lock_guard lock(mutex_);
                failures_.push_back({waiting[i], exit_code(error), error.what()});
            }
            progress.advance();
        }
    };
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < std::min<std::size_t>(jobs_, waiting.size()); ++i) others.emplace_back(take);
    take();
    others.clear();
    std::ranges::sort(failures_, {}, &Failure::file);
}

ExitCode Batch::report(std::string_view done, Format format) const {
    auto worst = ExitCode::Done;
    Json failures = Json::array();
    for (const Failure& failure : failures_) {
        worst = std::max(worst, failure.code);
        const std::string& file = files_[failure.file];
        failures.push_back(
            {{"file", file}, {"exit", static_cast<int>(failure.code)}, {"error", failure.line}});
        // Most errors name their file already.
        const bool named = failure.line.find(file) != std::string::npos;
        print_error(named ? failure.line : fmt::format("{}: {}", file, failure.line));
    }
    const std::size_t good = files_.size() - failures_.size();
    if (format == Format::AsJson) {
        print_json({{"files", files_.size()}, {"done", good}, {"failures", std::move(failures)}});
    } else {
        print(fmt::format("{} of {} files {}\n", good, files_.size(), done));
    }
    return worst;
}

bool Batch::has_failed(std::size_t file) const {
    return std::ranges::binary_search(failures_, file, {}, &Failure::file);
}

void add_jobs_option(Command command, unsigned& jobs) {
    jobs = std::max(1U, std::thread::hardware_concurrency());
    command.add_option("--jobs", jobs, "Files that are worked on at once; a token signs one after the other")
        .type_name("N")
        .within(1, 64);
}

}  // namespace ctlsign::cli
