"""The Debian packages: what is in them, and a Debian in which they are installed, used and removed."""

import gzip
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from binaries import binaries, weaknesses_of_an_installed
from installed import (KRAKOW, LEFT, NAMES, VERSION, import_database, listing, make_packages, run, serve, show_with_python, sign,
                       start_and_ask)
from root import Root

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "docs"))
from document import blocks, dead_links  # noqa: E402

HOW_TO = HERE.parent.parent / "docs" / "how-to"


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return make_packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module", params=NAMES)
def package(request, packages, tmp_path_factory):
    """(name, file, the folder into which it was taken apart)."""
    folder = tmp_path_factory.mktemp("apart") / request.param
    run("dpkg-deb", "-R", packages[request.param], folder)
    return request.param, packages[request.param], folder


@pytest.fixture
def root(tmp_path, packages):
    root = Root(tmp_path)
    for path in packages.values():
        shutil.copy(path, root.given)
    yield root
    root.stop()


def install(root, *names):
    root("sh", "-c", "dpkg -i " + " ".join(f"/mnt/{name}_*.deb" for name in names))


# --- what is in them ------------------------------------------------------------------------------------------

SECTIONS = dict(zip(NAMES, ("utils", "devel", "libs", "libdevel", "python")))
DEPENDS = {
    "ctlsign": {"libc6", "libfmt9", "libp11-3", "libp11-kit0", "libpcsclite1", "libsqlite3-0", "libssh2-1", "libssl3", "libstdc++6"},
    "ctlsign-virtual-token": {"libc6", "libsofthsm2", "libp11-kit0", "libssl3"},
    "libctlsign-c0": {"libc6", "libp11-kit0", "libssl3"},
    "libctlsign-dev": {"libctlsign-c0", "ctlsign", "ctlsign-virtual-token", "libssl-dev", "libp11-kit-dev", "libfmt-dev"},
    "python3-ctlsign": {"python3", "libc6", "libssl3"},
}


def test_control(package):
    name, file, _ = package
    fields = dict(re.findall(r"^([A-Z][\w-]*): (.*(?:\n .*)*)", run("dpkg-deb", "-f", file), re.M))
    assert fields["Section"] == SECTIONS[name] and fields["Priority"] == "optional" and int(fields["Installed-Size"]) > 0
    assert DEPENDS[name] <= {alternative.split()[0] for alternative in fields["Depends"].split(", ")}, fields["Depends"]
    summary, *text = fields["Description"].splitlines()
    assert 10 < len(summary) < 80 and not summary.endswith(".") and len(text) >= 2


def test_contents(package):
    name, file, folder = package
    for line in run("dpkg-deb", "-c", file).splitlines():
        mode, owner, path = line.split()[0], line.split()[1], line.split()[5]
        wanted = ("drwxr-xr-x",) if path.endswith("/") else ("lrwxrwxrwx",) if mode[0] == "l" else \
                 ("-rwxr-xr-x",) if path.startswith("./usr/bin/") else ("-rw-r--r--",)
        assert mode in wanted and owner == "root/root", line
    subprocess.run(["md5sum", "--quiet", "-c", "DEBIAN/md5sums"], cwd=folder, check=True)
    files = {str(path.relative_to(folder)) for path in folder.rglob("*")
             if path.is_file() and not path.is_symlink() and path.parts[len(folder.parts)] != "DEBIAN"}
    assert {line.split(None, 1)[1] for line in (folder / "DEBIAN/md5sums").read_text().splitlines()} == files
    assert {path: found for path in binaries(folder) if (found := weaknesses_of_an_installed(path))} == {}


def test_what_debian_wants_in_each(package):
    name, file, folder = package
    doc = folder / "usr/share/doc" / name
    assert "License: Expat" in (doc / "copyright").read_text() and b"# Changelog" in gzip.decompress((doc / "changelog.gz").read_bytes())
    newest = gzip.decompress((doc / "changelog.Debian.gz").read_bytes()).decode().split("\n", 1)[0]
    assert newest.startswith(f"ctlsign ({run('dpkg-deb', '-f', file, 'Version').strip()}) ")
    pages = [path.name for path in (folder / "usr/share/man").rglob("*.1*")]
    assert all(page.endswith(".1.gz") for page in pages)
    for program in (folder / "usr/bin").glob("*"):
        assert f"{program.name}.1.gz" in pages and len(pages) > 5


def test_what_documents_refer_to_is_there(package):
    name, _, folder = package
    documents = list((folder / "usr/share/doc" / name).rglob("*.md"))
    assert len(documents) >= {"ctlsign": 20, "ctlsign-virtual-token": 2}.get(name, 0)
    assert not [f"{path.relative_to(folder)}: {target}" for path in documents for target in dead_links(path)]
    assert not [path.name for path in folder.rglob("*") if path.name in ("CMakeLists.txt", "Doxyfile.in") and "examples" not in path.parts]


def test_no_file_is_in_two(packages):
    seen = {}
    for name, file in packages.items():
        for line in run("dpkg-deb", "-c", file).splitlines():
            path = line.split()[5]
            assert path.endswith("/") or seen.setdefault(path, name) == name, path


# --- a Debian that has them: in the long run -------------------------------------------------------------------

def test_installed_used_and_removed_in_a_root(root):
    root("systemctl", "start", "basic.target")  # what services wait for makes some files of its own
    before = listing(root)
    install(root, *NAMES)
    assert root("ctlsign", "--version") == f"ctlsign {VERSION}\n"
    for program in ("ctlsign", "ctlsign-virtual-token"):
        root("bash", "-c", f". /usr/share/bash-completion/completions/{program}; complete -p {program}")
        root("test", "-f", f"/usr/share/zsh/vendor-completions/_{program}")
    sign(root)
    serve(root)
    assert "was verified successfully" in show_with_python(root)
    root("dpkg", "-r", *NAMES)
    left = listing(root) - before
    assert {path for path in left if not path.startswith("/root/.local")} == LEFT
    root("dpkg", "-P", *NAMES)
    assert "ctlsign" not in root("dpkg-query", "-W")
    assert listing(root) - before == left


def block(name, text):
    """The block of a how-to that holds TEXT."""
    found, = (each.text for each in blocks(HOW_TO / name) if text in each.text)
    return found


def test_unattended_with_a_credential_in_a_root(root):
    """docs/how-to/hsm-unattended.md in earnest, what only a machine that systemd has booted does too. The HSM is virtual, and says where it is."""
    install(root, *NAMES)
    document = "hsm-unattended.md"
    credential = block(document, "systemd-creds encrypt")
    asked = "systemd-ask-password -n 'PIN of the HSM:'"
    once = block(document, "systemd-run")
    assert asked in credential and " -E " in once
    root("systemctl", "start", "dbus.socket")  # for systemd-run
    root("bash", "-euo", "pipefail", "-c", "".join([
        block(document, "install -d -m 700"), block(document, "virtual create publisher"), block(document, "cluster init"),
        credential.replace(asked, "cat pin"), "rm pin\n", once.replace(" -E ", ' -E CTLSIGN_VIRTUAL_TOKENS="$CTLSIGN_VIRTUAL_TOKENS" -E ', 1)]))

    def inside(command):
        return root("sh", "-c", f"cd /var/lib/ctlsign; {command}", env={"CTLSIGN_VIRTUAL_TOKENS": "/var/lib/ctlsign/hsm"})

    (root.given / "ctl-update.service").write_text(block(document, "ExecStart"))
    (root.given / "virtual.conf").write_text("[Service]\nEnvironment=CTLSIGN_VIRTUAL_TOKENS=%S/ctlsign/hsm\n")
    root("install", "-D", "-m", "644", "/mnt/virtual.conf", "/etc/systemd/system/ctl-update.service.d/virtual.conf")
    root("install", "-m", "644", "/mnt/ctl-update.service", "/etc/systemd/system")
    root("systemctl", "daemon-reload")
    root("systemctl", "start", "ctl-update")
    operations = [each["operation"] for each in json.loads(inside("ctlsign cluster history --json"))["publications"]]
    assert operations == ["mixed-mode", "update"] and "mixed mode" in inside("ctlsign cluster status | head -n 1")
    # A wrong PIN is spent once, however often the service is started.
    root("sh", "-c", "printf 00000000 | systemd-creds encrypt --name=pin - /tmp/pin && mv /tmp/pin /etc/ctlsign/pin")
    tries = []
    for _ in range(3):
        assert root.run("systemctl", "start", "ctl-update", code=None)[0] != 0
        assert root("systemctl", "show", "--value", "-p", "ExecMainStatus", "ctl-update").strip() == "5"
        tries.append(inside('eval "$(ctlsign virtual env)"; ctlsign token list'))
    assert len(set(tries)) == 1 and "publisher" in tries[0]
    audit = inside("ctlsign cluster audit")
    assert (audit.count("CKR_PIN_INCORRECT"), audit.count("has rejected this PIN before")) == (1, 2)
    inside("ctlsign cluster audit --verify")


def test_tvs_with_a_key_on_a_token_in_a_root(root):
    """With the drop-in of docs/how-to/run-tvs.md, and a virtual token, which lies where the service may write."""
    install(root, *NAMES)
    sign(root)
    import_database(root)
    env = {"CTLSIGN_VIRTUAL_TOKENS": "/var/lib/ctlsign-tvs/tokens"}
    root("install", "-d", "-m", "700", "/var/lib/ctlsign-tvs")
    root("ctlsign-virtual-token", "create", "tvs", "--profile", "etoken-5110", env=env)
    token = "/var/lib/ctlsign-tvs/tokens/tokens/tvs"
    root("cp", f"{token}/certificate.pem", "/mnt/token.pem")
    root("systemd-creds", "encrypt", "--name=pin", f"{token}/user-pin", "/etc/ctlsign/pin")
    module = re.search(r"CTLSIGN_MODULE='?([^'\n;]+)", root("ctlsign-virtual-token", "env", env=env))[1]
    (root.given / "token.conf").write_text(block("run-tvs.md", "LoadCredentialEncrypted"))
    (root.given / "virtual.conf").write_text(f"[Service]\nEnvironment=CTLSIGN_VIRTUAL_TOKENS=%S/ctlsign-tvs/tokens CTLSIGN_MODULE={module}\n")
    root("sh", "-c", "install -D -m 644 -t /etc/systemd/system/ctlsign-tvs.service.d /mnt/token.conf /mnt/virtual.conf")
    root("systemctl", "daemon-reload")
    subject = root("openssl", "x509", "-in", "/mnt/token.pem", "-noout", "-subject", "-nameopt", "RFC2253").strip().removeprefix("subject=")
    asked = start_and_ask(root, "/mnt/token.pem")
    assert f"server: {subject}" in asked and "status: invalid" in asked
    root("systemctl", "stop", "ctlsign-tvs")
    assert root("systemctl", "show", "--value", "-p", "Result", "ctlsign-tvs").strip() == "success"


def test_virtual_tokens_stand_alone_in_a_root(root):
    before = listing(root)
    install(root, "ctlsign-virtual-token")
    root("test", "!", "-e", "/usr/bin/ctlsign")
    shutil.copy(HERE / "outsider" / "outsider_test.py", root.given)
    out = root("/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "/mnt/outsider_test.py",
               env={"PYTHONPATH": "/usr/share/ctlsign/pytest", "PYTHONDONTWRITEBYTECODE": "1"})
    assert "1 passed" in out
    env = {"CTLSIGN_VIRTUAL_TOKENS": "/tmp/tokens"}
    root("ctlsign-virtual-token", "create", "A", "--profile", "/usr/share/ctlsign/profiles/plain-softhsm.toml", env=env)
    assert "in reader 0" in root("ctlsign-virtual-token", "list", env=env)
    root("dpkg", "-P", "ctlsign-virtual-token")
    assert listing(root) == before


def test_development_in_a_root(root):
    """Somebody else's projects, in C and in C++, and what the package of one of them depends on."""
    install(root, *(name for name in NAMES if name != "python3-ctlsign"))
    shutil.copytree(HERE / "consumer", root.given / "consumer")
    shutil.copy(KRAKOW / "CTLFile-tokens.tlv", root.given)
    root("sh", "-c", "cc /mnt/consumer/consumer.c -o /tmp/c $(pkg-config --cflags --libs ctlsign-c)")
    root("sh", "-c", "cmake -S /mnt/consumer -B /tmp/cxx -G Ninja -DCONSUMER=cxx && cmake --build /tmp/cxx")
    for program in ("/tmp/c", "/tmp/cxx/consumer"):
        assert root(program, "/mnt/CTLFile-tokens.tlv").strip() == "signature-fits"
    root("sh", "-c", "mkdir -p /tmp/debian && echo 'Source: consumer\n\nPackage: consumer\nArchitecture: any' > /tmp/debian/control")
    assert "libctlsign-c0 (>= 0.1.0)" in root("sh", "-c", "cd /tmp && dpkg-shlibdeps -O c")
