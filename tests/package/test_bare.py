"""A bare Debian 12, made by debootstrap from the mirror that apt is configured with: the first of README's two commands, its line that
makes packages, and the packages with nothing but what they depend on. Takes minutes and half a gigabyte from the mirror: for the long
run."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from installed import LEFT, NAMES, VERSION, listing, make_packages, run, serve, show_with_python, sign
from root import Root

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/docs"))
from document import blocks, steps  # noqa: E402

as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]


@pytest.fixture(scope="session")
def debian(tmp_path_factory):
    folder = tmp_path_factory.mktemp("debian") / "bookworm"
    mirror = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Codename: bookworm").splitlines()[0]
    run(*as_root, "debootstrap", "bookworm", folder, mirror, timeout=1800)
    yield folder
    run(*as_root, "rm", "-rf", folder)


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    return make_packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture
def root(debian, tmp_path):
    root = Root(tmp_path, debian, "--with-network")
    shutil.copy("/etc/resolv.conf", root.given)
    root("cp", "/mnt/resolv.conf", "/etc/resolv.conf")
    root("apt-get", "update", "-qq")
    yield root
    root.stop()


def test_quickstart_and_packages_from_a_clone(root):
    run("git", "clone", "-q", SOURCE, root.given / "ctlsign")
    out = root("/mnt/ctlsign/scripts/quickstart")
    assert "the same bytes as the golden file" in out and "Done in" in out
    packages, = (block.text for block in blocks(SOURCE / "README.md") if "cpack" in block.text)
    root("sh", "-c", "echo 'APT::Get::Assume-Yes \"true\";' >/etc/apt/apt.conf.d/yes")  # nobody is there to be asked
    root("bash", "-ec", f"cd /mnt/ctlsign\n{packages}", timeout=3600)
    # scripts/quickstart had configured without what the package for Python needs.
    made = (root.given / "ctlsign/build-release").glob("*.deb")
    assert tuple(sorted(path.name.split("_")[0] for path in made)) == NAMES
    for program in ("ctlsign", "ctlsign-virtual-token"):
        assert root("sh", "-c", f"command -v {program}").split() == [f"/usr/bin/{program}"]


def test_the_tutorial_with_the_packages_that_it_names(root, packages):
    for name in ("ctlsign", "ctlsign-virtual-token"):
        shutil.copy(packages[name], root.given)
    root("sh", "-c", "apt-get install -qq --no-install-recommends openssl /mnt/*.deb")
    story = [step for block in blocks(SOURCE / "docs/tutorial.md") for step in steps(block)]
    script = "".join(f"{step.script}[ $? -eq 0 ] || {{ echo 'line {step.line} fails'; exit 1; }}\n" for step in story)
    (root.given / "tutorial").write_text(f"mkdir /tmp/story && cd /tmp/story\n{script}echo 'to the end'\n")
    assert root("bash", "/mnt/tutorial").endswith("to the end\n")


def test_packages_with_what_they_depend_on(root, packages):
    for path in packages.values():
        shutil.copy(path, root.given)
    root("systemctl", "start", "basic.target")  # what services wait for makes some files of its own
    install = "apt-get install -qq --no-install-recommends /mnt/*.deb"
    root("sh", "-c", install)
    root("apt-get", "purge", "-qq", *NAMES)
    before = listing(root)  # with what they depend on, and that stays
    assert not [path for path in before if "ctlsign" in path]
    root("sh", "-c", install)
    assert root("ctlsign", "--version") == f"ctlsign {VERSION}\n"
    sign(root)
    serve(root)
    assert "was verified successfully" in show_with_python(root)
    root("apt-get", "purge", "-qq", *NAMES)
    left = listing(root)
    assert not before - left
    assert {path for path in left - before if not path.startswith("/root/.local")} == LEFT
    everywhere = root("find", "/", "-xdev", "-name", "*ctlsign*", "-not", "-path", "/var/cache/*", "-not", "-path", "/var/log/*").split()
    assert sorted(everywhere) == ["/etc/ctlsign", "/root/.local/state/ctlsign"]
