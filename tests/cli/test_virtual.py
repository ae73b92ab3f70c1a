"""Virtual tokens: the commands, and other people's programs on the module, with the pytest plugin that is installed."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import PROGRAM, SOFTHSM

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "softhsm-profiles" / "pytest"))
pytest_plugins = ["ctlsign_virtual_token"]


def run(tokens, *command, code=0, env=None, **options):
    done = subprocess.run([str(word) for word in command], env=tokens.environment | (env or {}), timeout=120, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == code, done.stdout
    return done.stdout


def by_softhsm(token):
    """SoftHSM2 alone, on the files of a virtual token."""
    return {"SOFTHSM2_CONF": str(token.pin_file.parent / "softhsm" / "softhsm2.conf")}


def sign(tokens, token, folder, mechanism="SHA256-RSA-PKCS", code=0, through=()):
    (folder / "message").write_text("a message\n")
    return run(tokens, *through, "pkcs11-tool", "--module", tokens.module, "--token-label", token.label, "--login", "--pin",
               token.pin, "--sign", "-m", mechanism, "--label", token.label, "-i", folder / "message",
               "-o", folder / "signature", code=code)


def verify(token, folder):
    public = subprocess.run(["openssl", "x509", "-in", token.certificate_file, "-pubkey", "-noout"], check=True,
                            capture_output=True).stdout
    (folder / "public").write_bytes(public)
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", folder / "public", "-signature", folder / "signature",
                    folder / "message"], check=True, capture_output=True)


# The commands.

def test_plug_and_unplug(virtual_tokens, ctlsign):
    token = virtual_tokens.create("plain-softhsm", "A")
    env = virtual_tokens.environment

    def reader():
        (listed,) = json.loads(ctlsign("virtual", "list", "--json", env=env).out)
        return listed.get("reader")

    assert reader() == 0
    assert "unplugged" in ctlsign("virtual", "unplug", "A", env=env).out
    assert reader() is None
    assert "not plugged in" in ctlsign("virtual", "unplug", "A", env=env, expect=6).err
    assert "in reader 3" in ctlsign("virtual", "plug", "A", "--reader", "3", env=env).out
    assert reader() == 3
    assert "plugged in" in ctlsign("virtual", "plug", "A", env=env, expect=6).err
    token.unplug()
    assert json.loads(ctlsign("virtual", "plug", "A", "--json", env=env).out)["reader"] == 0
    assert "no virtual token" in ctlsign("virtual", "plug", "B", env=env, expect=6).err


def test_fault_lines_are_checked(virtual_tokens, ctlsign):
    virtual_tokens.create("plain-softhsm", "A")
    env = virtual_tokens.environment
    ctlsign("virtual", "fault", "on C_Sign #3 return CKR_DEVICE_ERROR", env=env)
    ctlsign("virtual", "fault", "at 2s unplug A", env=env)
    assert (virtual_tokens.folder / "faults").read_text() == (
        "on C_Sign #3 return CKR_DEVICE_ERROR\nat 2000ms unplug A\n")
    error = ctlsign("virtual", "fault", "on C_Sing crash", env=env, expect=2).err
    assert "C_Sing" in error and "expected" in error


def test_the_environment_shows_the_tokens(virtual_tokens, ctlsign):
    virtual_tokens.create("etoken-5110", "A")
    text = ctlsign("virtual", "env", env=virtual_tokens.environment).out
    assert re.fullmatch(r"export CTLSIGN_VIRTUAL_TOKENS='.*'\nexport CTLSIGN_MODULE='.*libctlsign-virtual-token.so'\n", text)
    assert "SafeNet" in ctlsign("token", "list", env=virtual_tokens.environment).out


def test_a_wrong_pin_is_counted_among_programs(virtual_tokens, ctlsign, tmp_path):
    token = virtual_tokens.create("etoken-pro-64k", "A")
    assert token.tries_left is None
    for left in (14, 13):
        run(virtual_tokens, "pkcs11-tool", "--module", virtual_tokens.module, "--token-label", "A", "--login", "--pin",
            "wrong-pin", "-O", code=1)
        assert token.tries_left == left
    assert "13 of 15 tries left" in ctlsign("token", "list", env=virtual_tokens.environment).out
    run(virtual_tokens, "pkcs11-tool", "--module", virtual_tokens.module, "--token-label", "A", "--login", "--pin",
        token.pin, "-O")
    assert token.tries_left == 15


def learned(file):
    return tomllib.loads(file.read_text())


def test_learning_a_token(virtual_tokens, ctlsign, tmp_path):
    """What can be learned of a virtual eToken is what its profile says; the profile makes such a token again."""
    token = virtual_tokens.create("etoken-5110", "A")
    env = virtual_tokens.environment
    report = json.loads(ctlsign("virtual", "learn", "A", "-o", "kind.toml", "--pin-source", f"file:{token.pin_file}",
                                "--json", env=env).out)
    assert report == {"file": "kind.toml", "not-learned": ["slot-id-changes", "settle-milliseconds", "spurious-first-event"]}
    real = learned(ROOT / "softhsm-profiles" / "profiles" / "etoken-5110.toml")
    kind = learned(tmp_path / "kind.toml")
    assert kind["token"] == {"label": "", "serial": "", "removable": True} | real["token"] | {"slot-id-changes": False}
    for key in ("tries", "minimum-length", "maximum-length", "vendor-counter"):
        assert kind["pin"][key] == real["pin"][key], key
    assert sorted(kind["key"]["mechanisms"]) == sorted(real["key"]["mechanisms"])
    assert sorted(kind["key"]["sizes"]) == sorted(real["key"]["sizes"]) and not kind["key"]["always-authenticate"]
    for key in ("one-operation-at-a-time", "no-sign-final", "no-combined-sha1"):
        assert kind["behaviour"][key], key
    assert kind["behaviour"]["latency-milliseconds"] >= 120 and not kind["behaviour"]["certificates-hidden"]
    assert kind["behaviour"]["busy-after-close-milliseconds"] >= 150
    text = (tmp_path / "kind.toml").read_text()
    assert token.pin not in text and token.serial not in text and '"A"' not in text
    assert token.tries_left == 15
    virtual_tokens.create(tmp_path / "kind.toml", "B")


def test_learning_without_a_pin(virtual_tokens, ctlsign, tmp_path):
    token = virtual_tokens.create("plain-softhsm", "A")
    log = virtual_tokens.log()
    out = ctlsign("virtual", "learn", "A", "-o", "kind.toml", env=virtual_tokens.environment, stdin=b"").out
    assert "latency-milliseconds" in out and "C_Login" not in log.read_text() and "C_OpenSession" in log.read_text()
    kind = learned(tmp_path / "kind.toml")
    assert kind["pin"]["tries"] == 0 and kind["key"]["sizes"] == [2048, 1024, 4096, 512]
    assert "CKM_SHA256_RSA_PKCS" in kind["key"]["mechanisms"] and token.serial not in (tmp_path / "kind.toml").read_text()


def test_a_wrong_pin_teaches_nothing(virtual_tokens, ctlsign, tmp_path):
    token = virtual_tokens.create("etoken-5110", "A")
    (tmp_path / "wrong").write_text("wrong-pin")
    ctlsign("virtual", "learn", "A", "-o", "kind.toml", "--pin-source", "file:wrong", env=virtual_tokens.environment, expect=5)
    assert token.tries_left == 14 and not (tmp_path / "kind.toml").exists()


def test_without_notices_of_the_kernel(virtual_tokens, tmp_path):
    token = virtual_tokens.create("plain-softhsm", "A")
    log, trace = virtual_tokens.log(), tmp_path / "trace"
    virtual_tokens.fault("on C_Sign delay 3600s")
    virtual_tokens.fault("at 100ms unplug A")
    without = ["strace", "-f", "-qq", "-o", trace, "-e", "trace=inotify_init1", "-e", "inject=inotify_init1:error=EMFILE"]
    sign(virtual_tokens, token, tmp_path, "RSA-PKCS", code=1, through=without)
    assert "(INJECTED)" in trace.read_text()
    assert re.search(r" C_Sign\(\d+\) CKR_DEVICE_REMOVED ", log.read_text())


# Other people's programs.

def test_pkcs11_tool(virtual_tokens, tmp_path):
    token = virtual_tokens.create("plain-softhsm", "A")
    listed = run(virtual_tokens, "pkcs11-tool", "--module", virtual_tokens.module, "-L")
    assert "ctlsign virtual reader 0" in listed and token.serial in listed
    sign(virtual_tokens, token, tmp_path)
    verify(token, tmp_path)
    token.unplug()
    assert "(empty)" in run(virtual_tokens, "pkcs11-tool", "--module", virtual_tokens.module, "-L")


def test_pkcs11_tool_sees_a_pull_while_it_signs(virtual_tokens, tmp_path):
    token = virtual_tokens.create("plain-softhsm", "A")
    log = virtual_tokens.log()
    virtual_tokens.fault("on C_Sign delay 3600s")
    virtual_tokens.fault("at 100ms unplug A")
    sign(virtual_tokens, token, tmp_path, "RSA-PKCS", code=1)
    assert re.search(r" C_Sign\(\d+\) CKR_DEVICE_REMOVED ", log.read_text())
    assert token.pin not in log.read_text()


def test_pkcs11_tool_waits_for_the_token(virtual_tokens):
    token = virtual_tokens.create("plain-softhsm", "A")
    token.unplug()
    log = virtual_tokens.log()
    with subprocess.Popen(["pkcs11-tool", "--module", virtual_tokens.module, "--test-hotplug"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=virtual_tokens.environment,
                          text=True) as waiting:
        waiting.stdin.write("x\n\n")  # no C_GetSlotList, but C_WaitForSlotEvent
        waiting.stdin.flush()
        virtual_tokens.wait_until(lambda: "C_Initialize" in log.read_text())
        token.plug()
        out = waiting.communicate("x\n", timeout=60)[0]
    assert "event on slot 0x0" in out and token.serial in out


def normalised(text):
    return re.sub(r"\(0x[0-9a-f]+\)|module .*", "", text)


@pytest.mark.parametrize("program", [
    ["pkcs11-tool", "--token-label", "A", "--login", "--pin", "softhsm-test-pin", "--test"],
    ["pkcs11-tool", "--token-label", "A", "--login", "--pin", "softhsm-test-pin", "-O"],
    ["pkcs11-tool", "--token-label", "A", "-M"],
    ["p11tool", "--login", "--test-sign", "pkcs11:token=A;object=A;type=private?pin-value=softhsm-test-pin"],
    ["p11tool", "--login", "--list-all", "pkcs11:token=A?pin-value=softhsm-test-pin"],
    ["p11tool", "--list-mechanisms", "pkcs11:token=A"],
], ids=lambda program: " ".join(word for word in program if word.startswith(("p", "--test", "--list", "-O", "-M"))
                                and ":" not in word))
def test_the_same_as_on_softhsm_alone(virtual_tokens, program):
    token = virtual_tokens.create("plain-softhsm", "A")
    option = "--module" if program[0] == "pkcs11-tool" else "--provider"
    alone = run(virtual_tokens, program[0], option, SOFTHSM, *program[1:], env=by_softhsm(token))
    through = run(virtual_tokens, program[0], option, virtual_tokens.module, *program[1:])
    # SoftHSM2 lists its objects in no order.
    assert sorted(normalised(through).splitlines()) == sorted(normalised(alone).splitlines())


def test_p11tool_lists_and_sees_a_pull(virtual_tokens):
    token = virtual_tokens.create("plain-softhsm", "A")
    command = ["p11tool", "--provider", virtual_tokens.module, "--only-urls", "--list-tokens"]
    assert f"serial={token.serial};token=A" in run(virtual_tokens, *command)
    token.unplug()
    assert "token=A" not in run(virtual_tokens, *command)


def test_the_engine_of_libp11(virtual_tokens, tmp_path):
    token = virtual_tokens.create("plain-softhsm", "A")
    (tmp_path / "message").write_text("a message\n")
    command = ["openssl", "dgst", "-engine", "pkcs11", "-keyform", "engine", "-sha256", "-sign",
               f"pkcs11:token=A;object=A;type=private;pin-value={token.pin}", "-out", tmp_path / "signature",
               tmp_path / "message"]
    env = {"PKCS11_MODULE_PATH": virtual_tokens.module}
    run(virtual_tokens, *command, env=env)
    verify(token, tmp_path)
    (tmp_path / "signature").unlink()
    virtual_tokens.fault("on C_SignInit unplug A")
    run(virtual_tokens, *command, code=1, env=env)
    assert not (tmp_path / "signature").exists() or not (tmp_path / "signature").read_bytes()


def test_the_module_is_found_where_something_has_the_name_of_the_program(tmp_path):
    """As in the folder of a clone of its sources."""
    (tmp_path / "ctlsign").mkdir()
    environment = {"PATH": f"{Path(PROGRAM).parent}:/usr/bin:/bin", "CTLSIGN_VIRTUAL_TOKENS": str(tmp_path)}
    done = subprocess.run(["ctlsign", "virtual", "env"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "libctlsign-virtual-token.so" in done.stdout, done.stderr


def test_a_module_that_is_not_installed(tmp_path):
    (tmp_path / "bin").mkdir()
    alone = shutil.copy(os.environ["CTLSIGN_PROGRAM"], tmp_path / "bin" / "ctlsign")
    done = subprocess.run([alone, "virtual", "env"], env={"CTLSIGN_VIRTUAL_TOKENS": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 6
    assert "the module of virtual tokens is not installed" in done.stderr and "install it beside this program" in done.stderr


# The program that has these commands alone.

def test_the_program_that_stands_alone(ctlsign, tmp_path):
    program = os.path.join(os.path.dirname(PROGRAM), "ctlsign-virtual-token")

    def alone(*arguments, code=0):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False,
                              env={**os.environ, "CTLSIGN_VIRTUAL_TOKENS": str(tmp_path / "alone")})
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def commands(shown):
        return re.findall(r"^  ([a-z]+)  ", shown.split("Subcommands:")[1], re.M)

    assert commands(alone("--help")) == commands(ctlsign("virtual", "--help").out)
    for command in commands(alone("--help")):
        assert re.search(rf"^Example:\n  .*ctlsign-virtual-token {command}", alone(command, "--help"), re.M)
    assert alone("nothing", code=2) == "ctlsign-virtual-token: error: there is no command 'nothing'; see ctlsign-virtual-token --help\n"
    alone("create", "A", "--profile", "plain-softhsm")
    assert "in reader 0" in alone("list")
    assert json.loads(alone("env", "--json"))["CTLSIGN_MODULE"].endswith("/libctlsign-virtual-token.so")
    assert "complete -F _ctlsign-virtual-token ctlsign-virtual-token" in alone("completion", "bash")
