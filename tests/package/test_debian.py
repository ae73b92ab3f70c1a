"""The Debian packages: what is in them, and a Debian in which they are installed, used and removed."""

import gzip
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from binaries import binaries, weaknesses_of_an_installed
from installed import KRAKOW, LEFT, NAMES, VERSION, listing, make_packages, run, serve, show_with_python, sign
from root import Root

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "docs"))
from document import dead_links  # noqa: E402


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
