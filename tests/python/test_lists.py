"""Trust lists and signed files: decoded, shown, verified, built, and byte for byte the golden ones."""

import hashlib
import json
from datetime import datetime, timezone

import ctlsign
import pytest
from conftest import DATA, KRAKOW, OPEN_TOOLS, PUBLISHER, TOKEN, error_of

LISTS = sorted(KRAKOW.glob("*.tlv")) + sorted(OPEN_TOOLS.glob("*.tlv"))
EXPECTED = DATA.parent / "cli" / "expected"
VECTORS = {vector["file"]: vector for vector in json.loads((KRAKOW / "vectors.json").read_text())}


def certificate(stem):
    return ctlsign.Certificate.decode(stem.with_suffix(".pem").read_bytes())


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.name)
def test_every_list(path):
    octets = path.read_bytes()
    trust_list = ctlsign.decode(octets)
    assert isinstance(trust_list, ctlsign.TrustList) and bytes(trust_list) == octets
    assert memoryview(trust_list) == octets and memoryview(trust_list).readonly
    assert trust_list.version[0] == 1 and trust_list.filename.endswith(".tlv") and trust_list.signature in octets
    assert isinstance(trust_list.digest, ctlsign.Digest) and trust_list.key_bits == 8 * len(trust_list.signature)
    assert b"".join(record.octets for record in trust_list.records) == octets[trust_list.records[0].position:]
    for record in trust_list.records:
        assert all(octets[e.position] == e.tag and e.value in record.octets for e in record.elements)
    assert [element.name for element in trust_list.header][0] == "VERSION"
    verdict = ctlsign.verify(trust_list)
    assert verdict.outcome is ctlsign.Outcome.VERIFIED and not verdict.trusted
    assert not verdict, "a file that vouches for itself proves nothing"


@pytest.mark.parametrize("path", sorted(EXPECTED.glob("*.txt")), ids=lambda path: path.name)
def test_shown_as_the_program_does(path):
    name = path.stem
    file = next(found for found in DATA.rglob(name))
    shown = ctlsign.show(ctlsign.decode(file.read_bytes())).splitlines()
    assert [line for line in path.read_text().splitlines() if "last modified" not in line][:-1] == shown[:-1]


def test_fields():
    trust_list = ctlsign.TrustList.decode((KRAKOW / "CTLFile-tokens.tlv").read_bytes())
    assert trust_list.timestamp == datetime(2015, 3, 6, 18, 45, 13, tzinfo=timezone.utc)
    assert "SAST-ADN008580ef" in trust_list.signer_name and trust_list.signer_issuer and trust_list.signer_serial
    assert trust_list.signer_version is None and trust_list.digest is ctlsign.Digest.SHA1
    record = next(record for record in trust_list.records if record.role is ctlsign.Role.CCM_TFTP)
    assert record.dns_name == record.ip_address == "10.48.47.153"
    assert ctlsign.Certificate.decode(record.certificate).serial == record.serial
    assert record.public_key in record.certificate and record.subject and record.issuer
    assert record.certificate_hash is record.hash_algorithm is None
    assert "CCM+TFTP" in repr(record) and "SIGNERNAME" in repr(trust_list.header)


def test_a_record_keeps_its_list():
    record = ctlsign.TrustList.decode((KRAKOW / "CTLFile-tokens.tlv").read_bytes()).records[0]
    element = record.elements[1]
    octets = record.octets
    del record
    assert element.value in octets


def test_roles_that_nobody_knows(tmp_path):
    octets = bytearray((KRAKOW / "CTLFile-tokens.tlv").read_bytes())
    function = next(e for e in ctlsign.TrustList.decode(octets).records[0].elements if e.name == "FUNCTION")
    octets[function.position + 4] = 99
    assert ctlsign.TrustList.decode(octets).records[0].role == 99


def test_a_file_that_is_none():
    octets = (KRAKOW / "CTLFile-tokens.tlv").read_bytes()
    for decode in (ctlsign.decode, ctlsign.TrustList.decode, ctlsign.SgnFile.decode):
        with pytest.raises(ctlsign.DecodeError) as raised:
            decode(octets[:100])
        assert raised.value.code is ctlsign.ListCode.MALFORMED and raised.value.category == "ctlsign"
        assert raised.value.position <= 100 and raised.value.condition is None
    with pytest.raises(ctlsign.DecodeError) as raised:
        ctlsign.TrustList.decode(octets[:-1])
    assert raised.value.position > 300
    assert error_of(lambda: ctlsign.decode(bytes((16 << 20) + 1))).code is ctlsign.ListCode.OVERSIZED


def test_verdicts():
    octets = (KRAKOW / "CTLFile-tokens.tlv").read_bytes()
    trust_list = ctlsign.TrustList.decode(octets)
    itself = ctlsign.verify(trust_list)
    assert not itself and itself.outcome is ctlsign.Outcome.VERIFIED and itself.basis is ctlsign.Basis.FILE_ITSELF
    assert itself.rule is ctlsign.Rule.SIGNATURE_FITS and itself.record is not None
    assert "SAST-ADN008580ef" in itself.signer.name and itself.signer.serial == trust_list.signer_serial
    assert itself.signer.issuer == trust_list.signer_issuer
    assert ctlsign.Caution.SHA1 in [warning.caution for warning in itself.warnings]

    tokenless = ctlsign.TrustList.decode((KRAKOW / "CTLFile-tokenless.tlv").read_bytes())
    installed = ctlsign.verify(trust_list, installed=[tokenless, trust_list])
    assert installed.basis is ctlsign.Basis.INSTALLED_LIST and installed.installed == 1
    given = ctlsign.verify(trust_list, certificates=[certificate(PUBLISHER), certificate(TOKEN)])
    assert given and given.basis is ctlsign.Basis.CERTIFICATE and given.certificate == 1
    assert not ctlsign.verify(trust_list, certificates=[certificate(PUBLISHER)])

    forged = bytearray(octets)
    forged[-1] ^= 1
    refused = ctlsign.verify(ctlsign.TrustList.decode(forged))
    assert not refused and refused.rule is ctlsign.Rule.SIGNATURE_WRONG and "does not fit" in str(refused)
    late = ctlsign.verify(trust_list, time=datetime(2100, 1, 1, tzinfo=timezone.utc))
    expired = next(w for w in late.warnings if w.caution is ctlsign.Caution.SIGNER_EXPIRED)
    assert expired.value == int(certificate(TOKEN).not_after.timestamp()) and "expired" in str(expired)
    assert expired.record is None or expired.record >= 0
    assert "was not verified" in ctlsign.show(trust_list, refused, modified="today")


@pytest.mark.parametrize("name, stem", [("CTLFile-tokenless", PUBLISHER), ("CTLFile-tokenless-sha512", PUBLISHER),
                                        ("CTLFile-tokens", TOKEN)])
def test_built_as_the_golden_file(name, stem):
    manifest = ctlsign.Manifest.load(KRAKOW / f"{name}.toml")
    with ctlsign.KeyFileSigner(stem.with_suffix(".key")) as signer:
        built = ctlsign.build(manifest, signer)
    assert built == (KRAKOW / f"{name}.tlv").read_bytes()
    assert hashlib.md5(built).hexdigest() == VECTORS[f"{name}.tlv"]["md5"]
    assert manifest.timestamp == ctlsign.TrustList.decode(built).timestamp and manifest.filename == "CTLFile.tlv"
    assert manifest.digest is ctlsign.TrustList.decode(built).digest


def test_time_of_signing():
    text = (KRAKOW / "CTLFile-tokens.toml").read_text()
    line = next(line for line in text.splitlines() if line.startswith("timestamp"))
    manifest = ctlsign.Manifest.decode(text.replace(line, ""), KRAKOW)
    assert manifest.timestamp is None
    with ctlsign.KeyFileSigner(TOKEN.with_suffix(".key")) as signer:
        for time in (1600000000, datetime(2020, 9, 13, 12, 26, 40, tzinfo=timezone.utc)):
            built = ctlsign.TrustList.decode(ctlsign.build(manifest, signer, time=time))
            assert built.timestamp.timestamp() == 1600000000
        before = datetime.now(timezone.utc).replace(microsecond=0)
        assert ctlsign.TrustList.decode(ctlsign.build(manifest, signer)).timestamp >= before
        for time in (-1, 1 << 32):
            with pytest.raises(ValueError, match="1970 to 2106"):
                ctlsign.build(manifest, signer, time=time)
        with pytest.raises((TypeError, ValueError)):
            ctlsign.build(manifest, signer, time="today")


def test_manifests_with_mistakes(tmp_path):
    assert error_of(lambda: ctlsign.Manifest.decode("digest = 'md5'")).code is ctlsign.ListCode.MALFORMED
    with pytest.raises(FileNotFoundError):
        ctlsign.Manifest.load(tmp_path / "none.toml")
    lonely = ctlsign.Manifest.decode((KRAKOW / "CTLFile-tokens.toml").read_text(), tmp_path)
    with pytest.raises(FileNotFoundError) as missing:
        ctlsign.prepare(lonely, certificate(TOKEN))
    assert missing.value.filename.startswith(str(tmp_path))


def test_resigned(golden):
    other = KRAKOW / "tokens" / "SAST-ADN0054f509"
    with ctlsign.KeyFileSigner(other.with_suffix(".key")) as signer:
        resigned = ctlsign.TrustList.decode(ctlsign.resign(golden, signer, time=1600000000))
    assert "SAST-ADN0054f509" in resigned.signer_name and resigned.timestamp.timestamp() == 1600000000
    assert ctlsign.verify(resigned, installed=[golden]).basis is ctlsign.Basis.INSTALLED_LIST
    assert [r.octets for r in resigned.records] == [r.octets for r in golden.records]
    with ctlsign.KeyFileSigner(KRAKOW / "regenerated" / "cucm-1051-a-pub.key") as stranger:
        assert error_of(lambda: ctlsign.resign(golden, stranger)).code is ctlsign.ListCode.RULE_REFUSED


def test_a_signature_made_elsewhere(golden):
    prepared = ctlsign.prepare(ctlsign.Manifest.load(KRAKOW / "CTLFile-tokens.toml"), certificate(TOKEN))
    assert prepared.digest == hashlib.sha1(prepared.octets).digest()
    assert ctlsign.TrustList.decode_unsigned(prepared.octets).signature == b""
    with ctlsign.KeyFileSigner(TOKEN.with_suffix(".key")) as elsewhere:
        signature = elsewhere.sign(prepared.octets, "sha1")
    for checks in ({}, {"certificate": certificate(TOKEN)}, {"digest": prepared.digest}):
        assert ctlsign.attach(prepared.octets, memoryview(signature), **checks) == bytes(golden)
    mismatch = error_of(lambda: ctlsign.attach(prepared.octets, signature, digest=b"x"))
    assert mismatch.code is ctlsign.ListCode.DIGEST_MISMATCH
    assert error_of(lambda: ctlsign.attach(prepared.octets, bytes(128))).code is ctlsign.ListCode.NOT_VERIFIED
    with pytest.raises(TypeError):
        ctlsign.attach(prepared.octets, signature, digest="x")


def test_signed_configuration_files(golden):
    payload = b"<device/>"
    with ctlsign.KeyFileSigner(PUBLISHER.with_suffix(".key")) as signer:
        octets = ctlsign.sign_config(payload, "SEP001122334455.cnf.xml.sgn", signer, digest="sha256", time=1600000000)
        for wrong in ({"digest": "md5"}, {"name_style": "any"}, {"layout": "any"}):
            with pytest.raises(ValueError):
                ctlsign.sign_config(payload, "x.sgn", signer, **wrong)
    file = ctlsign.decode(octets)
    assert isinstance(file, ctlsign.SgnFile) and file.payload == payload and bytes(file) == octets
    assert memoryview(file) == octets and file.filename == "SEP001122334455.cnf.xml.sgn"
    assert file.digest is ctlsign.Digest.SHA256 and file.version == (1, 0) and file.signature in octets
    assert "cucm-1051-a-pub" in file.signer_name and file.timestamp.timestamp() == 1600000000
    assert file.key_bits == 1024 and file.signer_issuer and file.signer_serial and file.signer_version is None
    assert file.header[0].tag == 1 and file.header[0].depth == 0 and "SEP0011" in repr(file)
    assert ctlsign.verify(file).rule is ctlsign.Rule.NO_ANCHOR
    assert ctlsign.verify(file, certificates=[certificate(PUBLISHER)])
    assert ctlsign.verify(file, installed=[golden])
    assert "was not verified" in ctlsign.show(file)


def test_stored_whole_or_not_at_all(tmp_path):
    ctlsign.store(tmp_path / "list.tlv", bytearray(b"one"))
    ctlsign.store(str(tmp_path / "list.tlv"), b"two")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("list.tlv", b"two")]
    with pytest.raises(FileNotFoundError):
        ctlsign.store(tmp_path / "none" / "list.tlv", b"x")
