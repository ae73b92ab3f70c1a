#include <tests/contract/scenarios.hpp>
#include <tests/contract/token_kind.hpp>

namespace ctlsign::testing::contract {

namespace {
constexpr const char* kLoginWrites =
    "SoftHSM2 2.6 rewrites the token's file at each login; who reads it meanwhile loses the token";
constexpr const char* kNeverLocks = "SoftHSM2 never locks a PIN";
constexpr const char* kNssNeverLocks = "softokn never locks a PIN";
constexpr const char* kAlwaysIn = "a token in a folder is always in; removing the folder is no removal";
constexpr const char* kNeedsParameters =
    "p11-kit's process has no way to give softokn the parameters it needs";
constexpr const char* kTpmTellsNoTries = "tpm2-pkcs11 shows no PIN flags, and a TPM's tries are its own";
constexpr const char* kTpmKeepsSessions =
    "a TPM without a resource manager keeps the sessions of a process that was killed";
constexpr const char* kTpmHasNoRoom =
    "a TPM without a resource manager has room for three objects, whichever process loads them";
constexpr const char* kNoDaemon = "no daemon stands between the module and the token";
#ifdef CTLSIGN_INSTRUMENTED
constexpr const char* kInstrumented = "p11-kit's program cannot load a module that is instrumented";
#endif
}  // namespace

const std::vector<Column>& columns() {
    using enum Ability;
    // What no virtual token has, and LACKS.
    const auto virtual_lacks = [](std::map<Ability, const char*> lacks) {
        lacks.emplace(HasDaemon, kNoDaemon);
#ifdef CTLSIGN_INSTRUMENTED
        lacks.emplace(CanBeApart, kInstrumented);
#endif
        return lacks;
    };
    static const std::vector<Column> kColumns = {
        {"softhsm2",
         make_softhsm,
         {{SharesLogins, kLoginWrites},
          {CountsTries, kNeverLocks},
          {CanBePulled, kAlwaysIn},
          {HasTwoReaders, kAlwaysIn},
          {HasDaemon, kNoDaemon}}},
        {"opensc+pcscd", make_opensc, {}},
        {"nss-softokn",
         make_nss,
         {{CountsTries, kNssNeverLocks},
          {CanBePulled, kAlwaysIn},
          {HasTwoReaders, kAlwaysIn},
          {CanBeApart, kNeedsParameters},
          {HasDaemon, kNoDaemon}}},
        {"p11-kit-remote",
         make_remote,
         {{SharesLogins, kLoginWrites},
          {CountsTries, kNeverLocks},
          {CanBePulled, kAlwaysIn},
          {HasTwoReaders, kAlwaysIn}}},
        {"softhsm2-by-ssh",
         make_ssh,
         {{SharesLogins, kLoginWrites},
          {CountsTries, kNeverLocks},
          {CanBePulled, kAlwaysIn},
          {HasTwoReaders, kAlwaysIn}},
         /*long_run=*/true},
        {"tpm2-pkcs11",
         make_tpm,
         {{CountsTries, kTpmTellsNoTries},
          {SharesItself, kTpmHasNoRoom},
          {SharesLogins, kTpmHasNoRoom},
          {CanBePulled, kAlwaysIn},
          {HasTwoReaders, kAlwaysIn},
          {CanBeApart, kTpmKeepsSessions}},
         /*long_run=*/true},
        {"opencryptoki",
         make_opencryptoki,
         {{CanBePulled, kAlwaysIn}, {HasTwoReaders, kAlwaysIn}},
         /*long_run=*/true},
        {"plain-softhsm", [] { return make_virtual("plain-softhsm"); },
         virtual_lacks({{SharesLogins, kLoginWrites}, {CountsTries, kNeverLocks}})},
        {"publisher-hsm", [] { return make_virtual("publisher-hsm"); },
         virtual_lacks({{SharesLogins, kLoginWrites}})},
        {"etoken-pro-64k", [] { return make_virtual("etoken-pro-64k"); }, virtual_lacks({})},
        {"etoken-5110", [] { return make_virtual("etoken-5110"); }, virtual_lacks({})},
        {"etoken-5110-cc", [] { return make_virtual("etoken-5110-cc"); }, virtual_lacks({})},
    };
    return kColumns;
}

const std::vector<Row>& rows() {
    using enum Ability;
    static const std::vector<Row> kRows = {
        {"sign", sign, {}},
        {"sign with each digest", sign_with_each_digest, {}},
        {"wrong PIN", wrong_pin, {}},
        {"final try kept", final_try_kept, {CountsTries}},
        {"locked", locked, {CountsTries}, /*locks=*/true},
        {"two processes sign at once", two_processes_sign, {SharesItself}},
        {"two processes log in at once", two_processes_log_in, {SharesLogins}},
        {"fork in the middle", fork_in_the_middle, {}},
        {"pulled before the signature", pulled_before, {CanBePulled}},
        {"pulled in the signature", pulled_during, {CanBePulled}},
        {"pulled after the signature", pulled_after, {CanBePulled}},
        {"out for 20 ms", out_for_20_ms, {CanBePulled}},
        {"out for 5 s", out_for_5_s, {CanBePulled}},
        {"put into another reader", another_reader, {CanBePulled, HasTwoReaders}},
        {"another token put in", another_token, {CanBePulled}},
        {"module hangs", module_hangs, {CanBeApart}},
        {"module dies", module_dies, {CanBeApart}},
        {"daemon restarted", daemon_restarted, {HasDaemon}},
    };
    return kRows;
}

}  // namespace ctlsign::testing::contract
