"""The packages, and what is done with them in a Debian where they are installed (root.Root)."""

import os
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"
KRAKOW, OPEN_TOOLS = DATA / "krakow", DATA / "open-tools"
TOKEN = "SAST-ADN008580ef"
NAMES = ("ctlsign", "ctlsign-virtual-token", "libctlsign-c0", "libctlsign-dev", "python3-ctlsign")
VERSION = (DATA.parents[1] / "CMakeLists.txt").read_text().split("VERSION ")[2].split()[0]
# What serve() has put there by hand, where packages and programs leave nothing else.
LEFT = {"/etc/ctlsign", "/etc/ctlsign/tvs.pem", "/etc/ctlsign/tvs.db", "/srv/tftp", "/srv/tftp/CTLFile.tlv"}


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


def make_packages(folder):
    """{name: file}, of the build tree as it is."""
    run("cpack", "--config", Path(os.environ["CTLSIGN_BUILD"]) / "CPackConfig.cmake", "-B", folder, cwd=folder)
    made = {path.name.split("_")[0]: path for path in folder.glob("*.deb")}
    assert tuple(sorted(made)) == NAMES
    return made


def listing(root):
    """Every file where packages and programs leave some, but what dpkg, apt, ldconfig and systemd keep for themselves, and
    what goes on meanwhile on the machine below."""
    theirs = re.compile(r"/root/\.cache/|/var/(lib/dpkg|lib/apt|log|cache)/|/var/lib/systemd/deb-systemd-helper|/etc/ld\.so\.cache$")
    return {path for path in root("find", "/etc", "/opt", "/root", "/srv", "/usr", "/var", "-xdev").splitlines() if not theirs.match(path)}


def sign(root):
    """The golden file, made with a virtual token."""
    shutil.copytree(KRAKOW, root.given / "krakow")
    env = {"CTLSIGN_VIRTUAL_TOKENS": "/mnt/tokens"}
    key = f"/mnt/krakow/tokens/{TOKEN}"
    root("ctlsign-virtual-token", "create", TOKEN, "--profile", "etoken-pro-64k", "--key", f"{key}.key", "--certificate", f"{key}.pem", env=env)
    root("sh", "-c", f"eval \"$(ctlsign-virtual-token env)\"; exec ctlsign build /mnt/krakow/CTLFile-tokens.toml --signer pkcs11:token={TOKEN} "
         f"--pin-source file:/mnt/tokens/tokens/{TOKEN}/user-pin -o /mnt/CTLFile.tlv", env=env)
    root("cmp", "/mnt/CTLFile.tlv", "/mnt/krakow/CTLFile-tokens.tlv")


def start_and_ask(root, certificate):
    """Starts the TVS server, whose certificate is the file CERTIFICATE; what its answer is shown as.
    It listens a moment after it was started: until then there is nobody (exit 6)."""
    root("systemctl", "start", "ctlsign-tvs")
    return root("sh", "-c", f"for i in $(seq 300); do ctlsign tvs query 127.0.0.1 --server-certificate {certificate} --list /mnt/CTLFile.tlv; "
                "[ $? -ne 6 ] && exit; sleep 0.1; done; exit 6")


def import_database(root):
    """What TVS answers from, and the CTL that it answers for."""
    with sqlite3.connect(root.given / "open.db") as database:
        database.executescript((OPEN_TOOLS / "certificates.sql").read_text())
    root("ctlsign", "tvs", "import-database", "/mnt/open.db", "-o", "/etc/ctlsign/tvs.db")
    root("install", "-D", "-m", "644", "/mnt/CTLFile.tlv", "/srv/tftp/CTLFile.tlv")


def serve(root):
    """The unit as it is installed, started by systemd, asked and stopped."""
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", root.given / "key", "-out", root.given / "tvs.pem", "-subj",
        "/CN=TVS", "-days", "30")
    root("sh", "-c", "umask 077; cat /mnt/tvs.pem /mnt/key > /etc/ctlsign/tvs.pem")
    import_database(root)
    assert root.run("systemctl", "is-enabled", "ctlsign-tvs", code=None)[1] == "disabled\n"
    asked = start_and_ask(root, "/mnt/tvs.pem")
    assert "server: CN=TVS" in asked and "status: invalid" in asked, "the database is empty"
    process = root("systemctl", "show", "--value", "-p", "MainPID", "ctlsign-tvs").strip()
    status = dict(line.split(":\t", 1) for line in root("cat", f"/proc/{process}/status").splitlines() if ":\t" in line)
    assert "0" not in status["Uid"].split() and int(status["CapEff"], 16) == 0 and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    root("systemctl", "reload", "ctlsign-tvs")
    root("systemctl", "stop", "ctlsign-tvs")
    assert root("systemctl", "show", "--value", "-p", "Result", "ctlsign-tvs").strip() == "success"


def show_with_python(root):
    return root("/usr/bin/python3", "-c",
                "import ctlsign, pathlib; print(ctlsign.show(ctlsign.decode(pathlib.Path('/mnt/CTLFile.tlv').read_bytes())))")
