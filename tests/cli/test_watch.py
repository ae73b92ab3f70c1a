"""token watch: a line for each token that arrives or leaves, until it is told to stop; and the selftest's report."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import PROGRAM

MODULE = next(Path(os.environ["CTLSIGN_BUILD"]).glob("lib/**/ctlsign/libctlsign-virtual-token.so"))


@pytest.fixture
def virtual(tmp_path, ctlsign):
    """Runs the program with a folder of virtual tokens of the test's own."""
    env = {"CTLSIGN_VIRTUAL_TOKENS": str(tmp_path / "tokens"), "CTLSIGN_MODULE": str(MODULE)}

    def run(*arguments, **options):
        return ctlsign(*arguments, env=env, **options)

    run.environment = os.environ | env
    return run


class Watch:
    def __init__(self, environment, *arguments):
        self.process = subprocess.Popen([PROGRAM, "token", "watch", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def line(self):
        return self.process.stdout.readline()

    def stop(self, number):
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_line_for_each_change_as_it_happens(virtual, number):
    virtual("virtual", "create", "A", "--profile", "plain-softhsm")
    with Watch(virtual.environment, "--json") as watch:
        first = json.loads(watch.line())
        assert first["event"] == "arrived" and first["token"]["label"] == "A"
        virtual("virtual", "unplug", "A")
        left = json.loads(watch.line())
        assert left["event"] == "left" and left["token"] == first["token"] and left["time"] >= first["time"]
        virtual("virtual", "plug", "A")
        assert json.loads(watch.line())["event"] == "arrived"
        assert watch.stop(number) == 0
        assert watch.process.stdout.read() == "" and watch.process.stderr.read() == ""


def test_text(virtual):
    virtual("virtual", "create", "A", "--profile", "etoken-5110")
    with Watch(virtual.environment) as watch:
        line = watch.line()
        assert " arrived token A (serial " in line and str(MODULE) in line
        virtual("virtual", "unplug", "A")
        assert " left    token A (serial " in watch.line()
        assert watch.stop(signal.SIGTERM) == 0


def test_a_reader_that_has_seen_enough(virtual):
    virtual("virtual", "create", "A", "--profile", "plain-softhsm")
    with Watch(virtual.environment) as watch:
        watch.line()
        watch.process.stdout.close()
        virtual("virtual", "unplug", "A")
        assert watch.process.wait(timeout=30) == -signal.SIGPIPE


def test_nothing_to_watch(virtual):
    virtual("token", "watch", "--module", "/absent.so", expect=5)


@pytest.mark.parametrize("profile, left_out", [("etoken-5110", "CKM_SHA1_RSA_PKCS"), ("etoken-pro-64k", None), ("plain-softhsm", None)])
def test_selftest(virtual, tmp_path, profile, left_out):
    made = json.loads(virtual("virtual", "create", "A", "--profile", profile, "--json").out)
    pin = Path(made["pin-file"]).read_text()
    done = virtual("token", "selftest", "A", "--report", "report.json", "--pin-source", f"file:{made['pin-file']}")
    text = (tmp_path / "report.json").read_text()
    report = json.loads(text)
    for secret in (pin.strip(), made["serial"], str(tmp_path)):
        assert secret not in text
    assert pin.strip() not in done.out + done.err
    assert "label" not in report["token"] and "subject" not in report["identity"]
    results = {(s["digest"], s["way"]): s["result"] for s in report["signatures"]}
    for digest in ("SHA-1", "SHA-256", "SHA-512"):
        assert results[digest, "plan"] == "verified"
        assert results[digest, "CKM_RSA_PKCS"] == "verified"
    assert set(report["plan"]) == {"SHA-1", "SHA-256", "SHA-512"}
    assert set(report["milliseconds"]) == {"open", "list-objects", "open-after-close", "login"}
    if left_out:
        assert results["SHA-1", left_out] == "C_SignInit: CKR_ARGUMENTS_BAD"
        assert f"{left_out} is offered and does not work" in report["seen"]
    assert ("slow to open after a close" in report["seen"]) == profile.startswith("etoken")
    assert (report["token"]["quirks"]["settle-milliseconds"] > 0) == profile.startswith("etoken")
    assert report["module"]["description"] == "virtual tokens" and report["mechanisms"]


def test_selftest_of_a_key_that_asks_each_time(virtual, tmp_path):
    made = json.loads(virtual("virtual", "create", "A", "--profile", "etoken-5110-cc", "--json").out)
    virtual("token", "selftest", "--report", "report.json", "--with-serial", "--json", "--pin-source", f"file:{made['pin-file']}")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["token"]["serial"] == made["serial"] and report["token"]["label"] == "A"
    assert report["identity"]["subject"]
    assert {(s["way"], s["result"]) for s in report["signatures"]} == {("plan", "verified")}


def test_selftest_never_spends_more_than_one_try(virtual, tmp_path):
    virtual("virtual", "create", "A", "--profile", "etoken-5110")
    (tmp_path / "wrong").write_text("not-the-pin\n")
    error = virtual("token", "selftest", "A", "--report", "report.json", "--pin-source", "file:wrong", expect=5).err
    assert "CKR_PIN_INCORRECT" in error and "not-the-pin" not in error
    assert not (tmp_path / "report.json").exists()
    assert (tmp_path / "tokens" / "tokens" / "A" / "pin-tries").read_text().strip().startswith("14")


def test_selftest_without_a_place_for_the_report_spends_no_pin(virtual):
    virtual("virtual", "create", "A", "--profile", "plain-softhsm")
    virtual("token", "selftest", "A", "--report", "absent/report.json", "--pin-source", "env:UNSET", expect=6)
