#include <bindings/python/trust_list.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::python {

namespace {

// A record, and the list that it is a view of.
struct OwnedRecord {
    std::shared_ptr<const TrustList> list;
    const Record& record;
};

// An element with its name; the octets are of FILE.
struct OwnedElement {
    std::shared_ptr<const SignedFile> file;
    Element element;
    std::string_view name;
};

template <typename File>
std::shared_ptr<File> hold(File file) {
    return std::make_shared<File>(std::move(file));
}

py::tuple to_tuple(Version version) {
    return py::make_tuple(version.major, version.minor);
}
py::object to_tuple(const std::optional<Version>& version) {
    return version ? py::object(to_tuple(*version)) : py::none();
}

py::object to_role(std::optional<Role> role) {
    if (!role) return py::none();
    const py::int_ number(static_cast<unsigned>(*role));
    const auto known = py::module_::import("ctlsign.enums").attr("Role").attr("_value2member_map_");
    return known.attr("get")(number, number);
}

py::object to_digest_enum(const std::optional<Digest>& digest) {
    return digest ? to_enum("Digest", to_text(*digest)) : py::none();
}

std::vector<OwnedElement> header(const std::shared_ptr<const SignedFile>& file) {
    std::vector<OwnedElement> elements;
    for (const Element& element : file->header())
        elements.push_back({file, element, to_text(HeaderTag{element.tag})});
    return elements;
}

void add_element(py::module_& module) {
    py::class_<OwnedElement>(module, "Element", "One element as it stands in a file.")
        .def_property_readonly(
            "tag", [](const OwnedElement& self) { return self.element.tag; }, "Its number.")
        .def_property_readonly(
            "name", [](const OwnedElement& self) { return self.name; },
            "As `show ctl` prints it; \"UNKNOWN\" for a tag that the format does not list.")
        .def_property_readonly(
            "value", [](const OwnedElement& self) { return to_bytes(self.element.value); }, "Its octets.")
        .def_property_readonly(
            "position", [](const OwnedElement& self) { return self.element.position; },
            "Of its tag, from the beginning of the file.")
        .def_property_readonly(
            "depth", [](const OwnedElement& self) { return self.element.depth; },
            "Containers come before their children, which are one deeper.")
        .def("__repr__", [](const OwnedElement& self) {
            return py::str("<ctlsign.Element {} {} at {}>")
                .format(self.element.tag, self.name, self.element.position);
        });
}

template <auto Field>
auto text_of() {
    return [](const OwnedRecord& self) { return or_none((self.record.*Field)()); };
}
template <auto Field>
auto octets_of() {
    return [](const OwnedRecord& self) { return or_none((self.record.*Field)()); };
}

void add_record(py::module_& module) {
    py::class_<OwnedRecord>(
        module, "Record",
        "One record of a trust list. What it does not hold is None; texts are as stored,\n"
        "without their NUL.")
        .def_property_readonly(
            "role", [](const OwnedRecord& self) { return to_role(self.record.role()); },
            "What its certificate is for: a Role, or another number.")
        .def_property_readonly("dns_name", text_of<&Record::dns_name>(), "DNSNAME.")
        .def_property_readonly("subject", text_of<&Record::subject>(), "SUBJECTNAME.")
        .def_property_readonly("issuer", text_of<&Record::issuer>(), "ISSUERNAME.")
        .def_property_readonly("serial", octets_of<&Record::serial>(), "SERIALNUMBER.")
        .def_property_readonly("public_key", octets_of<&Record::public_key>(), "PUBLICKEY.")
        .def_property_readonly("signature", octets_of<&Record::signature>(),
                               "SIGNATURE, that of the certificate.")
        .def_property_readonly("certificate", octets_of<&Record::certificate>(), "CERTIFICATE, in DER.")
        .def_property_readonly("certificate_hash", octets_of<&Record::certificate_hash>(), "CERTIFICATEHASH.")
        .def_property_readonly(
            "hash_algorithm",
            [](const OwnedRecord& self) { return to_digest_enum(self.record.hash_algorithm()); },
            "Of CERTIFICATEHASH.")
        .def_property_readonly(
            "ip_address",
            [](const OwnedRecord& self) -> std::optional<std::string> {
                const auto octets = self.record.ip_address();
                return octets ? address_text(*octets) : std::nullopt;
            },
            "IPADDRESS as text; also None when it is no address of IPv4 or IPv6.")
        .def_property_readonly(
            "elements",
            [](const OwnedRecord& self) {
                std::vector<OwnedElement> elements;
                for (const Element& element : self.record.elements())
                    elements.push_back({self.list, element, to_text(RecordTag{element.tag})});
                return elements;
            },
            "In the order of the file, unknown ones included.")
        .def_property_readonly(
            "octets", [](const OwnedRecord& self) { return to_bytes(self.record.octets()); },
            "The whole record.")
        .def_property_readonly(
            "position", [](const OwnedRecord& self) { return self.record.position(); },
            "From the beginning of the file.")
        .def("__repr__", [](const OwnedRecord& self) {
            return py::str("<ctlsign.Record {} {}>")
                .format(
                    self.record.role() ? py::str(role_name(*self.record.role())) : py::str("without role"),
                    or_none(self.record.subject()));
        });
}

// What both kinds of file have; their octets can be had as a memoryview without a copy.
template <typename File>
void add_header(py::class_<File, std::shared_ptr<File>>& type) {
    type.def_buffer([](const File& self) {
            return py::buffer_info(self.octets().data(), static_cast<py::ssize_t>(self.octets().size()),
                                   true);
        })
        .def(
            "__bytes__", [](const File& self) { return to_bytes(self.octets()); },
            "__bytes__(self)\n--\n\nThe file.")
        .def_property_readonly(
            "header", [](const std::shared_ptr<File>& self) { return header(self); },
            "The elements of the header in the order of the file, unknown ones included.")
        .def_property_readonly(
            "version", [](const File& self) { return to_tuple(self.version()); }, "(1, 2).")
        .def_property_readonly(
            "signer_version", [](const File& self) { return to_tuple(self.signer_version()); },
            "The version that tag 28 names; None without it.")
        .def_property_readonly(
            "signer_name", [](const File& self) { return to_str(self.signer_name()); },
            "SIGNERNAME, as stored.")
        .def_property_readonly(
            "signer_issuer", [](const File& self) { return to_str(self.signer_issuer()); },
            "CANAME, as stored.")
        .def_property_readonly(
            "signer_serial", [](const File& self) { return to_bytes(self.signer_serial()); },
            "SERIALNUMBER, as stored.")
        .def_property_readonly(
            "digest", [](const File& self) { return to_digest_enum(self.digest()); }, "What was signed with.")
        .def_property_readonly(
            "key_bits", [](const File& self) { return self.key_bits(); }, "Of the signer's key.")
        .def_property_readonly(
            "filename", [](const File& self) { return to_str(self.filename()); }, "FILENAME, as stored.")
        .def_property_readonly(
            "timestamp", [](const File& self) { return to_datetime(self.timestamp()); },
            "When it was signed, in UTC.")
        .def_property_readonly(
            "signature", [](const File& self) { return to_bytes(self.signature()); },
            "Empty in a list that waits for its signature.");
}

}  // namespace

void add_trust_list(py::module_& module) {
    add_element(module);
    add_record(module);
    py::class_<TrustList, std::shared_ptr<TrustList>> list(
        module, "TrustList", "A CTL or ITL file. bytes() and memoryview() give the file itself.",
        py::buffer_protocol());
    list.def_static(
            "decode", [](const Octets& data) { return hold(decode_list(data.view())); }, "data"_a,
            "decode(data)\n--\n\nReads a file, strictly; a DecodeError says where it is not what it should "
            "be.")
        .def_static(
            "decode_unsigned", [](const Octets& data) { return hold(decode_unsigned_list(data.view())); },
            "data"_a, "decode_unsigned(data)\n--\n\nThe same for a list that waits for its signature.")
        .def_property_readonly(
            "records",
            [](const std::shared_ptr<TrustList>& self) {
                std::vector<OwnedRecord> records;
                for (const Record& record : self->records()) records.push_back({self, record});
                return records;
            },
            "In the order of the file.")
        .def("__repr__", [](const TrustList& self) {
            return py::str("<ctlsign.TrustList {}, {} records>")
                .format(to_str(self.filename()), self.records().size());
        });
    add_header(list);

    py::class_<SgnFile, std::shared_ptr<SgnFile>> sgn(
        module, "SgnFile", "A signed configuration file. bytes() and memoryview() give the file itself.",
        py::buffer_protocol());
    sgn.def_static(
           "decode", [](const Octets& data) { return hold(decode_sgn(data.view())); }, "data"_a,
           "decode(data)\n--\n\nReads a file, strictly; a DecodeError says where it is not what it should "
           "be.")
        .def_property_readonly(
            "payload", [](const SgnFile& self) { return to_bytes(self.payload()); },
            "What was signed: the file without its header.")
        .def("__repr__", [](const SgnFile& self) {
            return py::str("<ctlsign.SgnFile {}, {} octets>")
                .format(to_str(self.filename()), self.payload().size());
        });
    add_header(sgn);

    module.def(
        "decode",
        [](const Octets& data) {
            const ByteView octets = data.view();
            return std::visit([](auto file) { return AnyFile(hold(std::move(file))); },
                              decode_any(Bytes(octets.begin(), octets.end())));
        },
        "data"_a, "decode(data)\n--\n\nThe TrustList or SgnFile that this is.");
}

}  // namespace ctlsign::python
