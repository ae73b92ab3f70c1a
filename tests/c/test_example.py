"""The example program signs the golden list with a virtual eToken that is pulled and put back meanwhile."""

import os
import subprocess
import time
from pathlib import Path

import pytest

pytest_plugins = ["ctlsign_virtual_token"]
DATA = Path(__file__).resolve().parent.parent / "data/krakow"
TESTS = Path(os.environ["CTLSIGN_BUILD"]) / "tests"
VALGRIND = ["valgrind", "--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite,possible", "--error-exitcode=99"]
WITH = [[], VALGRIND] if os.environ["CTLSIGN_INSTRUMENTED"] == "0" else [[]]


@pytest.fixture
def etoken(virtual_tokens, tmp_path, monkeypatch):
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    key = DATA / "tokens/SAST-ADN008580ef"
    return virtual_tokens.create("etoken-pro-64k", name="A", key=f"{key}.key", certificate=f"{key}.pem")


def run_while_it_is_pulled(virtual_tokens, etoken, command):
    """Puts the token back each time that COMMAND asks for it."""
    virtual_tokens.fault("on C_Sign unplug A")
    log = Path(virtual_tokens.folder) / "err"
    told = 0
    deadline = time.monotonic() + 240
    with log.open("wb") as err, subprocess.Popen(command, stdin=subprocess.PIPE, stderr=err,
                                                 env=virtual_tokens.environment) as program:
        program.stdin.write(f"{etoken.pin}\n".encode() * 9)
        program.stdin.close()
        while program.poll() is None:
            if time.monotonic() > deadline:
                program.kill()
            if log.read_text().count(" is gone: put it back") > told:
                told = log.read_text().count(" is gone: put it back")
                if not list(Path(virtual_tokens.folder).glob("readers/*/token")):
                    etoken.plug()
            time.sleep(0.02)
    assert program.returncode == 0, log.read_text()
    assert told > 0
    return log.read_text()


@pytest.mark.parametrize("under", WITH, ids=lambda under: under[0] if under else "alone")
def test_it_signs_the_golden_list(virtual_tokens, etoken, tmp_path, under):
    output = tmp_path / "CTLFile.tlv"
    err = run_while_it_is_pulled(virtual_tokens, etoken, [
        *under, TESTS / "sign_ctl", virtual_tokens.module, DATA / "CTLFile-tokens.toml", output])
    assert output.read_bytes() == (DATA / "CTLFile-tokens.tlv").read_bytes()
    assert f"PIN of token A (serial {etoken.serial}), 15 tries left: " in err
    assert err.count("PIN of") == 1
    assert etoken.pin not in err


@pytest.mark.parametrize("under", WITH, ids=lambda under: under[0] if under else "alone")
def test_three_threads_at_once(virtual_tokens, etoken, tmp_path, under):
    outputs = [tmp_path / f"{number}.tlv" for number in range(3)]
    run_while_it_is_pulled(virtual_tokens, etoken, [
        *under, TESTS / "sign_ctl_three_threads", virtual_tokens.module, DATA / "CTLFile-tokens.toml", *outputs])
    golden = (DATA / "CTLFile-tokens.tlv").read_bytes()
    assert [output.read_bytes() == golden for output in outputs] == [True] * 3


def test_errors_are_one_line(virtual_tokens, tmp_path):
    done = subprocess.run([TESTS / "sign_ctl", virtual_tokens.module, DATA / "CTLFile-tokens.toml", tmp_path / "out"],
                          capture_output=True, text=True, check=False, env=virtual_tokens.environment)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
