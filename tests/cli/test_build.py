"""The golden files, rebuilt byte for byte by every way to a signature; and what is refused before a signature."""

import json
import os
import re
import shutil
import subprocess

import pytest
from conftest import KRAKOW

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
    """Both golden tokens, and the publisher's key in an HSM that takes keys of any size, as virtual tokens."""
    environment = {"CTLSIGN_VIRTUAL_TOKENS": str(tmp_path / "virtual")}
    for name, profile, stem in [("T1", "etoken-pro-64k", TOKEN), ("T2", "etoken-pro-64k", OTHER_TOKEN),
                                ("HSM", "plain-softhsm", PUBLISHER)]:
        ctlsign("virtual", "create", name, "--profile", profile, "--key", key(stem), "--certificate", pem(stem),
                env=environment)
    environment |= json.loads(ctlsign("virtual", "env", "--json", env=environment).out)
    tokens = json.loads(ctlsign("virtual", "list", "--json", env=environment).out)
    pins = {token["name"]: f"file:{token['pin-file']}" for token in tokens}

    def run(*arguments, **options):
        return ctlsign(*arguments, env=environment | options.pop("env", {}), **options)

    run.pins, run.environment, run.tokens = pins, environment, tmp_path / "virtual" / "tokens"
    return run


def restrict(virtual, mechanisms):
    for profile in virtual.tokens.glob("*/profile.toml"):
        text = re.sub(r"^mechanisms = \[[^]]*\]\n", "", profile.read_text(), flags=re.M)
        profile.write_text(text.replace("[key]\n", f"[key]\nmechanisms = {json.dumps(mechanisms)}\n"))


@pytest.mark.parametrize("mechanisms", [None, ["CKM_RSA_PKCS"], ["CKM_RSA_X_509"]])
def test_from_tokens(virtual, tmp_path, mechanisms):
    if mechanisms:
        restrict(virtual, mechanisms)
    for golden, name in [("CTLFile-tokenless", "HSM"), ("CTLFile-tokenless-sha512", "HSM"), ("CTLFile-tokens", "T1")]:
        virtual("build", KRAKOW / f"{golden}.toml", "--signer", f"pkcs11:token={name}", "-o", f"{golden}.out",
                "--pin-source", virtual.pins[name])
        assert same(tmp_path / f"{golden}.out", golden)


def test_resign(virtual, tmp_path):
    list_of_tokens = KRAKOW / "CTLFile-tokens.tlv"
    virtual("resign", list_of_tokens, "--signer", "pkcs11:token=T2", "-o", "out.tlv", "--pin-source", virtual.pins["T2"])
    assert "SAST-ADN0054f509" in virtual("verify", "out.tlv", "--installed", list_of_tokens).out
    refused = virtual("resign", list_of_tokens, "--signer", "pkcs11:token=HSM", "-o", "no.tlv", "--pin-source",
                      "env:NOT_SET", expect=4)
    assert "rule signer-is-sast" in refused.err and "NOT_SET" not in refused.err
    forged = bytearray(list_of_tokens.read_bytes())
    forged[-1] ^= 1
    (tmp_path / "forged.tlv").write_bytes(forged)
    refused = virtual("resign", "forged.tlv", "--signer", "pkcs11:token=T2", "-o", "no.tlv", "--pin-source",
                      "env:NOT_SET", expect=1)
    assert "NOT_SET" not in refused.err and not (tmp_path / "no.tlv").exists()


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
    report = json.loads(virtual("resign", KRAKOW / "CTLFile-tokens.tlv", "--signer", "pkcs11:token=T2", "-o", "x",
                                "--dry-run", "--json").out)
    assert report["length"] == 5728 and report["dry-run"] is True and not (tmp_path / "x").exists()


def test_a_key_that_does_not_fit_its_certificate(ctlsign, tmp_path):
    ctlsign("build", KRAKOW / "CTLFile-tokens.toml", "--signer", key(TOKEN), "--certificate", pem(OTHER_TOKEN),
            "-o", "out.tlv", expect=5)
    assert not (tmp_path / "out.tlv").exists()


def test_a_signer_that_the_manifest_does_not_name(ctlsign, tmp_path):
    result = ctlsign("build", KRAKOW / "CTLFile-tokens.toml", "--signer", key(PUBLISHER), "-o", "out.tlv", expect=1)
    assert "name-style" in result.err
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
    # Not on T1: pkcs11-tool signs in parts, which eTokens do not.
    virtual("virtual", "create", "T3", "--profile", "plain-softhsm", "--key", key(TOKEN), "--certificate", pem(TOKEN))
    virtual("prepare", KRAKOW / "CTLFile-tokens.toml", "--certificate", pem(TOKEN), "-o", "list.tbs")
    pin = (virtual.tokens / "T3" / "user-pin").read_text()
    subprocess.run(["pkcs11-tool", "--module", virtual.environment["CTLSIGN_MODULE"], "--token-label", "T3",
                    "--login", "--pin", pin, "--sign", "-m", "SHA1-RSA-PKCS", "--input-file", "list.tbs",
                    "--output-file", "sig", "--label", "T3"],
                   cwd=tmp_path, env=os.environ | virtual.environment, check=True, capture_output=True)
    virtual("attach", "list.tbs", "--signature", "sig", "-o", "out.tlv", "--certificate", pem(TOKEN))
    assert same(tmp_path / "out.tlv", "CTLFile-tokens")
