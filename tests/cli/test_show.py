"""show: the layout of `show ctl`, to the letter; and what it says of files that are none."""

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import KRAKOW, LISTS, OPEN_TOOLS

EXPECTED = Path(__file__).parent / "expected"
SIGNED = [*LISTS, OPEN_TOOLS / "SEP001122334455.cnf.xml.sgn"]


@pytest.mark.parametrize("source", SIGNED, ids=lambda path: path.name)
def test_layout(ctlsign, tmp_path, source):
    copy = tmp_path / source.name
    shutil.copy(source, copy)
    os.utime(copy, (1425667513, 1425667513))
    result = ctlsign("show", copy, env={"TZ": "CET-1CEST"})
    assert result.out == (EXPECTED / f"{source.name}.txt").read_text()


def test_standard_input_has_no_modification_time(ctlsign):
    source = KRAKOW / "CTLFile-tokens.tlv"
    from_file = ctlsign("show", source).out
    piped = ctlsign("show", "-", stdin=source.read_bytes()).out
    assert "last modified" not in piped
    assert piped == "".join(line for line in from_file.splitlines(True) if "last modified" not in line)


def test_json(ctlsign, tmp_path):
    copy = tmp_path / "CTLFile.tlv"
    shutil.copy(KRAKOW / "CTLFile-tokens.tlv", copy)
    os.utime(copy, (1425667513, 1425667513))
    report = json.loads(ctlsign("show", copy, "--json").out)
    assert report["length"] == 5728
    assert report["md5"] == "2a1d05bba70433f281529d055f65c6bc"
    assert report["sha1"] == "1d90df27f79175837d11b228e5b1942c8d9ba425"
    assert report["modified"] == report["header"]["timestamp"] == "2015-03-06T18:45:13Z"
    assert report["header"]["signer"]["serial"] == "83E90800000055" + "45AF31"
    assert [record["role"] for record in report["records"]] == ["SAST", "CCM+TFTP", "CAPF", "CCM+TFTP", "SAST"]
    assert [record.get("signed-the-file") for record in report["records"]] == [False, None, None, None, True]
    assert report["records"][1]["ip-address"] == "10.48.47.153"
    assert report["records"][0]["dns-name"] == ""
    assert "certificate-signature" not in report["records"][0]
    assert report["verdict"]["outcome"] == "verified"
    assert report["verdict"]["trusted"] is False


def test_no_file(ctlsign):
    result = ctlsign("show", "absent.tlv", expect=6)
    assert result.out == (
        "Length of CTL file: 0\n"
        "CTL File not found. Please run CTLClient plugin or run the CLI - utils ctl.. to generate the CTL file.\n"
        "Error parsing the CTL File.\n")


def test_a_wrong_signature_is_shown_and_said(ctlsign, tmp_path):
    octets = bytearray((KRAKOW / "CTLFile-tokenless.tlv").read_bytes())
    octets[-1] ^= 1
    (tmp_path / "changed.tlv").write_bytes(octets)
    result = ctlsign("show", "changed.tlv", expect=1)
    assert "CTL Record #:4" in result.out
    assert "The CTL file was not verified: refused: the signature does not fit" in result.out
    assert "verified successfully" not in result.out


def test_a_name_cannot_talk_to_the_terminal(ctlsign, tmp_path):
    octets = (KRAKOW / "CTLFile-tokenless.tlv").read_bytes()
    changed = octets.replace(b"CN=cucm-1051-a-pub", b"CN=\x1b[31m\xc2\x9b1051-a-p")
    assert changed != octets and len(changed) == len(octets)
    (tmp_path / "f").write_bytes(changed)
    result = ctlsign("show", "f", expect=1)
    assert "\x1b" not in result.out + result.err and "\u009b" not in result.out
    assert "CN=\\x1B[31m" in result.out
    json.loads(ctlsign("show", "f", "--json", expect=1).out)


def test_no_colours_in_a_pipe(ctlsign):
    result = ctlsign("verify", KRAKOW / "CTLFile-tokens.tlv")
    assert "\x1b" not in result.out + result.err


def test_full_standard_output(ctlsign):
    import subprocess
    from conftest import PROGRAM
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "show", KRAKOW / "CTLFile-tokens.tlv"], stdout=full, stderr=subprocess.PIPE,
                              check=False)
    assert done.returncode == 6
    assert b"No space left on device" in done.stderr


def test_a_reader_that_has_seen_enough(ctlsign, tmp_path):
    import subprocess
    from conftest import PROGRAM
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([PROGRAM, "show", KRAKOW / "CTLFile-tokens.tlv"], stdout=writer, stderr=subprocess.PIPE,
                          check=False)
    os.close(writer)
    assert done.returncode == -13
    assert b"error" not in done.stderr
