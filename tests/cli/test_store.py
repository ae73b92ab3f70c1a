"""A file is stored whole or not at all: every system call of the write is made to fail, and killed at."""

import os
import re
import subprocess
from pathlib import Path

import pytest

PROBE = os.path.join(os.environ["CTLSIGN_BUILD"], "tests", "store_probe")
OLD, NEW = b"the old file" * 50, b"the new file, longer" * 500
# Without unnamed files (O_TMPFILE) the temporary is made by name.
NAMED = ["-e", "inject=access:error=ENOENT:when=2"]


def run(target, *strace, log=None):
    command = ["strace", "-f", "-qq", "-o", str(log or "/dev/null"), *strace] if strace or log else []
    # A leak check cannot run where strace is watching.
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    return subprocess.run([*command, PROBE, str(target), NEW.decode()], env=environment, capture_output=True, check=False)


def calls(log):
    """[(name, number of the call by that name)] after the mark."""
    seen, wanted, marked = {}, [], False
    for line in Path(log).read_text().splitlines():
        match = re.match(r"\d+ +(\w+)\(", line)
        if not match:
            continue
        name = match[1]
        seen[name] = seen.get(name, 0) + 1
        if marked and name != "exit_group":
            wanted.append((name, seen[name]))
        marked = marked or 'write(1, "store' in line
    assert marked
    return wanted


def write_calls(tmp_path, existing, ways):
    target = tmp_path / "traced" / "CTLFile.tlv"
    target.parent.mkdir()
    if existing:
        target.write_bytes(OLD)
    log = tmp_path / "log"
    assert run(target, *ways, log=log).returncode == 0
    found = calls(log)
    names = {name for name, _ in found}
    assert {"fsync", "flock", "write"} <= names
    # What is new and unnamed is given its name at once.
    assert bool(names & {"rename", "renameat"}) == bool(existing or ways)
    assert ("linkat" in names) == (not ways)
    return found


@pytest.mark.parametrize("ways", [[], NAMED], ids=["unnamed", "named"])
@pytest.mark.parametrize("existing", [True, False], ids=["replace", "create"])
@pytest.mark.parametrize("fault", ["error=ENOSPC", "error=EIO", "error=EINTR", "signal=SIGKILL"])
def test_every_call_of_the_write(tmp_path, existing, ways, fault):
    broken = 0
    for number, (name, when) in enumerate(write_calls(tmp_path, existing, ways)):
        if ways and name == "access":
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        target = folder / "CTLFile.tlv"
        if existing:
            target.write_bytes(OLD)
            target.chmod(0o640)
        result = run(target, *ways, "-e", f"inject={name}:{fault}:when={when}")
        case = f"{name} #{when} {fault}: {result.returncode} {result.stderr.decode()}"
        now = target.read_bytes() if target.exists() else None
        broken += result.returncode != 0
        assert now in (NEW, OLD if existing else None), case
        if result.returncode == 0:
            assert now == NEW, case
        elif result.returncode == 6 and now == NEW:
            assert "in place" in result.stderr.decode(), case
        left = [entry for entry in folder.iterdir() if entry != target]
        if fault != "signal=SIGKILL" and name not in ("unlink", "unlinkat"):
            assert left == [], case
        # Whatever was left, the next store to this target clears it away.
        assert run(target).returncode == 0, case
        assert list(folder.iterdir()) == [target] and target.read_bytes() == NEW, case
        if existing:
            assert target.stat().st_mode & 0o7777 == 0o640, case
    assert broken > 5


def test_a_short_write_goes_on(tmp_path):
    target = tmp_path / "f"
    log = tmp_path / "log"
    assert run(target, log=log).returncode == 0
    when = [number for name, number in calls(log) if name == "write"][0]
    assert run(target, "-e", f"inject=write:retval=0:when={when}..{when + 2}").returncode == 0
    assert target.read_bytes() == NEW


def in_namespace(script, *arguments):
    """Runs SCRIPT with mounts of its own."""
    way = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    return subprocess.run([*way, "sh", "-euc", script, "sh", *map(str, arguments)], capture_output=True, check=False)


@pytest.mark.parametrize("existing", [True, False])
def test_full_disk(tmp_path, existing):
    result = in_namespace(
        """mount -t tmpfs -o size=16k none "$1"; cd "$1"
        if [ "$3" = True ]; then printf old > f; fi
        head -c 12288 /dev/zero > filler
        set +e; "$2" f "$4"; echo "exit $?"; ls -A; cat f""",
        tmp_path, PROBE, existing, NEW.decode())
    output = result.stdout.decode()
    assert "exit 6" in output and "No space left" in result.stderr.decode()
    assert output.split("exit 6\n")[1] == ("f\nfiller\nold" if existing else "filler\n")


def test_read_only_mount(tmp_path):
    result = in_namespace(
        """mount -t tmpfs none "$1"; cd "$1"; printf old > f; mount -o remount,ro "$1"
        set +e; "$2" f new; echo "exit $?"; ls -A; cat f""", tmp_path, PROBE)
    assert result.stdout.decode().endswith("exit 6\nf\nold")
    assert "Read-only file system" in result.stderr.decode()


def test_read_only_folder_of_somebody_else(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "f").write_bytes(OLD)
    folder.chmod(0o555)
    way = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    for parent in tmp_path.parents:
        if parent.owner() == Path.home().owner() and parent.name.startswith("pytest-"):
            parent.chmod(0o755)
    tmp_path.chmod(0o755)
    for name in ("f", "new"):
        result = subprocess.run([*way, PROBE, folder / name, "x"], capture_output=True, check=False)
        assert result.returncode == 6
        assert b"Permission denied" in result.stderr
    folder.chmod(0o755)
    assert [entry.name for entry in folder.iterdir()] == ["f"]
    assert (folder / "f").read_bytes() == OLD
