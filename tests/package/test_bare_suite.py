"""The second of README's two commands on a bare Debian 12: it installs what it needs, builds and runs every test. Takes as long as CI does."""

from test_bare import SOURCE, debian, root, run  # noqa: F401  (fixtures)


def test_every_test_from_a_clone(root):  # noqa: F811
    run("git", "clone", "-q", SOURCE, root.given / "ctlsign")
    root("apt-get", "install", "-qq", "--no-install-recommends", "git", "ca-certificates")
    out = root("/mnt/ctlsign/scripts/test", timeout=4 * 3600)
    print(out[-4000:])
    assert "100% tests passed" in "\n".join(out.splitlines()[-6:])
