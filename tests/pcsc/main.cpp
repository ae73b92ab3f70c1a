// usage: piv_card NUMBER STEM [STEM]: a PIV card for vpcd whose authentication key, and signature key, are
// STEM.key and STEM.pem under tests/data. It does what standard input says, a command a line, answers each
// with a line, and goes at its end: insert [READER], pull, pull-in-signature, delay MILLISECONDS, silence,
// tries [COUNT].
#include <exception>
#include <iostream>
#include <sstream>
#include <string>

#include <tests/pcsc/virtual_card.hpp>

using ctlsign::testing::PivCard;
using ctlsign::testing::VirtualCard;

static std::string obey(VirtualCard& card, const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    unsigned number = 0;
    words >> verb;
    const bool has_number = static_cast<bool>(words >> number);
    if (verb == "insert") {
        card.insert(number);
    } else if (verb == "pull") {
        card.pull();
    } else if (verb == "pull-in-signature") {
        card.pull_in_signature();
    } else if (verb == "delay" && has_number) {
        card.delay_signatures(std::chrono::milliseconds(number));
    } else if (verb == "silence") {
        card.be_silent();
    } else if (verb == "tries") {
        if (has_number) card.card().set_tries_left(number);
        return std::to_string(card.card().tries_left());
    } else {
        return "unknown: " + line;
    }
    return "done";
}

int main(int argc, char** argv) try {
    if (argc < 3 || argc > 4) {
        std::cerr << "usage: piv_card NUMBER STEM [STEM]\n";
        return 2;
    }
    std::map<std::uint8_t, PivCard::Key> keys;
    constexpr std::uint8_t kReferences[] = {PivCard::kAuthentication, PivCard::kSignature};
    for (int i = 2; i < argc; ++i) {
        const std::string stem = argv[i];
        keys[kReferences[i - 2]] = {ctlsign::testing::load_key(stem + ".key"),
                                    ctlsign::testing::load_certificate(stem + ".pem")};
    }
    VirtualCard card(
        std::make_unique<PivCard>(static_cast<std::uint8_t>(std::stoul(argv[1])), std::move(keys)));
    for (std::string line; std::getline(std::cin, line);) std::cout << obey(card, line) << std::endl;
    return 0;
} catch (const std::exception& e) {
    std::cerr << "piv_card: " << e.what() << '\n';
    return 1;
}
