#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include <tests/c/c_interface.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/temporary_folder.hpp>

// Trust lists and .sgn files through the C interface.
namespace ctlsign::testing {
namespace {

const std::string kPublisher = "krakow/certificates/cucm-1051-a-pub";

class CList : public CToken {
  protected:
    void decode(const Bytes& octets) { ok(ctlsign_file_decode(to_view(octets), file.out(), &error)); }
    void open_key(const std::string& stem) {
        ok(ctlsign_signer_open_file(data_path(stem + ".key").c_str(), nullptr, signer.out(), &error));
    }
    ctlsign_verdict_info verify(ctlsign_anchors* trusted) {
        ok(ctlsign_file_verify(file, trusted, 1'425'667'513, verdict.out(), &error));
        auto info = sized<ctlsign_verdict_info>();
        ok(ctlsign_verdict_get(verdict, &info, &error));
        return info;
    }
    ctlsign_header header() {
        auto header = sized<ctlsign_header>();
        ok(ctlsign_file_get_header(file, &header, &error));
        return header;
    }
    Handle<ctlsign_file> file;
    Handle<ctlsign_verdict> verdict;
    Handle<ctlsign_anchors> anchors;
    Filled made, digest;
};

TEST_F(CList, BuildsTheGoldenListWithAToken) {
    open_signer();
    load_manifest();
    ok(ctlsign_list_build(manifest, signer, CTLSIGN_TIME_DEFAULT, made.out(), &error));
    EXPECT_EQ(made.bytes(), read_data(kGolden));
    EXPECT_EQ(asked, 1);

    const std::string toml = read_text(kManifest);
    ok(ctlsign_manifest_decode(to_view(as_bytes(toml)), data_path("krakow").c_str(), manifest.out(), &error));
    ok(ctlsign_list_build(manifest, signer, 7, made.out(), &error));
    decode(made.bytes());
    EXPECT_EQ(header().timestamp, 7);
    EXPECT_EQ(ctlsign_list_build(manifest, signer, -2, made.out(), &error), CTLSIGN_STATUS_ARGUMENT);
}

TEST_F(CList, RefusesASignerThatTheListDoesNotName) {
    open_key("krakow/certificates/CAPF-e41e7d87");
    load_manifest();
    EXPECT_EQ(ctlsign_list_build(manifest, signer, CTLSIGN_TIME_DEFAULT, made.out(), &error),
              CTLSIGN_STATUS_NOT_VERIFIED);
    decode(read_data(kGolden));
    EXPECT_EQ(ctlsign_list_resign(file, signer, 0, made.out(), &error), CTLSIGN_STATUS_RULE);
    EXPECT_THAT(error.text, ::testing::HasSubstr("signer-is-sast"));
}

TEST_F(CList, ResignsForAnotherSignerAndBack) {
    open_key("krakow/tokens/SAST-ADN0054f509");
    decode(read_data(kGolden));
    ok(ctlsign_list_resign(file, signer, CTLSIGN_TIME_DEFAULT, made.out(), &error));
    decode(made.bytes());
    EXPECT_EQ(verify(nullptr).outcome, CTLSIGN_OUTCOME_VERIFIED);
    open_key(kTokenKey);
    ok(ctlsign_list_resign(file, signer, 1'425'667'513, made.out(), &error));
    EXPECT_EQ(made.bytes(), read_data(kGolden));
}

TEST_F(CList, PreparesAndAttaches) {
    load_manifest();
    const std::string certificate = read_text(std::string(kTokenKey) + ".pem");
    const ctlsign_view by = to_view(as_bytes(certificate));
    ok(ctlsign_list_prepare(manifest, by, CTLSIGN_TIME_DEFAULT, made.out(), digest.out(), &error));
    EXPECT_EQ(made.bytes(), read_golden(kGolden).message);
    EXPECT_EQ(digest.view().size, 20U);

    Bytes signature = read_golden(kGolden).signature;
    Filled finished;
    ok(ctlsign_list_attach(made.view(), to_view(signature), by, digest.view(), finished.out(), &error));
    EXPECT_EQ(finished.bytes(), read_data(kGolden));
    ok(ctlsign_list_attach(made.view(), to_view(signature), {}, {}, finished.out(), &error));
    EXPECT_EQ(finished.bytes(), read_data(kGolden));

    const Bytes another(20);
    EXPECT_EQ(
        ctlsign_list_attach(made.view(), to_view(signature), {}, to_view(another), finished.out(), &error),
        CTLSIGN_STATUS_NOT_VERIFIED);
    signature.back() ^= 1;
    EXPECT_EQ(ctlsign_list_attach(made.view(), to_view(signature), {}, {}, finished.out(), &error),
              CTLSIGN_STATUS_NOT_VERIFIED);
    EXPECT_EQ(finished.view().data, nullptr);
}

TEST_F(CList, DecodesHeaderRecordsAndElements) {
    ok(ctlsign_file_load(data_path(kGolden).c_str(), file.out(), &error));
    const auto head = header();
    EXPECT_EQ(head.kind, CTLSIGN_FILE_LIST);
    EXPECT_EQ(head.version_major, 1);
    EXPECT_EQ(head.version_minor, 2);
    EXPECT_EQ(head.signer_version_major, -1);
    EXPECT_THAT(to_string(head.signer_name), ::testing::HasSubstr("SAST-ADN008580ef"));
    EXPECT_EQ(head.digest, CTLSIGN_DIGEST_SHA1);
    EXPECT_EQ(head.key_bits, 1024U);
    EXPECT_EQ(to_string(head.filename), "CTLFile.tlv");
    EXPECT_EQ(to_bytes(head.octets), read_data(kGolden));
    EXPECT_EQ(to_bytes(head.signature), read_golden(kGolden).signature);
    ASSERT_EQ(head.record_count, 5U);
    EXPECT_EQ(head.payload.data, nullptr);

    auto record = sized<ctlsign_record>();
    ok(ctlsign_file_get_record(file, 1, &record, &error));
    EXPECT_EQ(record.role, 2);
    EXPECT_EQ(record.is_signer, 0);
    EXPECT_EQ(to_string(record.dns_name), "10.48.47.153");
    EXPECT_EQ(to_bytes(record.ip_address), (Bytes{10, 48, 47, 153}));
    EXPECT_TRUE(equal(to_bytes(record.certificate), load_certificate(kPublisher + ".pem").der()));
    EXPECT_EQ(record.signature.data, nullptr);
    EXPECT_EQ(record.hash_algorithm, 0);
    ok(ctlsign_file_get_record(file, 4, &record, &error));
    EXPECT_EQ(record.is_signer, 1);
    EXPECT_NE(record.dns_name.data, nullptr) << "an empty name is one";
    EXPECT_EQ(record.dns_name.size, 0U);
    EXPECT_EQ(ctlsign_file_get_record(file, 5, &record, &error), CTLSIGN_STATUS_ARGUMENT);

    std::size_t count = 0;
    ok(ctlsign_file_count_elements(file, 1, &count, &error));
    auto element = sized<ctlsign_element>();
    ok(ctlsign_file_get_element(file, 1, 0, &element, &error));
    EXPECT_STREQ(element.name, "RECORDLENGTH");
    EXPECT_EQ(ctlsign_file_get_element(file, 1, count, &element, &error), CTLSIGN_STATUS_ARGUMENT);
    ok(ctlsign_file_count_elements(file, CTLSIGN_HEADER, &count, &error));
    unsigned deepest = 0;
    for (std::size_t i = 0; i < count; ++i) {
        ok(ctlsign_file_get_element(file, CTLSIGN_HEADER, i, &element, &error));
        deepest = std::max(deepest, element.depth);
    }
    EXPECT_GE(deepest, 1U);
}

TEST_F(CList, KeepsUnknownTags) {
    std::ifstream in(CTLSIGN_UNKNOWN_TAGS, std::ios::binary);
    decode(Bytes(std::istreambuf_iterator<char>(in), {}));
    int unknown = 0;
    for (std::size_t record = 0; record < header().record_count; ++record) {
        std::size_t count = 0;
        ok(ctlsign_file_count_elements(file, record, &count, &error));
        for (std::size_t i = 0; i < count; ++i) {
            auto element = sized<ctlsign_element>();
            ok(ctlsign_file_get_element(file, record, i, &element, &error));
            if (std::string_view(element.name) == "UNKNOWN") ++unknown;
        }
    }
    EXPECT_GT(unknown, 0);
}

TEST_F(CList, ShowsWhatShowCtlPrints) {
    decode(read_data(kGolden));
    ok(ctlsign_file_show(file, "Fri Mar 06 19:45:13 CET 2015", made.out(), &error));
    EXPECT_THAT(made.text(), ::testing::HasSubstr("The CTL file was verified successfully."));
    EXPECT_THAT(made.text(), ::testing::HasSubstr("Fri Mar 06 19:45:13 CET 2015"));
    EXPECT_EQ(std::strlen(made.text()), made.view().size);
}

TEST_F(CList, VerifiesAgainstWhatIsTrusted) {
    decode(read_data(kGolden));
    auto info = verify(nullptr);
    EXPECT_EQ(info.outcome, CTLSIGN_OUTCOME_VERIFIED);
    EXPECT_EQ(info.basis, CTLSIGN_BASIS_FILE_ITSELF);
    EXPECT_EQ(info.trusted, 0) << "a file that vouches for itself proves nothing";
    EXPECT_EQ(info.record, 4);
    EXPECT_EQ(info.list, -1);
    EXPECT_STREQ(info.rule, "signature-fits");
    EXPECT_THAT(to_string(info.signer_name), ::testing::HasSubstr("SAST-ADN008580ef"));

    ok(ctlsign_anchors_open(anchors.out(), &error));
    const std::string stranger = read_text(kPublisher + ".pem");
    ok(ctlsign_anchors_add_certificates(anchors, to_view(as_bytes(stranger)), &error));
    info = verify(anchors);
    EXPECT_EQ(info.trusted, 0);
    EXPECT_EQ(info.outcome, CTLSIGN_OUTCOME_REFUSED);
    EXPECT_STREQ(info.rule, "signer-unknown");

    ok(ctlsign_anchors_add_list(anchors, file, &error));
    info = verify(anchors);
    EXPECT_EQ(info.trusted, 1);
    EXPECT_EQ(info.basis, CTLSIGN_BASIS_INSTALLED_LIST);
    EXPECT_EQ(info.list, 0);
    EXPECT_EQ(info.record, 4);

    ASSERT_GT(info.warning_count, 0U);
    auto warning = sized<ctlsign_warning>();
    std::string cautions;
    for (std::size_t i = 0; i < info.warning_count; ++i) {
        ok(ctlsign_verdict_get_warning(verdict, i, &warning, &error));
        EXPECT_STRNE(warning.text, "");
        cautions.append(warning.caution).append(" ");
    }
    EXPECT_THAT(cautions, ::testing::HasSubstr("sha1"));
    EXPECT_THAT(cautions, ::testing::HasSubstr("key-below-2048"));
    EXPECT_EQ(ctlsign_verdict_get_warning(verdict, info.warning_count, &warning, &error),
              CTLSIGN_STATUS_ARGUMENT);
}

TEST_F(CList, AnAnswerOfNoIsNoError) {
    Bytes octets = read_data(kGolden);
    octets.back() ^= 1;
    decode(octets);
    const auto info = verify(nullptr);
    EXPECT_EQ(info.outcome, CTLSIGN_OUTCOME_REFUSED);
    EXPECT_STREQ(info.rule, "signature-wrong");
    EXPECT_STRNE(info.text, "");
}

TEST_F(CList, SaysWhereAFileIsMalformed) {
    EXPECT_EQ(ctlsign_file_decode(to_view(as_bytes("no list")), file.out(), &error),
              CTLSIGN_STATUS_MALFORMED);
    EXPECT_STREQ(error.domain, "ctlsign");
    EXPECT_EQ(ctlsign_file_load("/nowhere.tlv", file.out(), &error), CTLSIGN_STATUS_SYSTEM);
}

#ifndef CTLSIGN_INSTRUMENTED  // sanitizers take address space without end
TEST_F(CList, TooLittleMemoryIsAStatus) {
    const TemporaryFolder folder;
    const std::string path = (folder / "large").string();
    std::ofstream(path) << std::string(15'000'000, '\1');
    const pid_t child = fork();
    if (child == 0) {
        rlim_t pages = 0;
        std::ifstream("/proc/self/statm") >> pages;
        const rlim_t room = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (1U << 20U);
        const rlimit limit{room, room};
        setrlimit(RLIMIT_AS, &limit);
        _exit(ctlsign_file_load(path.c_str(), file.out(), nullptr));
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == CTLSIGN_STATUS_MEMORY) << status;
}
#endif

TEST_F(CList, SignsVerifiesAndStripsSgnFiles) {
    const Bytes payload = read_data("open-tools/SEP001122334455.cnf.xml");
    open_key(kPublisher);
    auto options = sized<ctlsign_sgn_options>();
    options.filename = "SEP001122334455.cnf.xml.sgn";
    options.digest = CTLSIGN_DIGEST_SHA512;
    options.timestamp = 7;
    ok(ctlsign_sgn_sign(to_view(payload), &options, signer, made.out(), &error));
    decode(made.bytes());
    EXPECT_EQ(header().kind, CTLSIGN_FILE_SGN);
    EXPECT_EQ(header().timestamp, 7);
    EXPECT_EQ(header().digest, CTLSIGN_DIGEST_SHA512);
    EXPECT_EQ(to_bytes(header().payload), payload);
    auto record = sized<ctlsign_record>();
    EXPECT_EQ(ctlsign_file_get_record(file, 0, &record, &error), CTLSIGN_STATUS_ARGUMENT);

    EXPECT_EQ(verify(nullptr).outcome, CTLSIGN_OUTCOME_KEY_NOT_HERE);
    ok(ctlsign_anchors_open(anchors.out(), &error));
    const std::string certificate = read_text(kPublisher + ".pem");
    ok(ctlsign_anchors_add_certificates(anchors, to_view(as_bytes(certificate)), &error));
    EXPECT_EQ(verify(anchors).trusted, 1);
    EXPECT_EQ(ctlsign_anchors_add_list(anchors, file, &error), CTLSIGN_STATUS_ARGUMENT);

    options.layout = 2;
    EXPECT_EQ(ctlsign_sgn_sign(to_view(payload), &options, signer, made.out(), &error),
              CTLSIGN_STATUS_ARGUMENT);
    options.layout = CTLSIGN_LAYOUT_OPEN_TOOLS;
    options.name_style = 3;
    EXPECT_EQ(ctlsign_sgn_sign(to_view(payload), &options, signer, made.out(), &error),
              CTLSIGN_STATUS_ARGUMENT);
    options.name_style = CTLSIGN_NAME_RFC4514;
    options.digest = 0;
    EXPECT_EQ(ctlsign_sgn_sign(to_view(payload), &options, signer, made.out(), &error),
              CTLSIGN_STATUS_ARGUMENT);
}

TEST_F(CList, ReadsSgnFilesOfTheOpenTools) {
    ok(ctlsign_file_load(data_path(kSgn).c_str(), file.out(), &error));
    EXPECT_EQ(to_bytes(header().payload), read_data("open-tools/SEP001122334455.cnf.xml"));
    ok(ctlsign_file_show(file, nullptr, made.out(), &error));
    EXPECT_THAT(made.text(), ::testing::HasSubstr("Parse SGN File"));
}

TEST_F(CList, StoresWholeFiles) {
    const TemporaryFolder folder;
    const std::string path = (folder.path() / "CTLFile.tlv").string();
    const Bytes octets = read_data(kGolden);
    ok(ctlsign_store(path.c_str(), to_view(octets), &error));
    ok(ctlsign_file_load(path.c_str(), file.out(), &error));
    EXPECT_EQ(to_bytes(header().octets), octets);
    EXPECT_EQ(ctlsign_store((path + "/below").c_str(), to_view(octets), &error), CTLSIGN_STATUS_SYSTEM);
}

}  // namespace
}  // namespace ctlsign::testing
