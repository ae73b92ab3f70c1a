"""What a run costs: memory, and nothing loaded that is not needed. Not for instrumented builds, which need more."""

import subprocess
import sys
from pathlib import Path

from conftest import KRAKOW, OPEN_TOOLS, PROGRAM

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from cost import peak, uncached_copy  # noqa: E402

SIGNER = OPEN_TOOLS / "asterisk.pem"


def test_showing_takes_less_than_12_mib(tmp_path):
    assert peak(uncached_copy(PROGRAM, tmp_path), "show", KRAKOW / "CTLFile-tokens.tlv") < 12 * 1024


def test_showing_loads_no_module():
    opened = subprocess.run(["strace", "-f", "-e", "trace=openat", PROGRAM, "show", KRAKOW / "CTLFile-tokens.tlv"],
                            capture_output=True, check=True).stderr.decode()
    assert "softhsm" not in opened and "/pkcs11/" not in opened and ".module" not in opened


def test_memory_is_flat_over_a_thousand_files(tmp_path, thousand):
    files = sorted(thousand.iterdir())
    sign = [PROGRAM, "config", "sign", "--signer", SIGNER, "--jobs", "2"]
    few = peak(*sign, "-d", tmp_path / "few", *files[:50])
    many = peak(*sign, "-d", tmp_path / "many", *files)
    assert many < few + 2048, f"{few} KiB for 50 files, {many} KiB for 1000"


def test_too_little_memory_is_said(tmp_path):
    (tmp_path / "large").write_bytes(b"\1" * 15_000_000)
    done = subprocess.run(["bash", "-c", 'ulimit -v 40000; exec "$0" show large', PROGRAM], cwd=tmp_path, capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stdout, done.stderr) == (6, "", "ctlsign: error: not enough memory\n")
