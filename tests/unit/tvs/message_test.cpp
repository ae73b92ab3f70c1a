#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/tvs/message.hpp>

namespace ctlsign::tvs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
Bytes octets(std::string_view text) {
    const ByteView view = as_bytes(text);
    return {view.begin(), view.end()};
}

const std::string kDevice = "CP-8861-SEPB000B4BA0AEE";
const std::string kSubject = "CN=ucm11pub.stormin.local;OU=IST;O=Stormin;L=Brisbane;ST=QLD;C=AU";
const std::string kIssuer = "CN=stormin-WIN2012-CA";
const std::string kSerial = "24000000179479B8F124AC3F3B000000000017";

// What an 8861 sent, built by hand; nothing here comes from the encoder.
Bytes captured_request() {
    return from_hex("570103000000 03e9 008f 010018 01") + octets(kDevice) + from_hex("030042") +
           octets(kSubject) + from_hex("00 040016") + octets(kIssuer) + from_hex("00 050013" + kSerial);
}

// What its TVS server answered, with a certificate of the same length.
Bytes captured_response() {
    Bytes certificate(1451);
    for (std::size_t i = 0; i < certificate.size(); ++i) certificate[i] = static_cast<std::uint8_t>(i * 7);
    return from_hex("570104f7000003e905be 07000100 0205ab") + certificate +
           from_hex("0800020003 09000400015180");
}

std::string complaint(const Bytes& message) {
    try {
        decode(message);
    } catch (const DecodeError& e) {
        EXPECT_LE(e.position(), message.size());
        return e.what();
    }
    return "accepted";
}

TEST(Captured, RequestOf153Octets) {
    const Bytes message = captured_request();
    ASSERT_EQ(message.size(), 153U);
    EXPECT_EQ(message_size(message), 153U);
    const Message decoded = decode(message);
    EXPECT_EQ(decoded.id, 1001U);
    EXPECT_EQ(decoded.type(), MessageType::QueryRequest);
    const auto& query = std::get<QueryRequest>(decoded.body);
    EXPECT_EQ(query.device, kDevice);
    EXPECT_EQ(query.subject, kSubject);
    EXPECT_EQ(query.issuer, kIssuer);
    EXPECT_EQ(to_hex(query.serial), kSerial);
    EXPECT_EQ(encode(decoded), message);
}

TEST(Captured, ResponseOf1480Octets) {
    const Bytes message = captured_response();
    ASSERT_EQ(message.size(), 1480U);
    const Message decoded = decode(message);
    EXPECT_EQ(decoded.id, 1001U);
    EXPECT_EQ(decoded.reserved, 0xF7);
    const auto& answer = std::get<QueryResponse>(decoded.body);
    EXPECT_EQ(answer.status, Status::Valid);
    EXPECT_EQ(answer.certificate.size(), 1451U);
    EXPECT_THAT(answer.roles, ElementsAre(Role::Sast, Role::Tftp));
    EXPECT_EQ(answer.ttl, kDefaultTtl);
    EXPECT_EQ(encode(decoded), message);
}

TEST(Captured, EveryLengthInside) {
    const Bytes request = captured_request();
    // Header, then tag, length and value of each element: 27 + 69 + 25 + 22 = 143.
    EXPECT_EQ(request[9], 143);
    EXPECT_EQ(request[10 + 2], 24);
    EXPECT_EQ(request[10 + 27 + 2], 66);
    EXPECT_EQ(request[10 + 27 + 69 + 2], 22);
    EXPECT_EQ(request[10 + 27 + 69 + 25 + 2], 19);
}

TEST(Message, OfEachTypeComesBack) {
    const Answer answer{Status::Valid, Bytes{0x30, 0x00}, {Role::Sast, Role::CcmTftp, Role{200}}, 5};
    const Message messages[] = {{1, 0, VerifyRequest{"CIPC-SEP001122334455", Bytes{0x30, 0x00}}},
                                {0xFFFFFFFF, 1, VerifyResponse{answer}},
                                {2, 0, QueryRequest{"a", "", "CN=b", Bytes{0}}},
                                {3, 0, QueryResponse{}},
                                {4, 0, QueryResponse{answer}}};
    for (const Message& message : messages) EXPECT_EQ(decode(encode(message)), message);
    EXPECT_EQ(encode(messages[3]), from_hex("5701040000000003 0004 07000101")) << "an unknown certificate";
}

TEST(Message, IssuerAndSerialInEitherOrderAndUnderEitherTag) {
    const std::string head = "5701030000000001";
    const Bytes device = from_hex("01000301") + octets("ab"),
                subject = from_hex("030005") + octets("CN=a") + Bytes{0};
    const Bytes issuer4 = from_hex("040005") + octets("CN=b") + Bytes{0}, serial5 = from_hex("05000201AF");
    const Bytes issuer5 = from_hex("050005") + octets("CN=b") + Bytes{0}, serial4 = from_hex("04000201AF");
    const auto whole = [&](const Bytes& body) {
        return from_hex(head + "00" + to_hex(Bytes{static_cast<std::uint8_t>(body.size())})) + body;
    };
    for (const Bytes& body : {device + subject + issuer4 + serial5, device + subject + serial5 + issuer4,
                              device + subject + issuer5 + serial4, serial4 + issuer5 + subject + device}) {
        const auto query = std::get<QueryRequest>(decode(whole(body)).body);
        EXPECT_EQ(query.issuer, "CN=b");
        EXPECT_EQ(to_hex(query.serial), "01AF");
    }
    // A serial number that reads like a name is taken by its tag.
    const Bytes name_like = from_hex("050005") + octets("1=23") + Bytes{0};
    EXPECT_EQ(std::get<QueryRequest>(decode(whole(device + subject + issuer4 + name_like)).body).issuer,
              "CN=b");
}

TEST(Message, DeviceNamesOfAnyProduct) {
    for (const std::string& name :
         {std::string("x"), std::string("Cisco IP Communicator SEP1"), std::string(128, 'n')}) {
        const Message message{1, 0, VerifyRequest{name, Bytes{1}}};
        EXPECT_EQ(decode(encode(message)), message);
    }
    EXPECT_THROW(encode({1, 0, VerifyRequest{std::string(129, 'n'), Bytes{1}}}), Error);
    EXPECT_THROW(encode({1, 0, VerifyRequest{"", Bytes{1}}}), Error);
    EXPECT_THROW(encode({1, 0, VerifyRequest{"a\n", Bytes{1}}}), Error);
}

TEST(Message, ResponsesMayHoldWhatIsNotKnown) {
    const Message decoded = decode(from_hex("5701040000000003 0009 07000101 FF0002ABCD"));
    EXPECT_EQ(std::get<QueryResponse>(decoded.body).status, Status::Invalid);
}

TEST(Malformed, EveryKindSaysWhat) {
    const std::string id = "00000001";
    const auto request = [&](const std::string& body) {
        return from_hex("57010300" + id + to_hex(Bytes{0, static_cast<std::uint8_t>(from_hex(body).size())}) +
                        body);
    };
    const std::string device = "0100020161", subject = "0300026100", serial = "05000101";
    const std::string good_issuer = "040003613D00";
    ASSERT_EQ(complaint(request(device + subject + good_issuer + serial)), "accepted");
    EXPECT_THAT(complaint({}), HasSubstr("the header is cut off"));
    EXPECT_THAT(complaint(from_hex("570103")), HasSubstr("the header is cut off"));
    EXPECT_THAT(complaint(from_hex("5801030000000001 0000")), HasSubstr("protocol 58 is not TVS"));
    EXPECT_THAT(complaint(from_hex("5702030000000001 0000")), HasSubstr("version 2"));
    EXPECT_THAT(complaint(from_hex("5701000000000001 0000")), HasSubstr("no message type 0"));
    EXPECT_THAT(complaint(from_hex("5701050000000001 0000")), HasSubstr("no message type 5"));
    EXPECT_THAT(complaint(from_hex("5701030000000001 0001")), HasSubstr("as long as the header says"));
    EXPECT_THAT(complaint(from_hex("5701030000000001 0000 00")), HasSubstr("as long as the header says"));
    EXPECT_THAT(complaint(request("0100")), HasSubstr("an element is cut off"));
    EXPECT_THAT(complaint(request("0100FF01")), HasSubstr("runs past the body"));
    EXPECT_THAT(complaint(request(device + device)), HasSubstr("element 1 is there twice"));
    EXPECT_THAT(complaint(request(device + "0200013000")), HasSubstr("element 2 does not belong here"));
    EXPECT_THAT(complaint(request(device + "FF0000")), HasSubstr("element 255 does not belong here"));
    EXPECT_THAT(complaint(request(subject + good_issuer + serial)), HasSubstr("element 1 is missing"));
    EXPECT_THAT(complaint(request(device + subject + serial)), HasSubstr("element 4 is missing"));
    EXPECT_THAT(complaint(request("0100020261" + subject + good_issuer + serial)),
                HasSubstr("printable device name"));
    EXPECT_THAT(complaint(request("01000101" + subject + good_issuer + serial)),
                HasSubstr("printable device name"));
    EXPECT_THAT(complaint(request("010002010A" + subject + good_issuer + serial)),
                HasSubstr("printable device name"));
    EXPECT_THAT(complaint(request(device + "03000161" + good_issuer + serial)),
                HasSubstr("ends with its only NUL"));
    EXPECT_THAT(complaint(request(device + "030003610000" + good_issuer + serial)),
                HasSubstr("ends with its only NUL"));
    EXPECT_THAT(complaint(request(device + subject + good_issuer + "050000")), HasSubstr("an empty value"));
    EXPECT_THAT(complaint(from_hex("5701040000000003 0004 07000102")), HasSubstr("a status, 0 or 1"));
    EXPECT_THAT(complaint(from_hex("5701040000000003 0003 080000")), HasSubstr("element 7 is missing"));
    EXPECT_THAT(complaint(from_hex("5701040000000003 0008 07000100 09000100")),
                HasSubstr("a TTL of four octets"));
}

TEST(Malformed, NoMessageCutShortIsTaken) {
    for (const Bytes& whole : {captured_request(), captured_response()}) {
        for (std::size_t size = 0; size < whole.size(); ++size) {
            EXPECT_THROW(decode(ByteView(whole).first(size)), DecodeError) << size;
        }
    }
}

TEST(Message, TooLongForItsLengths) {
    EXPECT_THROW(encode({1, 0, VerifyRequest{"a", Bytes(65536)}}), Error);
    EXPECT_THROW(encode({1, 0, VerifyRequest{"a", Bytes(65530)}}), Error);
    EXPECT_THROW(encode({1, 0, QueryRequest{"a", std::string("a\0b", 3), "", Bytes{1}}}), Error);
    EXPECT_THROW(encode({1, 0, QueryResponse{{Status::Valid, {}, {Role{256}}, {}}}}), Error);
}

}  // namespace
}  // namespace ctlsign::tvs
