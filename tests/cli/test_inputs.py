"""Whatever file a person has: the right answer, or a clear line and the right exit."""

import os
import shutil
import subprocess

import pytest
from conftest import KRAKOW, LISTS, OPEN_TOOLS, PROGRAM

READERS = ["show", "verify"]


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("name, octets, code, words", [
    ("empty.tlv", b"", 3, "empty"),
    ("cert.pem", (KRAKOW / "certificates/CAPF-e41e7d87.pem").read_bytes(), 3, "PEM"),
    ("phone.xml", b"<device/>\n", 3, "XML"),
    ("cert.der", b"\x30\x82\x01\x00rest", 3, "DER"),
    ("text.txt", b"hello", 3, "malformed"),
    ("zeros", bytes(5000), 3, "malformed"),
])
def test_files_of_another_kind(ctlsign, tmp_path, command, name, octets, code, words):
    (tmp_path / name).write_bytes(octets)
    for result in (ctlsign(command, name, expect=code), ctlsign(command, "-", stdin=octets, expect=code)):
        assert words in result.err, result
        assert len(result.err.splitlines()) == 1
        assert result.out == ""
    assert name in ctlsign(command, name, expect=code).err


@pytest.mark.parametrize("command", READERS)
def test_a_folder(ctlsign, tmp_path, command):
    assert "Is a directory" in ctlsign(command, tmp_path, expect=6).err


@pytest.mark.parametrize("command", READERS)
def test_an_unreadable_file(ctlsign, tmp_path, command):
    path = tmp_path / "secret.tlv"
    path.write_bytes(LISTS[0].read_bytes())
    path.chmod(0)
    if os.geteuid() != 0:
        result = ctlsign(command, path, expect=6)
    else:
        for folder in (tmp_path, *tmp_path.parents):
            if folder.name.startswith("pytest-"):
                folder.chmod(0o755)
        tmp_path.chmod(0o755)
        program = shutil.copy(PROGRAM, tmp_path)  # where it was built may be closed to others
        result = ctlsign(command, path, expect=6, executable=program, user=65534, group=65534, extra_groups=[])
    assert "Permission denied" in result.err


@pytest.mark.parametrize("command", READERS)
def test_a_huge_file_is_not_read(ctlsign, tmp_path, command):
    path = tmp_path / "huge.tlv"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    result = ctlsign(command, path, expect=3)
    assert "too large" in result.err and "16777216" in result.err


@pytest.mark.parametrize("command", [
    ["tvs", "serve", "--database", "absent", "--key"], ["tvs", "serve", "--database", "absent", "--certificate", "absent", "--key"],
    ["tvs", "query", "127.0.0.1:1", "--identity"], ["phone", "simulate", "--state", "lab", "--source", ".", "--identity"],
    ["token", "provision", "--token", "A", "--subject", "CN=x", "--issuer"], ["virtual", "create", "A", "--profile", "etoken-5110", "--key"]],
    ids=lambda words: " ".join(words[:2] + words[-3:]))
def test_a_private_key_is_read_up_to_its_own_limit(ctlsign, tmp_path, command):
    (tmp_path / "key.pem").write_text("\n" * (2**20 + 1))
    assert "the limit is 1048576 octets" in ctlsign(*command, "key.pem", expect=3).err
    assert "the limit is 1048576 octets" in ctlsign(*command, "-", stdin=b"\n" * (2**20 + 1), expect=3).err


def test_standard_input_without_end(ctlsign):
    with open("/dev/zero", "rb") as zero:
        done = subprocess.run([PROGRAM, "verify", "-"], stdin=zero, capture_output=True, check=False, timeout=60)
    assert done.returncode == 3 and b"too large" in done.stderr


def test_a_signed_list_in_a_sgn_file_is_a_sgn_file(ctlsign):
    result = ctlsign("show", OPEN_TOOLS / "SEP001122334455.cnf.xml.sgn")
    assert "SGN" in result.out and "Payload" in result.out


def starts_of_records(octets):
    at = int.from_bytes(octets[8:10], "big")
    while at < len(octets):
        yield at
        at += int.from_bytes(octets[at + 3:at + 5], "big")


@pytest.mark.parametrize("source", LISTS, ids=lambda path: path.name)
def test_a_list_that_is_cut_off(source, tmp_path):
    """Exit 3 and a position; 1 where the rest is a list, which its signature does not fit. A process for each length would take
    minutes: here are some of them, tests/unit has all."""
    octets = source.read_bytes()
    starts = set(starts_of_records(octets))
    assert len(starts) > 1
    near = {start + step for start in starts for step in (-1, 0, 1)}
    cut = tmp_path / "cut.tlv"
    for size in sorted({*range(0, 40, 4), *range(40, len(octets), len(octets) // 15), len(octets) - 1} | near):
        cut.write_bytes(octets[:size])
        done = subprocess.run([PROGRAM, "verify", cut], capture_output=True, check=False)
        assert done.returncode == (1 if size in starts else 3), (size, done)
        if size not in starts:
            assert len(done.stderr.splitlines()) == 1 and b"octet" in done.stderr, (size, done)
