"""The golden files, rebuilt byte for byte by every way to a signature; and what is refused before a signature."""

import json
import os
import shutil
import subprocess

import pytest
from conftest import KRAKOW, LISTS, OPEN_TOOLS, SOFTHSM

PUBLISHER = KRAKOW / "certificates" / "cucm-1051-a-pub"
TOKEN = KRAKOW / "tokens" / "SAST-ADN008580ef"
OTHER_TOKEN = KRAKOW / "tokens" / "SAST-ADN0054f509"
GOLDEN = [("CTLFile-tokenless", PUBLISHER), ("CTLFile-tokenless-sha512", PUBLISHER), ("CTLFile-tokens", TOKEN)]


def key(stem):
    return stem.with_suffix(".key")


def pem(stem):
    return stem.with_suffix(".pem")


def same(path, golden):
    return path.read_bytes() == (KRAKOW / f"{golden}.tlv").read_bytes()


def pkcs12(tmp_path, stem, *how):
    path = tmp_path / "signer.p12"
    subprocess.run(["openssl", "pkcs12", "-export", "-inkey", key(stem), "-in", pem(stem), "-out", path,
                    "-passout", "pass:secret words", *how], check=True, capture_output=True)
    return path


@pytest.mark.parametrize("golden, stem", GOLDEN)
def test_from_pem(ctlsign, tmp_path, golden, stem):
    result = ctlsign("build", KRAKOW / f"{golden}.toml", "--signer", key(stem), "-o", "out.tlv")
    assert same(tmp_path / "out.tlv", golden)
    vectors = {v["file"]: v for v in json.loads((KRAKOW / "vectors.json").read_text())}
    assert vectors[f"{golden}.tlv"]["md5"] in result.out and vectors[f"{golden}.tlv"]["sha1"] in result.out
    assert os.listdir(tmp_path) == ["out.tlv"]


@pytest.mark.parametrize("how", [[], ["-legacy", "-certpbe", "PBE-SHA1-RC2-40"]], ids=["today", "rc2-40"])
@pytest.mark.parametrize("golden, stem", GOLDEN)
def test_from_pkcs12(ctlsign, tmp_path, golden, stem, how):
    ctlsign("build", KRAKOW / f"{golden}.toml", "--signer", pkcs12(tmp_path, stem, *how), "-o", "out.tlv",
            "--pin-source", "env:WORDS", env={"WORDS": "secret words"})
    assert same(tmp_path / "out.tlv", golden)


@pytest.fixture
def virtual(ctlsign, tmp_path):
    """Both golden tokens and the publisher's HSM, as virtual tokens."""
    environment = {"CTLSIGN_VIRTUAL_TOKENS": str(tmp_path / "virtual"), "CTLSIGN_MODULE": SOFTHSM}
    for name, profile, stem in [("T1", "etoken-pro-64k", TOKEN), ("T2", "etoken-pro-64k", OTHER_TOKEN),
                                ("HSM", "publisher-hsm", PUBLISHER)]:
        ctlsign("virtual", "create", name, "--profile", profile, "--key", key(stem), "--certificate", pem(stem),
                env=environment)
    environment |= json.loads(ctlsign("virtual", "env", "--json", env=environment).out)
    tokens = json.loads(ctlsign("virtual", "list", "--json", env=environment).out)
    pins = {token["name"]: f"file:{token['pin-file']}" for token in tokens}

    def run(*arguments, **options):
        return ctlsign(*arguments, env=environment | options.pop("env", {}), **options)

    run.pins, run.conf = pins, environment["SOFTHSM2_CONF"]
    return run


def restrict(conf, mechanisms):
    text = "".join(line for line in open(conf).read().splitlines(True) if not line.startswith("slots.mechanisms"))
    with open(conf, "w") as file:
        file.write(f"{text}\nslots.mechanisms = {mechanisms}\n")


@pytest.mark.parametrize("mechanisms", ["ALL", "CKM_RSA_PKCS", "CKM_RSA_X_509"])
def test_from_tokens(virtual, tmp_path, mechanisms):
    restrict(virtual.conf, mechanisms)
    for golden, name in [("CTLFile-tokenless", "HSM"), ("CTLFile-tokenless-sha512", "HSM"), ("CTLFile-tokens", "T1")]:
        virtual("build", KRAKOW / f"{golden}.toml", "--signer", f"pkcs11:token={name}", "-o", f"{golden}.out",
                "--pin-source", virtual.pins[name])
        assert same(tmp_path / f"{golden}.out", golden)


def test_several_tokens_and_none_named(virtual, tmp_path):
    result = virtual("build", KRAKOW / "CTLFile-tokens.toml", "--signer", "pkcs11:", "-o", "out.tlv",
                     "--pin-source", "env:NOT_SET", expect=5)
    assert "T1" in result.err and "T2" in result.err and "NOT_SET" not in result.err
    assert not (tmp_path / "out.tlv").exists()


def test_wrong_pin(virtual, tmp_path):
    (tmp_path / "wrong").write_text("this-is-wrong\n")
    result = virtual("build", KRAKOW / "CTLFile-tokens.toml", "--signer", "pkcs11:token=T1", "-o", "out.tlv",
                     "--pin-source", "file:wrong", expect=5)
    assert "CKR_PIN_INCORRECT" in result.err and "this-is-wrong" not in result.err + result.out
    assert not (tmp_path / "out.tlv").exists()


@pytest.mark.parametrize("output, code", [("none/out.tlv", 6), ("/proc/out.tlv", 6), (".", 6), ("-", 2)])
def test_a_bad_output_is_found_before_the_pin(virtual, output, code):
    result = virtual("build", KRAKOW / "CTLFile-tokens.toml", "--signer", "pkcs11:token=T1", "-o", output,
                     "--pin-source", "env:NOT_SET", expect=code)
    assert "NOT_SET" not in result.err


def test_dry_run_asks_for_no_pin(virtual, tmp_path):
    result = virtual("build", KRAKOW / "CTLFile-tokens.toml", "--signer", "pkcs11:token=T1", "-o", "out.tlv",
                     "--pin-source", "env:NOT_SET", "--dry-run")
    assert "5728 octets" in result.out and "T1" in result.out
    assert not (tmp_path / "out.tlv").exists()
    report = json.loads(virtual("build", KRAKOW / "CTLFile-tokens.toml", "--signer", "pkcs11:token=T1", "-o", "x",
                                "--dry-run", "--json").out)
    assert report["length"] == 5728 and report["dry-run"] is True


def test_a_key_that_does_not_fit_its_certificate(ctlsign, tmp_path):
    ctlsign("build", KRAKOW / "CTLFile-tokens.toml", "--signer", key(TOKEN), "--certificate", pem(OTHER_TOKEN),
            "-o", "out.tlv", expect=5)
    assert not (tmp_path / "out.tlv").exists()


def test_a_signer_that_the_manifest_does_not_name(ctlsign, tmp_path):
    ctlsign("build", KRAKOW / "CTLFile-tokens.toml", "--signer", key(PUBLISHER), "-o", "out.tlv", expect=1)
    assert not (tmp_path / "out.tlv").exists()


def test_the_manifest_is_no_output(ctlsign, tmp_path):
    shutil.copytree(KRAKOW, tmp_path / "k")
    before = (tmp_path / "k/CTLFile-tokens.toml").read_bytes()
    ctlsign("build", "k/CTLFile-tokens.toml", "--signer", key(TOKEN), "-o", "k/CTLFile-tokens.toml", expect=2)
    assert (tmp_path / "k/CTLFile-tokens.toml").read_bytes() == before


@pytest.mark.parametrize("old, new, words", [
    ('role = "CAPF"', 'role = "BOSS"', ":21: "),
    ('role = "CAPF"', 'role = 70000', ":21: "),
    ('dns-name = "cucm-1051-a-sub1"', 'dns = "x"', ":31: "),
    ('digest = "sha1"', 'digest = "md5"', ":2: "),
    ('digest = "sha1"', '', "digest is missing"),
    ('ip-address = "10.48.47.154"', 'ip-address = "10.48.47"', ":32: "),
    ('ip-address = "10.48.47.154"', 'raw = "00"', "no other key"),
    ('certificate = "certificates/CAPF-e41e7d87.pem"', 'certificate = 7', ":22: "),
    ('timestamp = 2015-03-06T18:45:13Z', 'timestamp = 2015-03-06T18:45:13', "offset"),
    ('[[record]]', '[[record', ":6: "),
])
def test_a_manifest_with_a_mistake(ctlsign, tmp_path, old, new, words):
    shutil.copytree(KRAKOW, tmp_path / "k")
    manifest = tmp_path / "k/CTLFile-tokenless.toml"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new, 1))
    result = ctlsign("build", "k/CTLFile-tokenless.toml", "--signer", key(PUBLISHER), "-o", "out.tlv", expect=3)
    assert "CTLFile-tokenless.toml" in result.err and words in result.err, result
    assert len(result.err.splitlines()) == 1


def test_a_certificate_that_is_not_there(ctlsign, tmp_path):
    shutil.copytree(KRAKOW, tmp_path / "k")
    (tmp_path / "k/certificates/CAPF-e41e7d87.pem").unlink()
    result = ctlsign("build", "k/CTLFile-tokenless.toml", "--signer", key(PUBLISHER), "-o", "out.tlv", expect=6)
    assert "CAPF-e41e7d87.pem" in result.err


def timestamp_of(ctlsign, path):
    return json.loads(ctlsign("show", path, "--json").out)["header"]["timestamp"]


def test_time_of_signing(ctlsign, tmp_path):
    build = ["build", KRAKOW / "CTLFile-tokenless.toml", "--signer", key(PUBLISHER), "-o", "out.tlv"]
    epoch = {"SOURCE_DATE_EPOCH": "1500000000"}
    ctlsign(*build, "--timestamp", "2020-02-02T03:02:02+01:00", env=epoch)
    assert timestamp_of(ctlsign, "out.tlv") == "2020-02-02T02:02:02Z"
    ctlsign(*build, "--timestamp", "1600000000", env=epoch)
    assert timestamp_of(ctlsign, "out.tlv") == "2020-09-13T12:26:40Z"
    ctlsign(*build, env=epoch)
    assert timestamp_of(ctlsign, "out.tlv") == "2017-07-14T02:40:00Z"
    for wrong in ("yesterday", "4294967296", "-1", "2020-02-30T00:00:00Z", "2020-02-02T03:02:02"):
        ctlsign(*build, f"--timestamp={wrong}", expect=2)
    ctlsign(*build, env={"SOURCE_DATE_EPOCH": "today"}, expect=2)


@pytest.mark.parametrize("way", ["dgst", "pkeyutl"])
@pytest.mark.parametrize("golden, stem, digest", [(*GOLDEN[0], "sha1"), (*GOLDEN[1], "sha512"), (*GOLDEN[2], "sha1")])
def test_a_signature_made_elsewhere(ctlsign, tmp_path, golden, stem, digest, way):
    prepared = json.loads(ctlsign("prepare", KRAKOW / f"{golden}.toml", "--certificate", pem(stem), "-o", "list.tbs",
                                  "--json").out)
    hashed = subprocess.run(["openssl", "dgst", f"-{digest}", "-r", "list.tbs"], cwd=tmp_path, capture_output=True,
                            check=True).stdout.decode()
    assert hashed.split()[0] == prepared["digest"].lower()
    if way == "dgst":
        command = ["openssl", "dgst", f"-{digest}", "-sign", key(stem), "-out", "sig", "list.tbs"]
    else:
        (tmp_path / "digest").write_bytes(bytes.fromhex(prepared["digest"]))
        command = ["openssl", "pkeyutl", "-sign", "-inkey", key(stem), "-in", "digest", "-out", "sig", "-pkeyopt",
                   f"digest:{digest}"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    ctlsign("attach", "list.tbs", "--signature", "sig", "-o", "out.tlv", "--expect-digest", prepared["digest"])
    assert same(tmp_path / "out.tlv", golden)


def test_a_signature_by_pkcs11_tool(virtual, tmp_path):
    virtual("prepare", KRAKOW / "CTLFile-tokens.toml", "--certificate", pem(TOKEN), "-o", "list.tbs")
    label_id = json.loads(virtual("token", "list", "--json").out)["tokens"]
    (token,) = [t for t in label_id if t["label"] == "T1"]
    pin = open(virtual.pins["T1"].removeprefix("file:")).read().strip()
    subprocess.run(["pkcs11-tool", "--module", SOFTHSM, "--token-label", "T1", "--login", "--pin", pin, "--sign",
                    "-m", "SHA1-RSA-PKCS", "--input-file", "list.tbs", "--output-file", "sig", "--label", "T1"],
                   cwd=tmp_path, env=os.environ | {"SOFTHSM2_CONF": virtual.conf}, check=True, capture_output=True)
    virtual("attach", "list.tbs", "--signature", "sig", "-o", "out.tlv", "--certificate", pem(TOKEN))
    assert token["label"] == "T1" and same(tmp_path / "out.tlv", "CTLFile-tokens")


def test_attach_refuses(ctlsign, tmp_path):
    ctlsign("prepare", KRAKOW / "CTLFile-tokens.toml", "--certificate", pem(TOKEN), "-o", "list.tbs")
    (tmp_path / "wrong").write_bytes(bytes(128))
    (tmp_path / "short").write_bytes(bytes(64))
    subprocess.run(["openssl", "dgst", "-sha1", "-sign", key(TOKEN), "-out", "good", "list.tbs"], cwd=tmp_path,
                   check=True)
    attach = ["attach", "list.tbs", "-o", "out.tlv", "--signature"]
    ctlsign(*attach, "wrong", expect=1)
    ctlsign(*attach, "short", expect=3)
    ctlsign(*attach, "good", "--expect-digest", "00" * 20, expect=1)
    ctlsign(*attach, "good", "--expect-digest", "zz", expect=2)
    ctlsign(*attach, "good", "--certificate", pem(OTHER_TOKEN), expect=1)
    ctlsign(*attach, "absent", expect=6)
    ctlsign("attach", KRAKOW / "CTLFile-tokens.tlv", "--signature", "good", "-o", "out.tlv", expect=3)
    assert not (tmp_path / "out.tlv").exists()


def test_prepare_shows_the_difference(ctlsign, tmp_path):
    result = ctlsign("prepare", KRAKOW / "CTLFile-tokenless-sha512.toml", "--certificate", pem(PUBLISHER),
                     "--installed", KRAKOW / "CTLFile-tokenless.tlv", "-o", "list.tbs")
    assert "digest: SHA-1 -> SHA-512" in result.out and "digest to be approved: " in result.out


@pytest.mark.parametrize("source", LISTS, ids=lambda path: path.name)
def test_extract_builds_the_same_file_again(ctlsign, tmp_path, source):
    report = json.loads(ctlsign("extract", source, "-d", "parts", "--json").out)
    text = (tmp_path / report["manifest"]).read_text()
    assert "raw" not in text and "signer-name" not in text and "\nsubject" not in text
    ctlsign("prepare", report["manifest"], "--certificate", report["signer"], "-o", "list.tbs")
    ctlsign("attach", "list.tbs", "--signature", report["signature"], "-o", "again.tlv")
    assert (tmp_path / "again.tlv").read_bytes() == source.read_bytes()


def test_extract_to_a_place_that_is_none(ctlsign, tmp_path):
    (tmp_path / "file").write_text("x")
    ctlsign("extract", LISTS[0], "-d", "file", expect=6)
    ctlsign("extract", OPEN_TOOLS / "SEP001122334455.cnf.xml.sgn", "-d", "parts", expect=3)


def test_resign_by_another_token(ctlsign, tmp_path):
    source = KRAKOW / "CTLFile-tokens.tlv"
    ctlsign("resign", source, "--signer", key(OTHER_TOKEN), "-o", "new.tlv", "--timestamp", "1500000000")
    verdict = json.loads(ctlsign("verify", "new.tlv", "--installed", source, "--json").out)
    assert verdict["trusted"] is True and verdict["record"] == 1
    ctlsign("resign", "new.tlv", "--signer", key(TOKEN), "-o", "back.tlv", "--timestamp", "1425667513")
    assert same(tmp_path / "back.tlv", "CTLFile-tokens")
    difference = json.loads(ctlsign("diff", source, "new.tlv", "--json", expect=1).out)
    assert {change["field"] for change in difference["header"]} == {"signer", "signer-serial", "timestamp"}
    assert difference["records"] == difference["signers"] == []


def test_resign_refuses(ctlsign, tmp_path):
    source = KRAKOW / "CTLFile-tokens.tlv"
    result = ctlsign("resign", source, "--signer", key(PUBLISHER), "-o", "new.tlv", expect=4)
    assert "signer-is-sast" in result.err
    octets = bytearray(source.read_bytes())
    octets[-1] ^= 1
    (tmp_path / "changed.tlv").write_bytes(octets)
    ctlsign("resign", "changed.tlv", "--signer", key(TOKEN), "-o", "new.tlv", expect=1)
    (tmp_path / "own.tlv").write_bytes(source.read_bytes())
    ctlsign("resign", "own.tlv", "--signer", key(TOKEN), "-o", "own.tlv", expect=2)
    assert not (tmp_path / "new.tlv").exists()
