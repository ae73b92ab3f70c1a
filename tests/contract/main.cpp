// usage: contract_matrix [--all] [--table FILE]   every cell of the matrix, each in a process of its own;
// prints the table. --all: with the columns of the long run
//        contract_matrix COLUMN ROW                one cell, in this process
// Exit code 1 when a cell fails. Run by tests/pcsc/with_pcscd.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <future>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <tests/contract/token_kind.hpp>
#include <tests/support/own_state.hpp>

namespace ctlsign::testing::contract {
namespace {

constexpr auto kLimit = std::chrono::seconds(120);

struct Cell {
    std::string verdict;  ///< what the table says
    std::string output;   ///< of a cell that failed
    bool failed = false;
};

std::string read_all(int file) {
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = read(file, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    return text;
}

// Waits until CHILD ends, and ends it when it takes too long.
std::string wait_for_end(pid_t child) {
    int status = 0;
    const auto end = std::chrono::steady_clock::now() + kLimit;
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (std::chrono::steady_clock::now() > end) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return "HANGS";
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    if (WIFSIGNALED(status)) return fmt::format("DIES of signal {}", WTERMSIG(status));
    return status == 0 ? "passed" : "FAILED";
}

std::optional<std::string> reason_against(const Column& column, const Row& row) {
    for (const Ability ability : row.needs) {
        if (const auto entry = column.lacks.find(ability); entry != column.lacks.end()) return entry->second;
    }
    return std::nullopt;
}

Cell run_cell(const std::string& program, const Column& column, const Row& row) {
    std::string name = "/tmp/ctlsign-contract-XXXXXX";
    const int output = mkostemp(name.data(), O_CLOEXEC);
    unlink(name.c_str());
    const pid_t child = fork();
    if (child == 0) {
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
        execl(program.c_str(), program.c_str(), column.name, row.name, nullptr);
        _exit(127);
    }
    Cell cell;
    cell.verdict = wait_for_end(child);
    cell.failed = cell.verdict != "passed";
    lseek(output, 0, SEEK_SET);
    cell.output = read_all(output);
    close(output);
    return cell;
}

std::string render(const std::vector<Column>& columns, const std::vector<std::vector<Cell>>& cells) {
    std::string table = fmt::format("{:<30}", "");
    for (const auto& column : columns) table += fmt::format("{:<16}", column.name);
    table += '\n';
    std::vector<std::string> notes;
    for (std::size_t r = 0; r < rows().size(); ++r) {
        table += fmt::format("{:<30}", rows()[r].name);
        for (std::size_t c = 0; c < columns.size(); ++c) {
            std::string verdict = cells[c][r].verdict;
            if (const auto reason = reason_against(columns[c], rows()[r])) {
                auto note = std::find(notes.begin(), notes.end(), *reason);
                if (note == notes.end()) note = notes.insert(note, *reason);
                verdict = fmt::format("n/a ({})", note - notes.begin() + 1);
            }
            table += fmt::format("{:<16}", verdict);
        }
        table += '\n';
    }
    for (std::size_t i = 0; i < notes.size(); ++i) table += fmt::format("({}) {}\n", i + 1, notes[i]);
    return table;
}

int run_matrix(const std::string& program, const std::vector<Column>& columns,
               const std::optional<std::string>& table_file) {
    // The columns side by side; the cells of one share its daemon and its readers.
    std::vector<std::future<std::vector<Cell>>> running;
    for (const auto& column : columns) {
        running.push_back(std::async(std::launch::async, [&program, &column] {
            std::vector<Cell> cells;
            for (const auto& row : rows())
                cells.push_back(reason_against(column, row) ? Cell{} : run_cell(program, column, row));
            return cells;
        }));
    }
    std::vector<std::vector<Cell>> cells;
    for (auto& column : running) cells.push_back(column.get());
    bool failed = false;
    for (std::size_t c = 0; c < cells.size(); ++c) {
        for (std::size_t r = 0; r < cells[c].size(); ++r) {
            if (!cells[c][r].failed) continue;
            failed = true;
            fmt::print("--- {}, {}: {}\n{}\n", columns[c].name, rows()[r].name, cells[c][r].verdict,
                       cells[c][r].output);
        }
    }
    const std::string table = render(columns, cells);
    fmt::print("{}", table);
    if (table_file) std::ofstream(*table_file) << table;
    return failed ? 1 : 0;
}

int run_here(const std::string& column_name, const std::string& row_name) {
    const auto column = std::ranges::find(columns(), column_name, &Column::name);
    const auto row = std::ranges::find(rows(), row_name, &Row::name);
    if (column == columns().end() || row == rows().end()) {
        fmt::print(stderr, "no such cell: {}, {}\n", column_name, row_name);
        return 2;
    }
    const auto kind = column->make();
    kind->provision();
    row->scenario(*kind);
    // No token is locked, or comes nearer to it, unless that is what was asked for.
    if (const auto tries = kind->tries()) {
        const auto expected = row->locks ? 0 : tries->maximum;
        EXPECT_EQ(tries->left, expected) << "tries left";
    }
    return 0;
}

}  // namespace
}  // namespace ctlsign::testing::contract

int main(int argc, char** argv) try {
    namespace contract = ctlsign::testing::contract;
    const ctlsign::testing::OwnState state;
    ::testing::GTEST_FLAG(throw_on_failure) = true;
    ::testing::InitGoogleTest(&argc, argv);
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() == 2 && !arguments[0].starts_with("--"))
        return contract::run_here(arguments[0], arguments[1]);
    auto columns = contract::columns();
    std::optional<std::string> table_file;
    if (std::ranges::find(arguments, "--all") == arguments.end())
        std::erase_if(columns, [](const contract::Column& column) { return column.long_run; });
    if (arguments.size() >= 2 && *std::prev(arguments.end(), 2) == "--table") table_file = arguments.back();
    return contract::run_matrix(argv[0], columns, table_file);
} catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
}
