#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

#include <tests/c/c_interface.hpp>

// Every function of the C interface, called with each of its parameters wrong in every way that there is.
// tests/c/test_interface.py fails when a function is not here.
namespace ctlsign::testing {
namespace {

template <typename T>
inline constexpr bool kIsHandle = std::disjunction_v<
    std::is_same<T, ctlsign_modules*>, std::is_same<T, ctlsign_tokens*>, std::is_same<T, ctlsign_identities*>,
    std::is_same<T, ctlsign_signer*>, std::is_same<T, ctlsign_manifest*>, std::is_same<T, ctlsign_file*>,
    std::is_same<T, ctlsign_anchors*>, std::is_same<T, ctlsign_verdict*>, std::is_same<T, ctlsign_watcher*>>;

// A parameter that may be nothing.
template <typename T>
struct Optional {
    T value;
};
template <typename T>
Optional<T> optional(T value) {
    return {value};
}
template <typename T>
const T& value_of(const T& value) {
    return value;
}
template <typename T>
const T& value_of(const Optional<T>& value) {
    return value.value;
}
template <typename T>
inline constexpr bool kIsOptional = false;
template <typename T>
inline constexpr bool kIsOptional<Optional<T>> = true;

class CArguments : public CToken {
  protected:
    CArguments() {
        ctlsign_anchors* closed = nullptr;
        ok(ctlsign_anchors_open(&closed, &error));
        ok(ctlsign_close(closed, &error));
        closed_ = closed;
        ok(ctlsign_anchors_open(another_.out(), &error));
        ok(ctlsign_file_load(data_path(kGolden).c_str(), file.out(), &error));
        open_signer();
        load_manifest();
        ok(ctlsign_tokens_list(modules, tokens.out(), &error));
        ok(ctlsign_file_verify(file, nullptr, 0, verdict.out(), &error));
    }
    ~CArguments() override { EXPECT_EQ(asked, 0) << "nothing wrong goes so far as to need a PIN"; }

    // GOOD are all parameters but the last, where the details of an error go. Each pointer among them becomes
    // null, each handle one of another kind, one that was closed, one that never was, and an address.
    template <typename... P, typename... Good>
    void probe(const char* name, ctlsign_status (*function)(P...), const Good&... good) {
        static_assert(sizeof...(P) == sizeof...(Good) + 1);
        SCOPED_TRACE(name);
        std::tuple<P...> all;
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            ((std::get<I>(all) = static_cast<std::tuple_element_t<I, std::tuple<P...>>>(value_of(good))),
             ...);
            std::get<sizeof...(Good)>(all) = &error;
            (spoil<I, kIsOptional<Good>>(function, all), ...);
        }
        (std::index_sequence_for<Good...>{});
    }

    template <std::size_t I, bool Optional, typename... P>
    void spoil(ctlsign_status (*function)(P...), std::tuple<P...> all) {
        SCOPED_TRACE("parameter " + std::to_string(I + 1));
        using T = std::tuple_element_t<I, std::tuple<P...>>;
        T& parameter = std::get<I>(all);
        [[maybe_unused]] const T good = parameter;
        if constexpr (kIsHandle<T>) {
            void* const other =
                static_cast<void*>(std::is_same_v<T, ctlsign_anchors*> ? static_cast<void*>(file)
                                                                       : static_cast<void*>(another_));
            int somewhere = 0;
            for (void* wrong :
                 {other, closed_, reinterpret_cast<void*>(UINTPTR_MAX), static_cast<void*>(&somewhere)}) {
                parameter = static_cast<T>(wrong);
                expect(CTLSIGN_STATUS_HANDLE, function, all);
            }
        }
        if constexpr (Optional) return;
        if constexpr (std::is_pointer_v<T>) {
            parameter = nullptr;
            expect(kIsHandle<T> ? CTLSIGN_STATUS_HANDLE : CTLSIGN_STATUS_ARGUMENT, function, all);
        }
        if constexpr (std::is_same_v<T, ctlsign_view>) {
            parameter = {};
            expect(CTLSIGN_STATUS_ARGUMENT, function, all);
        }
        if constexpr (requires { good->size; } && !std::is_same_v<T, ctlsign_bytes*>) {
            auto unset = *good;
            unset.size = 0;
            parameter = &unset;
            expect(CTLSIGN_STATUS_ARGUMENT, function, all);
        }
    }

    template <typename... P>
    void expect(ctlsign_status wanted, ctlsign_status (*function)(P...), std::tuple<P...>& all) {
        error = {};
        EXPECT_EQ(std::apply(function, all), wanted) << error.text;
        EXPECT_EQ(error.status, wanted);
        EXPECT_STREQ(error.domain, "c");
        EXPECT_STRNE(error.text, "");
        auto without = all;
        std::get<sizeof...(P) - 1>(without) = nullptr;
        EXPECT_EQ(std::apply(function, without), wanted);
    }

    Handle<ctlsign_file> file;
    Handle<ctlsign_tokens> tokens;
    Handle<ctlsign_verdict> verdict;
    Handle<ctlsign_anchors> another_;
    void* closed_ = nullptr;
};

#define PROBE(function, ...) probe(#function, &(function)__VA_OPT__(, ) __VA_ARGS__)

TEST_F(CArguments, ModulesAndTokens) {
    Handle<ctlsign_identities> identities;
    ok(ctlsign_identities_list(tokens, 0, identities.out(), &error));
    const auto options = sized<ctlsign_module_options>();
    ctlsign_modules* opened = nullptr;
    std::size_t count = 0;
    auto module = sized<ctlsign_module_info>();
    PROBE(ctlsign_modules_open, optional(static_cast<const ctlsign_module_options*>(nullptr)), &opened);
    PROBE(ctlsign_modules_count, modules, &count);
    PROBE(ctlsign_modules_get, modules, 0, &module);

    auto unset = options;
    unset.size = 0;
    EXPECT_EQ(ctlsign_modules_open(&unset, &opened, &error), CTLSIGN_STATUS_ARGUMENT);

    ctlsign_tokens* listed = nullptr;
    auto token_info = sized<ctlsign_token_info>();
    auto status = sized<ctlsign_pin_status>();
    PROBE(ctlsign_tokens_list, modules, &listed);
    PROBE(ctlsign_tokens_count, tokens, &count);
    PROBE(ctlsign_tokens_get, tokens, 0, &token_info);
    PROBE(ctlsign_tokens_pin_status, tokens, 0, &status);
    EXPECT_EQ(ctlsign_tokens_get(tokens, 1, &token_info, &error), CTLSIGN_STATUS_ARGUMENT);
    EXPECT_EQ(ctlsign_tokens_pin_status(tokens, 1, &status, &error), CTLSIGN_STATUS_ARGUMENT);

    ctlsign_identities* found = nullptr;
    auto identity = sized<ctlsign_identity_info>();
    PROBE(ctlsign_identities_list, tokens, 0, &found);
    PROBE(ctlsign_identities_count, identities, &count);
    PROBE(ctlsign_identities_get, identities, 0, &identity);
    EXPECT_EQ(ctlsign_identities_list(tokens, 1, &found, &error), CTLSIGN_STATUS_ARGUMENT);
}

TEST_F(CArguments, Watchers) {
    Handle<ctlsign_watcher> watcher;
    ok(ctlsign_watcher_open(modules, watcher.out(), &error));
    ctlsign_watcher* opened = nullptr;
    ctlsign_change change = 0;
    ctlsign_tokens* arrived = nullptr;
    PROBE(ctlsign_watcher_open, modules, &opened);
    PROBE(ctlsign_watcher_next, watcher, 0, &change, &arrived);
    PROBE(ctlsign_watcher_stop, watcher);
}

TEST_F(CArguments, Signers) {
    const auto given = options();
    ctlsign_signer* opened = nullptr;
    auto info = sized<ctlsign_signer_info>();
    ctlsign_bytes signature{};
    const std::string path = data_path(std::string(kTokenKey) + ".key");
    const ctlsign_view message = to_view(as_bytes(path));
    PROBE(ctlsign_signer_open_token, modules, optional(static_cast<const char*>(nullptr)), optional(&given),
          &opened);
    PROBE(ctlsign_signer_open_file, path.c_str(), optional(&given), &opened);
    PROBE(ctlsign_signer_get, signer, &info);
    PROBE(ctlsign_signer_unlock, signer);
    PROBE(ctlsign_signer_sign, signer, CTLSIGN_DIGEST_SHA1, message, &signature);

    auto wrong = options();
    wrong.size = 0;
    EXPECT_EQ(ctlsign_signer_open_token(modules, nullptr, &wrong, &opened, &error), CTLSIGN_STATUS_ARGUMENT);
    EXPECT_EQ(ctlsign_signer_open_file(path.c_str(), &wrong, &opened, &error), CTLSIGN_STATUS_ARGUMENT);
    wrong = options();
    wrong.certificate = message;
    EXPECT_EQ(ctlsign_signer_open_token(modules, nullptr, &wrong, &opened, &error), CTLSIGN_STATUS_MALFORMED);
}

TEST_F(CArguments, Making) {
    ctlsign_manifest* opened = nullptr;
    ctlsign_bytes made{};
    ctlsign_bytes digest{};
    const std::string path = data_path(kManifest);
    const std::string toml = read_text(kManifest);
    const std::string certificate = read_text(std::string(kTokenKey) + ".pem");
    const ctlsign_view octets = to_view(as_bytes(toml));
    const auto by = optional(to_view(as_bytes(certificate)));
    auto options = sized<ctlsign_sgn_options>();
    options.filename = "x.sgn";
    options.digest = CTLSIGN_DIGEST_SHA1;
    const auto* sgn = &std::as_const(options);
    PROBE(ctlsign_manifest_load, path.c_str(), &opened);
    PROBE(ctlsign_manifest_decode, octets, path.c_str(), &opened);
    PROBE(ctlsign_list_build, manifest, signer, CTLSIGN_TIME_DEFAULT, &made);
    PROBE(ctlsign_list_resign, file, signer, CTLSIGN_TIME_DEFAULT, &made);
    PROBE(ctlsign_list_prepare, manifest, by.value, CTLSIGN_TIME_DEFAULT, &made, &digest);
    PROBE(ctlsign_list_attach, octets, octets, by, by, &made);
    PROBE(ctlsign_sgn_sign, octets, sgn, signer, &made);
    PROBE(ctlsign_store, "/nowhere/file", octets);

    options.filename = nullptr;
    EXPECT_EQ(ctlsign_sgn_sign(octets, &options, signer, &made, &error), CTLSIGN_STATUS_ARGUMENT);
    EXPECT_EQ(ctlsign_manifest_load("/nowhere.toml", &opened, &error), CTLSIGN_STATUS_SYSTEM);
    EXPECT_EQ(ctlsign_manifest_decode(by.value, "", &opened, &error), CTLSIGN_STATUS_MALFORMED);
    EXPECT_EQ(ctlsign_list_prepare(manifest, octets, CTLSIGN_TIME_DEFAULT, &made, &digest, &error),
              CTLSIGN_STATUS_MALFORMED);
    EXPECT_EQ(ctlsign_list_attach(octets, octets, {}, {}, &made, &error), CTLSIGN_STATUS_MALFORMED);
}

TEST_F(CArguments, Reading) {
    ctlsign_file* opened = nullptr;
    const Bytes octets = read_data(kGolden);
    const std::string path = data_path(kGolden);
    auto header = sized<ctlsign_header>();
    auto record = sized<ctlsign_record>();
    auto element = sized<ctlsign_element>();
    std::size_t count = 0;
    ctlsign_bytes text{};
    PROBE(ctlsign_file_decode, to_view(octets), &opened);
    PROBE(ctlsign_file_load, path.c_str(), &opened);
    PROBE(ctlsign_file_get_header, file, &header);
    PROBE(ctlsign_file_get_record, file, 0, &record);
    PROBE(ctlsign_file_count_elements, file, 0, &count);
    PROBE(ctlsign_file_get_element, file, 0, 0, &element);
    PROBE(ctlsign_file_show, file, optional(static_cast<const char*>(nullptr)), &text);
    EXPECT_EQ(ctlsign_file_count_elements(file, 5, &count, &error), CTLSIGN_STATUS_ARGUMENT);
}

TEST_F(CArguments, Verifying) {
    Handle<ctlsign_anchors> anchors;
    ok(ctlsign_anchors_open(anchors.out(), &error));
    ctlsign_anchors* opened = nullptr;
    ctlsign_verdict* answer = nullptr;
    auto info = sized<ctlsign_verdict_info>();
    auto warning = sized<ctlsign_warning>();
    const std::string certificate = read_text(std::string(kTokenKey) + ".pem");
    PROBE(ctlsign_anchors_open, &opened);
    PROBE(ctlsign_anchors_add_list, anchors, file);
    PROBE(ctlsign_anchors_add_certificates, anchors, to_view(as_bytes(certificate)));
    PROBE(ctlsign_file_verify, file, optional<ctlsign_anchors*>(anchors), CTLSIGN_TIME_DEFAULT, &answer);
    PROBE(ctlsign_verdict_get, verdict, &info);
    PROBE(ctlsign_verdict_get_warning, verdict, 0, &warning);
    EXPECT_EQ(ctlsign_anchors_add_certificates(anchors, to_view(as_bytes("none")), &error),
              CTLSIGN_STATUS_MALFORMED);
}

TEST_F(CArguments, Closing) {
    int somewhere = 0;
    for (void* wrong : {closed_, static_cast<void*>(&somewhere)}) {
        EXPECT_EQ(ctlsign_close(wrong, &error), CTLSIGN_STATUS_HANDLE);
        EXPECT_EQ(ctlsign_close(wrong, nullptr), CTLSIGN_STATUS_HANDLE);
    }
    EXPECT_EQ(ctlsign_close(nullptr, &error), CTLSIGN_STATUS_OK);
    ctlsign_bytes none{};
    ctlsign_bytes_free(&none);
    ctlsign_bytes_free(nullptr);
    const std::size_t before = ctlsign_open_handles();
    ctlsign_anchors* one = nullptr;
    ok(ctlsign_anchors_open(&one, &error));
    EXPECT_EQ(ctlsign_open_handles(), before + 1);
    ok(ctlsign_close(one, &error));
    EXPECT_EQ(ctlsign_close(one, &error), CTLSIGN_STATUS_HANDLE) << "a second time";
}

}  // namespace
}  // namespace ctlsign::testing
