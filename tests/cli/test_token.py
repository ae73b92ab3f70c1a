"""Tokens through the program: chosen before any login, one attempt for a PIN, nothing written by a rehearsal."""

import json
import os
import subprocess

import pytest
from conftest import KRAKOW, SOFTHSM

PIN = "test-pin-4711"
CA = KRAKOW / "tokens" / "test-manufacturing-ca"


@pytest.fixture
def tokens(tmp_path, ctlsign):
    """Two empty SoftHSM2 tokens, A and B, and the environment that shows them."""
    (tmp_path / "store").mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path}/store\nobjectstore.backend = file\nlog.level = ERROR\n")
    env = {"SOFTHSM2_CONF": str(conf), "CTLSIGN_MODULE": SOFTHSM, "THE_PIN": PIN}
    for label in "AB":
        subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", PIN],
                       env=os.environ | env, check=True, capture_output=True)

    def run(*arguments, **options):
        return ctlsign(*arguments, **{"env": env} | options)

    run.module, run.env = SOFTHSM, env
    return run


@pytest.fixture
def provisioned(tokens, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text(CA.with_suffix(".pem").read_text() + CA.with_suffix(".key").read_text())
    for label in "AB":
        tokens("token", "provision", "--token", label, "--subject", f"CN=SAST-{label},O=Cisco Systems\\, Inc.", "--bits", "1024",
               "--issuer", ca, "--pin-source", "env:THE_PIN")
    return tokens


def listed(run):
    return {t["label"]: t for t in json.loads(run("token", "list", "--json").out)["tokens"]}


def test_list_needs_no_login(provisioned):
    tokens = listed(provisioned)
    assert set(tokens) == {"A", "B"}
    for label, token in tokens.items():
        (identity,) = token["identities"]
        assert identity["subject"] == f"O=Cisco Systems\\, Inc.,CN=SAST-{label}"
        assert identity["issuer"] == "CN=Cisco Manufacturing CA,O=Cisco Systems"
        assert identity["key-seen"] and identity["sast"] and identity["key-bits"] == 1024
        serial = bytes.fromhex(identity["serial"])
        assert bytes.fromhex(identity["serial-reversed"]) == serial[::-1]
    text = provisioned("token", "list").out
    assert tokens["A"]["serial"] in text and "SAST-B" in text


def test_no_token(tmp_path, ctlsign):
    conf = tmp_path / "empty.conf"
    conf.write_text(f"directories.tokendir = {tmp_path}\nlog.level = ERROR\n")
    env = {"SOFTHSM2_CONF": str(conf), "CTLSIGN_MODULE": SOFTHSM}
    assert "no token is plugged in" in ctlsign("token", "list", env=env).out
    assert "no token is plugged in" in ctlsign("token", "rehearse", "A", env=env, expect=5).err
    ctlsign("token", "ready", env=env, expect=1)


def test_module_that_is_none(ctlsign):
    error = ctlsign("token", "list", "--module", "/absent/module.so", expect=5).err
    assert "/absent/module.so" in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("by", ["label", "serial", "uri"])
def test_the_named_token_is_used(provisioned, by):
    for label, token in listed(provisioned).items():
        done = provisioned("token", "rehearse", token[by], "--pin-source", "env:THE_PIN", "--json")
        report = json.loads(done.out)
        assert report["token"]["serial"] == token["serial"] and report["verified"]
        assert report["identity"]["subject"].endswith(f"SAST-{label}")


def test_no_name_gives_a_list_and_spends_no_pin(provisioned):
    error = provisioned("token", "rehearse", "pkcs11:", "--pin-source", "env:UNSET_VARIABLE", expect=5).err
    for token in listed(provisioned).values():
        assert token["serial"] in error and f"slot {token['slot']}" in error
        assert token["pin"] == "good"
    assert "UNSET_VARIABLE" not in error, "the PIN was not even looked for"


def test_wrong_pin_is_one_attempt(provisioned, tmp_path):
    (tmp_path / "wrong").write_text("not-the-pin\n")
    done = provisioned("token", "rehearse", "A", "--pin-source", "file:wrong", expect=5)
    assert "CKR_PIN_INCORRECT" in done.err and "one attempt" in done.err
    assert "not-the-pin" not in done.err + done.out
    assert listed(provisioned)["A"]["pin"] != "good" and listed(provisioned)["B"]["pin"] == "good"


def test_without_terminal_and_source_no_pin(provisioned):
    done = provisioned("token", "rehearse", "A", expect=5, start_new_session=True)
    assert "--pin-source" in done.err


def test_pin_value_is_refused_and_not_repeated(provisioned):
    done = provisioned("token", "rehearse", f"pkcs11:token=A?pin-value={PIN}", expect=2)
    assert PIN not in done.err


def test_uri_pin_source_is_obeyed(provisioned, tmp_path):
    (tmp_path / "pin").write_text(PIN + "\n")
    provisioned("token", "rehearse", f"pkcs11:token=A?pin-source=file:{tmp_path}/pin")
    assert "a command is never run" in provisioned("token", "rehearse", "pkcs11:token=A?pin-source=|id", expect=2).err


@pytest.mark.parametrize("source", ["1234", "env:", "fd:x", "|id"])
def test_bad_pin_source(provisioned, source):
    provisioned("token", "rehearse", "A", "--pin-source", source, expect=2)


def test_ready(provisioned, ctlsign, tmp_path):
    assert "2 of 2 tokens ready" in provisioned("token", "ready").out
    done = provisioned("token", "ready", "--ctl", KRAKOW / "CTLFile-tokens.tlv", "--json", expect=1)
    report = json.loads(done.out)
    first, second = (t["certificate"] for t in report["tokens"])
    assert "CN=SAST-ADN0054f509" in first and "CN=SAST-ADN008580ef" in second
    assert all("not plugged in" in t["problems"] for t in report["tokens"])
    done = provisioned("token", "ready", "--ctl", KRAKOW / "CTLFile-tokenless.tlv", expect=1)
    assert "names no token" in done.out


def test_export_certificate(provisioned, tmp_path):
    done = provisioned("token", "export-certificate", "B", "-o", "b.pem")
    identity = listed(provisioned)["B"]["identities"][0]
    pairs = ":".join(identity["serial"][i:i + 2] for i in range(0, len(identity["serial"]), 2))
    assert pairs in done.out and ":".join(reversed(pairs.split(":"))) in done.out
    assert "cn=Cisco Manufacturing CA;o=Cisco Systems" in done.out
    shown = subprocess.run(["openssl", "x509", "-in", tmp_path / "b.pem", "-noout", "-serial"], capture_output=True, text=True,
                           check=True).stdout
    assert shown.strip() == "serial=" + identity["serial"]


def test_doctor_prints_the_plan(provisioned):
    text = provisioned("token", "doctor", "--module", SOFTHSM).out
    assert "CKM_SHA1_RSA_PKCS: the token digests and pads" in text
    json.loads(provisioned("token", "doctor", "--module", SOFTHSM, "--json").out)


def test_provision_refuses_before_the_pin(tokens, tmp_path):
    wrong = ["--pin-source", "env:UNSET_VARIABLE"]
    tokens("token", "provision", "--token", "A", "--subject", "nothing", *wrong, expect=2)
    tokens("token", "provision", "--token", "A", "--subject", "CN=x", "--bits", "3072", *wrong, expect=2)
    tokens("token", "provision", "--token", "A", "--subject", "CN=x", "--issuer", CA.with_suffix(".pem"), *wrong, expect=3)
    tokens("token", "provision", "--token", "C", "--subject", "CN=x", *wrong, expect=5)
    assert all(t["pin"] == "good" and not t["identities"] for t in listed(tokens).values())


def test_provision_leaves_nothing_behind_when_it_fails(tokens, tmp_path):
    recorded = {"CTLSIGN_MODULE": f"{os.environ['CTLSIGN_BUILD']}/tests/recording_module.so", "RECORD_MODULE": SOFTHSM,
                "RECORD_LOG": str(tmp_path / "calls"), "RECORD_FAIL": "C_CreateObject#1=0x31"}
    error = tokens("token", "provision", "--token", "A", "--subject", "CN=SAST-A", "--bits", "1024", "--pin-source", "env:THE_PIN",
                   env=tokens.env | recorded, expect=5).err
    assert "C_CreateObject" in error
    objects = subprocess.run(["pkcs11-tool", "--module", SOFTHSM, "--token-label", "A", "--login", "--pin", PIN, "--list-objects"],
                             env=os.environ | tokens.env, check=True, capture_output=True, text=True).stdout
    assert not objects.strip()
    assert "C_GenerateKeyPair 0x0" in (tmp_path / "calls").read_text()


def test_self_signed(tokens, tmp_path):
    tokens("token", "provision", "--token", "A", "--subject", "CN=SAST-self,O=x", "--pin-source", "env:THE_PIN", "--days", "10")
    tokens("token", "export-certificate", "A", "-o", "a.pem")
    checked = subprocess.run(["openssl", "verify", "-CAfile", "a.pem", "-partial_chain", "a.pem"], cwd=tmp_path, capture_output=True,
                             text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_doctor_tells_quirks_and_why(provisioned, tmp_path):
    (tmp_path / "quirks.toml").write_text(
        '[[token]]\nwhy = "it was seen in Krakow"\nmodel = "SoftHSM*"\nno-combined-sha1 = true\nsettle-milliseconds = 10\n')
    (tmp_path / "none.toml").write_text("")
    provisioned.env["CTLSIGN_QUIRKS"] = "quirks.toml"
    (module,) = json.loads(provisioned("token", "doctor", "--module", SOFTHSM, "--json").out)["modules"]
    assert module["quirks"] == {"never-finalize": False, "spurious-first-event": False, "no-slot-events": False, "why": []}
    for token in module["tokens"]:
        assert token["quirks"]["no-combined-sha1"] and token["quirks"]["settle-milliseconds"] == 10
        assert token["quirks"]["why"] == ["it was seen in Krakow"]
        (identity,) = token["identities"]
        assert identity["plan"]["SHA-1"][0] == "CKM_SHA1_RSA_PKCS: left out, does not work on this kind of token"
    text = provisioned("token", "doctor").out
    assert text.count("quirks: may show no objects for 10 ms after a plug; CKM_SHA1_RSA_PKCS does not work") == 2
    assert text.count("because it was seen in Krakow") == 2
    provisioned.env["CTLSIGN_QUIRKS"] = "none.toml"
    assert "quirks:" not in provisioned("token", "doctor").out


def test_quirks_that_cannot_be_read(provisioned, tmp_path):
    (tmp_path / "quirks.toml").write_text('[[token]]\nwhy = "w"\nmodel = "m"\ncolour = 1\n')
    provisioned.env["CTLSIGN_QUIRKS"] = "quirks.toml"
    error = provisioned("token", "list", expect=3).err
    assert "quirks.toml" in error and "line 4" in error and len(error.splitlines()) == 1
    provisioned.env["CTLSIGN_QUIRKS"] = "absent.toml"
    assert "absent.toml" in provisioned("token", "list", expect=6).err
    provisioned("show", KRAKOW / "CTLFile-tokens.tlv")
