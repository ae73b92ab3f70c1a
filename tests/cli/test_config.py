"""Signed configuration files: one, and a thousand."""

import collections
import json
import os
import subprocess

import pytest
from conftest import KRAKOW, OPEN_TOOLS, PROGRAM, SOFTHSM

SIGNER = OPEN_TOOLS / "asterisk.pem"
TOKEN = KRAKOW / "tokens" / "SAST-ADN008580ef"
SAMPLE = OPEN_TOOLS / "SEP001122334455.cnf.xml.sgn"


def test_the_file_of_another_tool(ctlsign, tmp_path):
    header = json.loads(ctlsign("show", SAMPLE, "--json").out)["header"]
    folder = tmp_path / "root" / "New_Zealand"
    folder.mkdir(parents=True)
    (folder / "g3-tones.xml").write_bytes((OPEN_TOOLS / "SEP001122334455.cnf.xml").read_bytes())
    ctlsign("config", "sign", folder / "g3-tones.xml", "--root", "root", "--signer", SIGNER, "--digest", "sha512",
            "--name-style", "rfc4514", "--layout", "open-tools", "--timestamp", header["timestamp"])
    assert (folder / "g3-tones.xml.sgn").read_bytes() == SAMPLE.read_bytes()


def test_verify(ctlsign):
    assert "1 of 1 files verified" in ctlsign("config", "verify", SAMPLE, "--certificate", SIGNER).out
    ctlsign("verify", SAMPLE, "--certificate", SIGNER)
    ctlsign("verify", SAMPLE, "--installed", OPEN_TOOLS / "itl-sha512-v11-ec.tlv")
    ctlsign("config", "verify", SAMPLE, expect=1)
    ctlsign("config", "verify", SAMPLE, "--installed", KRAKOW / "CTLFile-tokens.tlv", expect=1)
    ctlsign("config", "verify", KRAKOW / "certificates/CAPF-e41e7d87.pem", "--certificate", SIGNER, expect=3)


def test_strip(ctlsign, tmp_path):
    payload = (OPEN_TOOLS / "SEP001122334455.cnf.xml").read_bytes()
    (tmp_path / "f.xml.sgn").write_bytes(SAMPLE.read_bytes())
    ctlsign("config", "strip", "f.xml.sgn")
    assert (tmp_path / "f.xml").read_bytes() == payload
    ctlsign("config", "strip", "f.xml.sgn")
    (tmp_path / "f.xml").write_text("edited since")
    assert "--yes" in ctlsign("config", "strip", "f.xml.sgn", expect=2).err
    assert (tmp_path / "f.xml").read_text() == "edited since"
    # One question for all, and before anything is written.
    (tmp_path / "a.xml.sgn").write_bytes(SAMPLE.read_bytes())
    ctlsign("config", "strip", "a.xml.sgn", "f.xml.sgn", expect=2)
    assert not (tmp_path / "a.xml").exists()
    ctlsign("config", "strip", "a.xml.sgn", "f.xml.sgn", "--yes")
    assert (tmp_path / "f.xml").read_bytes() == payload == (tmp_path / "a.xml").read_bytes()
    ctlsign("config", "strip", "f.xml", expect=2)


def test_a_thousand(ctlsign, tmp_path, thousand):
    files = sorted(thousand.iterdir())
    result = ctlsign("config", "sign", *files, "--signer", SIGNER, "-d", "out", "--jobs", "4", "--timestamp", "1500000000")
    assert "1000 of 1000 files signed" in result.out
    signed = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in signed] == [f"{path.name}.sgn" for path in files]
    ctlsign("config", "verify", *signed, "--certificate", SIGNER)
    ctlsign("config", "strip", *signed, "-d", "back")
    for path in files:
        assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()
    # Whatever the number of jobs, the files are the same.
    ctlsign("config", "sign", *files[:20], "--signer", SIGNER, "-d", "one", "--jobs", "1", "--timestamp", "1500000000")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()


def test_the_failures_are_complete_and_stop_nobody(ctlsign, tmp_path, thousand):
    files = sorted(thousand.iterdir())[:100]
    (tmp_path / "out").mkdir()
    os.truncate(files[10], 17 << 20)
    files[20].unlink()
    files[30].unlink()
    files[30].mkdir()
    (tmp_path / "out" / f"{files[40].name}.sgn").mkdir()
    result = ctlsign("config", "sign", *files, "--signer", SIGNER, "-d", "out", "--json", expect=6, errors=4)
    report = json.loads(result.out)
    assert report["done"] == 96
    assert [(failure["file"], failure["exit"]) for failure in report["failures"]] == [
        (str(files[10]), 3), (str(files[20]), 6), (str(files[30]), 6), (str(files[40]), 6)]
    errors = [line for line in result.err.splitlines() if "error: " in line]
    assert len(errors) == 4
    for number, line in zip((10, 20, 30, 40), errors):
        assert files[number].name in line
    assert sum(path.is_file() for path in (tmp_path / "out").iterdir()) == 96


def test_two_files_of_one_name(ctlsign, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.xml").write_text(folder)
    ctlsign("config", "sign", "a/x.xml", "b/x.xml", "--signer", SIGNER, "-d", "out", expect=2)
    ctlsign("config", "sign", "a/x.xml", "b/x.xml", "--signer", SIGNER, "-d", "out", "--root", ".")
    shown = json.loads(ctlsign("show", "out/b/x.xml.sgn", "--json").out)
    assert shown["header"]["filename"] == "b/x.xml.sgn" and shown["header"]["version"] == "1.0"


def test_a_wrong_passphrase_is_asked_for_once(ctlsign, tmp_path, thousand):
    subprocess.run(["openssl", "rsa", "-aes128", "-in", SIGNER, "-passout", "pass:right", "-out", tmp_path / "key.pem"],
                   check=True, capture_output=True)
    files = sorted(thousand.iterdir())[:10]
    result = ctlsign("config", "sign", *files, "--signer", "key.pem", "--certificate", SIGNER, "--pin-source",
                     "env:WORD", env={"WORD": "not-this-one"}, expect=5)
    assert "not-this-one" not in result.err + result.out
    assert not list(thousand.glob("*.sgn"))


@pytest.fixture
def recorded(tmp_path):
    """A SoftHSM2 token behind the recording module: the environment that shows it, and what was called."""
    (tmp_path / "store").mkdir()
    conf, log = tmp_path / "softhsm2.conf", tmp_path / "calls"
    conf.write_text(f"directories.tokendir = {tmp_path}/store\nlog.level = ERROR\n")
    env = {"SOFTHSM2_CONF": str(conf), "CTLSIGN_MODULE": f"{os.environ['CTLSIGN_BUILD']}/tests/recording_module.so",
           "RECORD_MODULE": SOFTHSM, "RECORD_LOG": str(log), "THE_PIN": "test-pin-4711"}
    for command in (["--init-token", "--free", "--label", "T", "--so-pin", "test-pin-4711"],
                    ["--import", TOKEN.with_suffix(".key"), "--token", "T", "--label", "key", "--id", "01"]):
        subprocess.run(["softhsm2-util", *command, "--pin", "test-pin-4711"], env=os.environ | env, check=True,
                       capture_output=True)

    def calls():
        return collections.Counter(line.split()[0] for line in log.read_text().splitlines())

    return env, calls


def test_a_thousand_by_a_token_with_one_login(ctlsign, tmp_path, thousand, recorded):
    env, calls = recorded
    files = sorted(thousand.iterdir())
    certificate = TOKEN.with_suffix(".pem")
    result = ctlsign("config", "sign", *files, "--signer", "pkcs11:token=T", "--certificate", certificate, "-d", "out",
                     "--jobs", "2", "--pin-source", "env:THE_PIN", env=env)
    assert "1000 of 1000 files signed" in result.out
    made = calls()
    assert made["C_Login"] == 1 and made["C_SignInit"] == made["C_Sign"] == 1000
    ctlsign("config", "verify", *sorted((tmp_path / "out").iterdir()), "--certificate", certificate)


def test_a_wrong_pin_is_sent_once_for_all_files(ctlsign, thousand, recorded):
    env, calls = recorded
    ctlsign("config", "sign", *sorted(thousand.iterdir())[:50], "--signer", "pkcs11:token=T", "--certificate",
            TOKEN.with_suffix(".pem"), "--pin-source", "env:THE_PIN", env=env | {"THE_PIN": "not-this-one"}, expect=5)
    assert calls()["C_Login"] == 1 and calls()["C_Sign"] == 0
    assert not list(thousand.glob("*.sgn"))


def test_a_pin_at_the_reader(ctlsign, thousand, recorded):
    env, calls = recorded
    files = sorted(thousand.iterdir())[:10]
    result = ctlsign("config", "sign", *files, "--signer", "pkcs11:token=T", "--certificate", TOKEN.with_suffix(".pem"),
                     env=env | {"RECORD_READER_PIN": env["THE_PIN"]})
    assert "10 of 10 files signed" in result.out and result.err.count("enter the PIN at the reader") == 1
    assert calls()["C_Login"] == 1 and calls()["C_Sign"] == 10


def test_dry_run(ctlsign, thousand):
    files = sorted(thousand.iterdir())[:10]
    result = ctlsign("config", "sign", *files, "--signer", SIGNER, "--dry-run")
    assert "10 of 10 files would be signed" in result.out
    assert not list(thousand.glob("*.sgn"))


def test_progress_on_a_terminal_only(tmp_path, thousand):
    """script(1) gives the program a terminal; without one standard error stays empty."""
    files = " ".join(str(path) for path in sorted(thousand.iterdir()))
    command = f"{PROGRAM} config sign {files} --signer {SIGNER} --jobs 1 -d"
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}  # no leak check where strace is watching
    plain = subprocess.run(f"{command} {tmp_path}/plain", shell=True, capture_output=True, check=True)
    assert plain.stderr == b""
    # Slow enough for a bar: every fsync takes two milliseconds longer.
    slowly = f"strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:delay_exit=2000 {command} {tmp_path}/shown"
    shown = subprocess.run(["script", "-qec", slowly, "/dev/null"], env=environment, capture_output=True, check=True).stdout.decode()
    assert "signing " in shown and "/1000 [" in shown
