"""Tokens that are pulled, lock, crash: what the program does about it, with virtual tokens."""

import json
import os
import subprocess
import time

import pytest
from conftest import KRAKOW, PROGRAM

KEY = KRAKOW / "tokens" / "SAST-ADN008580ef"


@pytest.fixture
def token(ctlsign, tmp_path):
    """Runs the program with the virtual token A plugged in: an eToken with the key of the golden file."""
    env = {"CTLSIGN_VIRTUAL_TOKENS": str(tmp_path / "virtual")}
    ctlsign("virtual", "create", "A", "--profile", "etoken-pro-64k", "--key", KEY.with_suffix(".key"), "--certificate",
            KEY.with_suffix(".pem"), env=env)
    env |= json.loads(ctlsign("virtual", "env", "--json", env=env).out)
    env |= {"THE_PIN": (tmp_path / "virtual/tokens/A/user-pin").read_text(), "WRONG": "no-such-pin"}

    def run(*arguments, **options):
        return ctlsign(*arguments, **{"env": env} | options)

    run.env = env
    return run


def tries_left(token):
    return json.loads(token("token", "list", "--json").out)["tokens"][0]["pin-tries-left"]


def rehearse(token, source, **options):
    return token("token", "rehearse", "A", "--pin-source", f"env:{source}", **options)


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02}.xml").write_text("<device/>")
    return sorted(folder.iterdir())


def sign_command(files, *options):
    return ["config", "sign", *files, "--signer", "pkcs11:token=A", "--pin-source", "env:THE_PIN", "-d", "out", *options]


def test_a_rejected_pin_is_sent_once(token):
    assert tries_left(token) == 15
    assert "one attempt" in rehearse(token, "WRONG", expect=5).err
    assert "no PIN was sent" in rehearse(token, "WRONG", expect=5).err
    assert tries_left(token) == 14
    assert "14 of 15 tries left" in token("token", "list").out
    token("token", "forget-pin-failures", "A")
    rehearse(token, "WRONG", expect=5)
    assert tries_left(token) == 13
    rehearse(token, "THE_PIN")
    assert tries_left(token) == 15


def test_the_final_try_is_kept(token, tmp_path):
    (tmp_path / "virtual/tokens/A/pin-tries").write_text("1\n")
    assert tries_left(token) == 1
    assert "--use-final-try" in rehearse(token, "THE_PIN", expect=5).err
    assert tries_left(token) == 1
    assert "1 of 15 tries left" in token("token", "ready", expect=1).out
    rehearse(token, "WRONG", expect=5)
    assert tries_left(token) == 1
    token("token", "rehearse", "A", "--pin-source", "env:THE_PIN", "--use-final-try")
    assert tries_left(token) == 15


def test_a_locked_token_is_sent_nothing(token, tmp_path):
    (tmp_path / "virtual/tokens/A/pin-tries").write_text("0\n")
    error = token("token", "rehearse", "A", "--pin-source", "env:THE_PIN", "--use-final-try", expect=5).err
    assert "no PIN was sent" in error


def test_pulled_and_put_back_in_the_middle_of_many(token, tmp_path, files):
    token("virtual", "fault", "after 10 signatures unplug A")
    running = subprocess.Popen([PROGRAM, *sign_command(files, "--wait", "60")], cwd=tmp_path, env=os.environ | token.env,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = running.stderr.readline()
        assert "put it back within 60 s" in line
        token("virtual", "plug", "A", "--reader", "3")
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()
        running.communicate()
    assert running.returncode == 0, err
    assert "20 of 20 files signed" in out
    token("config", "verify", *sorted((tmp_path / "out").iterdir()), "--certificate", KEY.with_suffix(".pem"))


def test_pulled_for_good(token, tmp_path, files):
    token("virtual", "fault", "after 10 signatures unplug A")
    started = time.monotonic()
    result = token(*sign_command(files, "--wait", "2"), expect=5, errors=10)
    assert time.monotonic() - started < 60
    assert "did not come back within 2 s" in result.err and "10 of 20 files" in result.out
    assert len(list((tmp_path / "out").iterdir())) == 10


@pytest.mark.parametrize("fault", ["on C_Sign #5 crash", "on C_Sign #5 return CKR_DEVICE_ERROR"])
def test_isolated_a_fault_costs_no_finished_signature(token, tmp_path, files, fault):
    token("virtual", "fault", fault)
    crash = "crash" in fault
    done = 4 if crash else 20
    result = token(*sign_command(files, "--isolate"), expect=5 if crash else 0, errors=20 - done)
    assert f"{done} of 20 files" in result.out
    signed = sorted((tmp_path / "out").iterdir())
    assert len(signed) == done
    token("config", "verify", *signed, "--certificate", KEY.with_suffix(".pem"))
    if crash:
        assert "its process has ended" in result.err
    token(*sign_command(files))


def test_a_module_elsewhere(token, tmp_path):
    module = f"|exec p11-kit remote {token.env['CTLSIGN_MODULE']}"
    token("build", KRAKOW / "CTLFile-tokens.toml", "--signer", "pkcs11:token=A", "--module", module, "--pin-source", "env:THE_PIN",
          "-o", "out.tlv")
    assert (tmp_path / "out.tlv").read_bytes() == (KRAKOW / "CTLFile-tokens.tlv").read_bytes()
    token("token", "list", "--module", "|exit 3", expect=5)
    # A URI may come from elsewhere: it runs no command.
    token("token", "rehearse", f"pkcs11:token=A?module-path=|touch%20{tmp_path}/ran", expect=5)
    assert not (tmp_path / "ran").exists()
    # So may a variable.
    for command in ("list", "doctor"):
        error = token("token", command, env=token.env | {"CTLSIGN_MODULE": f"|touch {tmp_path}/ran"}, expect=2).err
        assert "CTLSIGN_MODULE" in error and not (tmp_path / "ran").exists()
