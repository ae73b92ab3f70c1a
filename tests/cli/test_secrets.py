"""A PIN stands in no output, no command line and no core file, wherever it came from."""

import os
import pty
import select
import subprocess
from pathlib import Path

import pytest
from conftest import PROGRAM
from test_token import PIN, provisioned, tokens  # noqa: F401  (fixtures)


def core_at_first_signature(tmp_path, environment, arguments, **options):
    """The core file of the program at its first C_SignInit: logged in, PIN held."""
    core = tmp_path / "core"
    subprocess.run(["gdb", "-q", "-nx", "-batch", "-ex", "set breakpoint pending on", "-ex", "set startup-with-shell off",
                    "-ex", "break C_SignInit", "-ex", "run", "-ex", f"gcore {core}", "-ex", "kill",
                    "--args", PROGRAM, *arguments],
                   cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=120, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    return core.read_bytes()


@pytest.mark.parametrize("source", ["file", "env", "fd"])
def test_core_file(provisioned, tmp_path, source):  # noqa: F811
    (tmp_path / "pin").write_text(PIN + "\n")
    environment = os.environ | {"SOFTHSM2_CONF": f"{tmp_path}/softhsm2.conf",
                                "CTLSIGN_MODULE": provisioned.module}
    options = {}
    if source == "env":
        environment["THE_PIN"] = PIN
        argument = "env:THE_PIN"
    elif source == "fd":
        reader, writer = os.pipe()
        os.write(writer, PIN.encode() + b"\n")
        os.close(writer)
        options["pass_fds"] = [reader]
        argument = f"fd:{reader}"
    else:
        argument = "file:pin"
    core = core_at_first_signature(tmp_path, environment, ["token", "rehearse", "A", "--pin-source", argument], **options)
    assert b"--pin-source" in core, "the core file holds the stack and the heap, so it would hold a PIN"
    assert PIN.encode() not in core


def test_command_line_and_output(provisioned, tmp_path):  # noqa: F811
    (tmp_path / "pin").write_text(PIN + "\n")
    log = tmp_path / "trace"
    environment = os.environ | {"SOFTHSM2_CONF": f"{tmp_path}/softhsm2.conf", "CTLSIGN_MODULE": provisioned.module}
    done = subprocess.run(["strace", "-f", "-s", "4096", "-e", "trace=execve,write,writev,sendto,sendmsg,openat", "-o", log, PROGRAM,
                           "token", "rehearse", "A", "--pin-source", "file:pin", "--json"],
                          cwd=tmp_path, env=environment, capture_output=True, check=True)
    traced = Path(log).read_text()
    assert "execve(" in traced and "write(1" in traced
    for text in (traced, done.stdout.decode(), done.stderr.decode()):
        assert PIN not in text


def answer_prompt(tmp_path, environment, arguments, answer):
    """Runs the program on a terminal of its own and types ANSWER at the first prompt: (exit code, all that was on the screen)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(PROGRAM, [PROGRAM, *arguments], environment)
    screen, answered = b"", False
    while True:
        if answered and answer == b"\x03" and not select.select([terminal], [], [], 2)[0]:
            # A ^C between OpenSSL's handler and its reading is noted, and nothing more: as a person would, type it again.
            os.write(terminal, answer)
            continue
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the program has gone
            break
        if not part:
            break
        screen += part
        if not answered and b"PIN of token A" in screen and screen.endswith(b": "):
            os.write(terminal, answer)
            answered = True
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen.decode()


@pytest.mark.parametrize("answer, code", [(PIN.encode() + b"\n", 0), (b"not-the-pin\n", 5), (b"\n", 5), (b"\x04", 5)])
def test_prompt(provisioned, tmp_path, answer, code):  # noqa: F811
    environment = os.environ | {"SOFTHSM2_CONF": f"{tmp_path}/softhsm2.conf", "CTLSIGN_MODULE": provisioned.module}
    exit_code, screen = answer_prompt(tmp_path, environment, ["token", "rehearse", "A"], answer)
    assert exit_code == code, screen
    assert screen.count("PIN of token A (serial ") == 1, "asked once, whatever the answer"
    assert PIN not in screen and "not-the-pin" not in screen


def test_interrupt_at_the_prompt(provisioned, tmp_path):  # noqa: F811
    environment = os.environ | {"SOFTHSM2_CONF": f"{tmp_path}/softhsm2.conf", "CTLSIGN_MODULE": provisioned.module}
    exit_code, screen = answer_prompt(tmp_path, environment, ["token", "rehearse", "A"], b"\x03")
    assert exit_code != 0, screen
    assert "verified" not in screen
