#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <CLI/App.hpp>
#include <cli/command.hpp>

namespace ctlsign::cli {

Option& Option::type_name(const std::string& name) {
    option_->type_name(name);
    return *this;
}

Option& Option::required() {
    option_->required();
    return *this;
}

Option& Option::within(unsigned least, unsigned most) {
    // Without a description: the help would print it beside the name of the value.
    option_->check(CLI::Range(least, most).description(""));
    return *this;
}

Option& Option::needs(const std::string& other) {
    option_->needs(other);
    return *this;
}

Option& Option::excludes(const std::string& other) {
    option_->excludes(other);
    return *this;
}

Option& Option::one_value() {
    option_->allow_extra_args(false);
    return *this;
}

Option& Option::once() {
    option_->expected(1);
    return *this;
}

template <typename T>
Option Command::add_option(const std::string& names, T& value, const std::string& description) {
    return Option(*app_->add_option(names, value, description));
}

// The kinds of values that commands take.
template Option Command::add_option(const std::string&, std::string&, const std::string&);
template Option Command::add_option(const std::string&, std::vector<std::string>&, const std::string&);
template Option Command::add_option(const std::string&, unsigned&, const std::string&);
template Option Command::add_option(const std::string&, std::size_t&, const std::string&);
template Option Command::add_option(const std::string&, std::optional<std::string>&, const std::string&);
template Option Command::add_option(const std::string&, std::optional<unsigned>&, const std::string&);
template Option Command::add_option(const std::string&, std::optional<std::int64_t>&, const std::string&);

void Command::add_flag(const std::string& names, bool& value, const std::string& description) {
    app_->add_flag(names, value, description);
}

Option Command::add_flag_callback(const std::string& names, std::function<void()> given,
                                  const std::string& description) {
    return Option(*app_->add_flag_callback(names, std::move(given), description));
}

void Command::description(const std::string& text) {
    app_->description(text);
}

void Command::example(const std::string& command_line) {
    app_->footer("Example:\n  " + command_line);
}

void Command::hide() {
    app_->group("");
}

void Command::require_subcommand() {
    app_->require_subcommand(1);
}

Command Command::add_subcommand(const std::string& name, const std::string& description) {
    return Command(*app_->add_subcommand(name, description));
}

Command Command::subcommand(const std::string& name) const {
    return Command(*app_->get_subcommand(name));
}

void Command::before_reading(std::function<void()> then) {
    app_->preparse_callback([then = std::move(then)](std::size_t) { then(); });
}

void Command::callback(std::function<void()> then) {
    app_->callback(std::move(then));
}

std::string Command::command_line() const {
    std::string line = app_->get_name();
    for (const CLI::App* app = app_->get_parent(); app != nullptr; app = app->get_parent())
        line.insert(0, app->get_name() + ' ');
    return line;
}

Command add_command(Command parent, const std::string& name, const std::string& description,
                    const std::string& example) {
    Command command = parent.add_subcommand(name, description);
    command.example(example);
    return command;
}

void add_json_flag(Command command, Format& format) {
    command.add_flag_callback(
        "--json", [&format] { format = Format::AsJson; }, "Report as JSON");
}

void add_timestamp_option(Command command, std::string& time) {
    command
        .add_option("--timestamp", time,
                    "Time of signing: Unix seconds or RFC 3339 (else SOURCE_DATE_EPOCH, the manifest, now)")
        .type_name("TIME");
}

}  // namespace ctlsign::cli
