#include <gtest/gtest.h>

#include <algorithm>

#include <ctlsign/cluster/journal.hpp>
#include <ctlsign/cluster/migration.hpp>
#include <ctlsign/cluster/nodes.hpp>
#include <ctlsign/cluster/operation.hpp>
#include <ctlsign/cluster/parameters.hpp>
#include <ctlsign/cluster/phones.hpp>
#include <ctlsign/cluster/recovery.hpp>
#include <ctlsign/cluster/stores.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/phone/decision.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/trustlist/sign.hpp>
#include <pkcs11/error.hpp>
#include <tests/support/key_signer.hpp>
#include <tests/support/temporary_folder.hpp>

// What becomes of the phones of a cluster after each change of its CTL, counted.
namespace ctlsign::cluster {
namespace {

using namespace ctlsign::testing;

struct Identity {
    sast::Certificate certificate;
    KeyPtr key;
};

Identity make_identity(const std::string& name) {
    static std::uint64_t serial = 100;
    const auto key = own_key(EVP_RSA_gen(1024));
    return {make_certificate(key, name, ++serial), key};
}

phone::Model make_model(bool security_by_default) {
    phone::Model model;
    model.listed = true;
    model.security_by_default = security_by_default;
    return model;
}

// How many phones have taken a list, of those that ask TVS and of those that do not.
struct Taken {
    int asking = 0, not_asking = 0;
    friend bool operator==(const Taken&, const Taken&) = default;
    friend void PrintTo(const Taken& taken, std::ostream* out) {
        *out << taken.asking << " that ask TVS, " << taken.not_asking << " that do not";
    }
};
constexpr int kAsking = 3, kNotAsking = 2;
constexpr Taken kAll{kAsking, kNotAsking}, kThroughTvs{kAsking, 0}, kNone{0, 0};

// Is gone when it is to sign.
class PulledToken final : public sast::Signer {
  public:
    explicit PulledToken(sast::Certificate certificate)
        : facts_(sast::make_facts(std::move(certificate), "a token")) {}
    const Facts& facts() const noexcept override { return facts_; }
    Bytes sign(Digest, ByteView) override {
        throw Error(pkcs11::make_rv(0x32), "C_Sign", facts_.description, "");
    }

  private:
    Facts facts_;
};

// A cluster in a database and folders, whose keys are at hand, and its five phones.
class Site {
  public:
    explicit Site(const std::string& name, const std::string& release)
        : name_(name),
          database_(
              Database::create((folder_ / "cluster.db").string(), name, Release::parse(release).value())),
          writer_(database_, "test", std::chrono::milliseconds(0)) {
        Node node;
        node.name = name + "-pub";
        node.address = {10, 0, 0, 1};
        node.place = Place::Publisher;
        node.target = (folder_ / "tftp").string();
        std::filesystem::create_directory(node.target);
        add_node(writer_, node);
        for (const Store store : {Store::CallManager, Store::Capf, Store::Tvs}) renew(store);
        if (state().release.has_itl_recovery()) renew(Store::ItlRecovery);
        for (int i = 0; i < kAsking + kNotAsking; ++i)
            phones_.push_back({make_model(i < kAsking), {nullptr, nullptr, {}}});
    }

    State state() const { return database_.load(); }
    Writer& writer() { return writer_; }
    const std::vector<phone::Device>& phones() const { return phones_; }

    sast::Certificate renew(Store store) {
        const Identity made = make_identity(std::string(to_text(store)) + "-" + name_);
        put_own_certificate(writer_, store, state().nodes.front(), made.certificate, std::nullopt);
        keys_.push_back(made);
        return made.certificate;
    }
    sast::Certificate add_token(const std::string& name) {
        keys_.push_back(make_identity(name));
        return keys_.back().certificate;
    }
    void upload(const sast::Certificate& certificate) {
        add_trusted_certificate(writer_, Store::PhoneSastTrust, certificate);
    }

    // Carries REQUEST out. The rules that were overridden are counted by forced().
    void change(Request request) {
        request.time = 1425667513;
        const Planned planned = plan(state(), request);
        forced_ = planned.refusals.size();
        ASSERT_TRUE(planned.plan) << (planned.refusals.empty() ? "" : to_text(planned.refusals.front()));
        auto nodes = reach_nodes(state().nodes);
        if (!planned.plan->list) {
            carry_out(writer_, *planned.plan, nullptr, nodes, planned.refusals);
            return;
        }
        KeySigner signer(planned.plan->signer.value(), key_of(*planned.plan->signer));
        carry_out(writer_, *planned.plan, &signer, nodes, planned.refusals);
    }
    std::size_t forced() const { return forced_; }

    // REQUEST is begun, and its token is pulled while it signs.
    void pull_while_signing(Request request) {
        const Plan planned = plan(state(), request).plan.value();
        auto nodes = reach_nodes(state().nodes);
        PulledToken token(planned.signer.value());
        EXPECT_THROW(carry_out(writer_, planned, &token, nodes, {}), Error);
    }
    // REQUEST is begun, and the process is killed at STEP.
    void kill_at(Unfinished::Step step, const Request& request) {
        const Plan planned = plan(state(), request).plan.value();
        KeySigner signer(planned.signer.value(), key_of(*planned.signer));
        JournalEntry entry;
        entry.step = step;
        entry.operation = to_text(planned.operation);
        entry.way = planned.way;
        entry.mode = planned.mode;
        entry.tokens = planned.tokens;
        entry.octets = sign_list(*planned.list, signer);
        for (const ReachedNode& node : reach_nodes(state().nodes))
            entry.before.push_back({node.node.id, node.octets});
        write_journal(writer_, entry);
    }

    void mixed_mode(std::vector<sast::Certificate> tokens = {}) {
        Request request;
        request.operation = Operation::MixedMode;
        request.way = tokens.empty() ? Way::Tokenless : Way::Tokens;
        request.tokens = std::move(tokens);
        change(request);
    }
    void update(std::vector<sast::Certificate> tokens = {}) {
        Request request;
        request.operation = Operation::Update;
        request.way = tokens.empty() ? Way::Tokenless : Way::Tokens;
        request.tokens = std::move(tokens);
        change(request);
    }
    void simple(Operation operation) {
        Request request;
        request.operation = operation;
        change(request);
    }

    std::shared_ptr<const TrustList> ctl() const {
        return std::make_shared<const TrustList>(decode_list(ByteView(state().ctl()->octets)));
    }
    // An ITL of today: CallManager signs, TVS may be asked.
    std::shared_ptr<const TrustList> itl() const {
        const State now = state();
        const Node& publisher = now.nodes.front();
        const sast::Certificate signer = now.find_own(Store::CallManager, publisher)->certificate;
        const auto record = [](const sast::Certificate& certificate, Role role) {
            return make_record(certificate, NameStyle::CallManager, role, CertificateSignature::Write);
        };
        ListDraft draft;
        draft.header.signer = make_signer_id(signer, NameStyle::CallManager);
        draft.header.digest = Digest::Sha512;
        draft.header.key_bits = signer.key_bits();
        draft.header.filename = "ITLFile.tlv";
        draft.header.timestamp = 1425667513;
        draft.records = {record(signer, Role::Sast), record(signer, Role::CcmTftp),
                         record(now.find_own(Store::Tvs, publisher)->certificate, Role::Tvs)};
        if (now.prepared_for_rollback) {
            RecordDraft bare;
            bare.dns_name = publisher.name;
            bare.role = Role::Tftp;
            draft.records = {record(signer, Role::Sast), bare};
        }
        KeySigner key(signer, key_of(signer));
        return std::make_shared<const TrustList>(decode_list(ByteView(sign_list(draft, key))));
    }

    // Every phone is reset with LISTS to fetch, its TVS servers being those of ASKED.
    Taken reset_phones(const Site& lists, const Site& asked) {
        Taken taken;
        const auto ctl = lists.ctl(), itl = lists.itl();
        for (phone::Device& device : phones_) {
            const bool asks = device.model.security_by_default.value();
            phone::Device before = device;
            if (!take(device, ctl, phone::ListKind::Ctl, asked)) continue;
            ++(asks ? taken.asking : taken.not_asking);
            // A model without Security By Default has no ITL; of a phone with nothing the first one is taken
            // on faith, as its CTL is.
            if (!asks) continue;
            const bool first = !before.installed.ctl && !before.installed.itl;
            EXPECT_TRUE(take(first ? before : device, itl, phone::ListKind::Itl, asked))
                << "an ITL that follows its CTL";
            if (first) device.installed.take(itl, phone::ListKind::Itl);
        }
        return taken;
    }
    Taken reset_phones() { return reset_phones(*this, *this); }
    // Only the ITL, as after a change of the rollback parameter.
    void give_itl() {
        for (phone::Device& device : phones_)
            if (device.model.security_by_default.value()) take(device, itl(), phone::ListKind::Itl, *this);
    }
    // Somebody walks from phone to phone.
    void delete_lists_by_hand() {
        for (phone::Device& device : phones_) device.installed = {};
    }
    // OTHER takes over the phones.
    void hand_phones_to(Site& other) { other.phones_ = phones_; }

  private:
    KeyPtr key_of(const sast::Certificate& certificate) const {
        const auto found = std::ranges::find(keys_, certificate, &Identity::certificate);
        return found == keys_.end() ? nullptr : found->key;
    }

    static bool take(phone::Device& device, const std::shared_ptr<const TrustList>& list,
                     phone::ListKind kind, const Site& asked) {
        const auto servers = tvs_servers(asked.state(), *list, asked.ctl().get());
        const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
        const phone::Verdict verdict = phone::decide(*list, kind, device, servers, now);
        if (verdict.outcome != phone::Outcome::Accepts) return false;
        device.installed.take(list, kind);
        return true;
    }

    std::string name_;
    TemporaryFolder folder_;
    Database database_;
    Writer writer_;
    std::vector<Identity> keys_;
    std::vector<phone::Device> phones_;
    std::size_t forced_ = 0;
};

// By two tokens, with the phones of the cluster holding what they signed.
class TokenSite : public Site {
  public:
    explicit TokenSite(const std::string& release) : Site("krakow", release) {
        mixed_mode({first, second});
        EXPECT_EQ(reset_phones(), kAll) << "a first list is taken on faith";
    }
    sast::Certificate first = add_token("SAST-A"), second = add_token("SAST-B");
};

class TokenlessSite : public Site {
  public:
    explicit TokenlessSite(const std::string& release, const std::string& name = "krakow")
        : Site(name, release) {
        mixed_mode();
        EXPECT_EQ(reset_phones(), kAll);
    }
};

Request replacing(const sast::Certificate& lost, const sast::Certificate& added,
                  const sast::Certificate& signer) {
    Request request;
    request.operation = Operation::ChangeTokens;
    request.tokens = {signer};
    request.added = {added};
    request.dropped = {lost};
    request.dropped_because = TokenState::Lost;
    return request;
}

TEST(Phones, ALostTokenIsReplaced) {
    TokenSite site("10.5(1)");
    const auto fresh = site.add_token("SAST-C");
    site.change(replacing(site.first, fresh, site.second));
    EXPECT_EQ(site.forced(), 0U);
    EXPECT_EQ(site.reset_phones(), kAll);
    site.update({fresh});
    EXPECT_EQ(site.reset_phones(), kAll) << "the new one is a SAST of what phones hold";
    // Who found the lost token and forces it convinces no phone.
    site.update({site.first});
    EXPECT_EQ(site.forced(), 1U);
    EXPECT_EQ(site.reset_phones(), kNone);
}

// The first step of WAY, as recover finds it when the tokens of SITE are so.
Request find_step(const TokenSite& site, const std::string& way, TokenCondition first, TokenCondition second,
                  std::vector<sast::Certificate> spares = {}) {
    SignerFacts facts;
    facts.tokens = {{site.first, first}, {site.second, second}};
    facts.spares = std::move(spares);
    facts.call_manager_key = true;
    const auto ways = assess(site.state(), facts).ways;
    const auto found = std::ranges::find(ways, way, &WayOut::name);
    if (found == ways.end() || !found->needs.empty()) throw std::invalid_argument(way);
    return found->steps.front().request.value();
}

TEST(Phones, ATokenIsLocked) {
    TokenSite site("10.5(1)");
    const auto fresh = site.add_token("SAST-C");
    site.change(find_step(site, "replace-token", TokenCondition::Locked, TokenCondition::Ready, {fresh}));
    EXPECT_EQ(site.forced(), 0U);
    EXPECT_EQ(site.reset_phones(), kAll);
    TokenSite without("10.5(1)");
    without.change(find_step(without, "to-tokenless", TokenCondition::Locked, TokenCondition::Ready));
    EXPECT_EQ(without.reset_phones(), kThroughTvs) << "what the cheaper way spares";
}

TEST(Phones, OneTokenIsLostAndThePinOfTheOtherForgotten) {
    TokenSite site("10.5(1)");
    site.change(find_step(site, "to-tokenless", TokenCondition::Lost, TokenCondition::Forgotten));
    EXPECT_EQ(site.forced(), 0U);
    EXPECT_EQ(site.reset_phones(), kThroughTvs);
}

TEST(Phones, TheCtlWasDeletedAndItsTokensAreThere) {
    TokenSite site("9.1(2)");
    site.simple(Operation::DeleteCtl);
    site.change(find_step(site, "mixed-mode", TokenCondition::Ready, TokenCondition::Ready));
    EXPECT_EQ(site.forced(), 0U);
    EXPECT_EQ(site.reset_phones(), kAll);
}

Request update_by(const sast::Certificate& token) {
    Request request;
    request.operation = Operation::Update;
    request.tokens = {token};
    request.time = 1425667513;
    return request;
}

TEST(Phones, ATokenIsPulledInTheMiddleOfAnUpdate) {
    TokenSite site("10.5(1)");
    const Bytes before = site.state().ctl()->octets;
    site.renew(Store::CallManager);
    site.pull_while_signing(update_by(site.first));
    EXPECT_EQ(site.state().ctl()->octets, before) << "what phones hold is what is served";
    EXPECT_FALSE(find_unfinished(site.writer().database()));
    site.update({site.second});
    EXPECT_EQ(site.reset_phones(), kAll);
}

TEST(Phones, APublicationIsKilled) {
    for (const auto step : {Unfinished::Step::Preparing, Unfinished::Step::Switching}) {
        TokenSite site("10.5(1)");
        site.renew(Store::CallManager);
        site.kill_at(step, update_by(site.first));
        const bool switching = step == Unfinished::Step::Switching;
        EXPECT_EQ(resume(site.writer()), switching ? Resumed::Finished : Resumed::Undone);
        if (!switching) site.update({site.first});
        EXPECT_EQ(site.reset_phones(), kAll);
    }
}

TEST(Phones, AllTokensAreLostFromReleaseTen) {
    TokenSite site("10.5(1)");
    site.update();
    EXPECT_EQ(site.reset_phones(), kThroughTvs);
    site.delete_lists_by_hand();
    EXPECT_EQ(site.reset_phones(), kAll);
}

TEST(Phones, AllTokensAreLostFromEleven) {
    TokenSite site("11.5(1)");
    site.update();
    EXPECT_EQ(site.reset_phones(), kAll) << "the publisher was a SAST already";
}

TEST(Phones, AllTokensAreLostAndTheClusterIsSetBack) {
    TokenSite site("10.5(1)");
    site.simple(Operation::NonSecureMode);
    EXPECT_EQ(site.reset_phones(), kThroughTvs);
    EXPECT_EQ(phone::registration_of(*site.phones().front().installed.ctl), phone::Registration::Unsecured);
    EXPECT_EQ(phone::registration_of(*site.phones().back().installed.ctl), phone::Registration::Signed)
        << "who refused keeps what it had";
}

TEST(Phones, AllTokensAreLostBeforeTen) {
    TokenSite site("9.1(2)");
    site.simple(Operation::DeleteCtl);
    site.mixed_mode({site.add_token("SAST-C"), site.add_token("SAST-D")});
    EXPECT_EQ(site.reset_phones(), kNone);
    site.delete_lists_by_hand();
    EXPECT_EQ(site.reset_phones(), kAll);
}

TEST(Phones, BackToTokensWithoutTheUpload) {
    TokenlessSite site("10.5(1)");
    site.simple(Operation::DeleteCtl);
    site.mixed_mode({site.add_token("SAST-A"), site.add_token("SAST-B")});
    EXPECT_EQ(site.forced(), 2U) << "phone-sast-trust, for each token";
    EXPECT_EQ(site.reset_phones(), kNone);
}

TEST(Phones, BackToTokensWithTheUpload) {
    TokenlessSite site("10.5(1)");
    const std::vector tokens{site.add_token("SAST-A"), site.add_token("SAST-B")};
    for (const auto& token : tokens) site.upload(token);
    site.simple(Operation::DeleteCtl);
    site.mixed_mode(tokens);
    EXPECT_EQ(site.forced(), 0U);
    EXPECT_EQ(site.reset_phones(), kThroughTvs);
}

TEST(Phones, CallManagerIsRegenerated) {
    TokenlessSite tokenless("10.5(1)");
    tokenless.renew(Store::CallManager);
    tokenless.update();
    EXPECT_EQ(tokenless.reset_phones(), kThroughTvs);
    TokenSite tokens("10.5(1)");
    tokens.renew(Store::CallManager);
    tokens.update({tokens.second});
    EXPECT_EQ(tokens.reset_phones(), kAll) << "a token signs as before";
    TokenlessSite twelve("12.0(1)");
    twelve.renew(Store::CallManager);
    twelve.update();
    EXPECT_EQ(twelve.reset_phones(), kAll) << "ITLRecovery signs as before";
}

TEST(Phones, ItlRecoveryIsRegenerated) {
    TokenlessSite site("12.0(1)");
    site.renew(Store::ItlRecovery);
    site.simple(Operation::ResetLocalKey);
    EXPECT_EQ(site.reset_phones(), kAll);
    site.update();
    EXPECT_EQ(site.reset_phones(), kAll) << "they know the new ITLRecovery by now";
}

TEST(Phones, BothAnchorsAreRegenerated) {
    TokenlessSite site("12.0(1)");
    for (const Store store : {Store::ItlRecovery, Store::CallManager, Store::Tvs}) site.renew(store);
    EXPECT_FALSE(check_anchors(site.state(), Store::CallManager, site.state().nodes.front()).empty());
    site.update();
    EXPECT_EQ(site.reset_phones(), kNone);
}

// Phones of A are to move to B.
struct Move {
    TokenlessSite a, b;
    explicit Move(const std::string& there) : a("10.5(1)", "a"), b(there, "b") {}
    static void introduce_to(Site& here, const Site& other) {
        const auto shown = std::get<std::vector<Introduction>>(introduce(other.state()));
        import_introductions(here.writer(), select_foreign(here.state(), shown));
    }
    Taken go() {
        const Taken taken = a.reset_phones(b, a);
        a.hand_phones_to(b);
        return taken;
    }
    Taken come_back() { return b.reset_phones(a, b); }
};

TEST(Phones, MoveByBulkAndComeBack) {
    for (const char* release : {"10.5(1)", "12.0(1)"}) {
        Move move(release);
        Move::introduce_to(move.a, move.b);
        Move::introduce_to(move.b, move.a);
        EXPECT_EQ(move.go(), kThroughTvs) << release;
        EXPECT_EQ(move.come_back(), kAll) << release << ": those that never left hold the CTL of A";
        for (const phone::Device& device : move.b.phones())
            EXPECT_TRUE(equal(device.installed.ctl->octets(), move.a.ctl()->octets())) << release;
    }
}

TEST(Phones, MoveByHandAndDoNotComeBack) {
    for (const char* release : {"10.5(1)", "12.0(1)"}) {
        Move move(release);
        Move::introduce_to(move.a, move.b);
        EXPECT_EQ(move.go(), kThroughTvs) << release;
        EXPECT_EQ(move.come_back(), (Taken{0, kNotAsking})) << release;
    }
}

TEST(Phones, DoNotMoveToAStranger) {
    Move move("10.5(1)");
    EXPECT_EQ(move.go(), kNone);
    // To release 12 ITLRecovery is what counts.
    Move twelve("12.0(1)");
    auto shown = std::get<std::vector<Introduction>>(introduce(twelve.b.state()));
    std::erase_if(shown, [](const Introduction& each) { return each.store == Store::ItlRecovery; });
    import_introductions(twelve.a.writer(), shown);
    EXPECT_EQ(twelve.go(), kNone);
}

TEST(Phones, DoNotMoveByTheRollbackParameter) {
    Move move("10.5(1)");
    Move::introduce_to(move.a, move.b);
    set_rollback(move.a.writer(), "True");
    move.a.give_itl();
    EXPECT_EQ(move.go(), kNone);
}

}  // namespace
}  // namespace ctlsign::cluster
