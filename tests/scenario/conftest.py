"""A cluster of two servers with the krakow certificates, in the test's own folder, and its two virtual eTokens."""

import importlib.util
import json
import sqlite3
from pathlib import Path

import pytest
import sshd

_spec = importlib.util.spec_from_file_location("program", Path(__file__).resolve().parent.parent / "cli" / "conftest.py")
program = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(program)
ctlsign, state, KRAKOW = program.ctlsign, program.state, program.KRAKOW

FIRST, SECOND = "SAST-ADN0054f509", "SAST-ADN008580ef"
TIME = ("--timestamp", "2015-03-06T18:45:13Z")
RESTART = "Please Restart the TFTP and Cisco CallManager services on all nodes in the cluster that run these services\n"


class Cluster:
    """Runs `ctlsign cluster` on one cluster.db, with the virtual tokens of one folder."""

    def __init__(self, ctlsign, folder):
        self.ctlsign, self.folder = ctlsign, folder
        self.env = {"CTLSIGN_VIRTUAL_TOKENS": str(folder / "virtual")}
        self.nodes = {}

    def __call__(self, *arguments, **options):
        return self.ctlsign("cluster", *arguments, env=self.env, **options)

    def add_node(self, name, address, *options):
        self.nodes[name] = self.folder / name
        self.nodes[name].mkdir()
        self("node", "add", name, "--address", address, "--target", name, *options)

    def import_own(self, store, node, base):
        self("certificate", "import", f"{base}.pem", "--store", store, "--node", node, "--key", f"{base}.key")

    def create_token(self, name, profile="etoken-pro-64k", base=None):
        key = ("--key", f"{base}.key", "--certificate", f"{base}.pem") if base else ()
        self.ctlsign("virtual", "create", name, "--profile", profile, *key, env=self.env)
        self.env |= json.loads(self.ctlsign("virtual", "env", "--json", env=self.env).out)

    def plug(self, name):
        self.ctlsign("virtual", "plug", name, env=self.env)

    def unplug(self, name):
        self.ctlsign("virtual", "unplug", name, env=self.env)

    def tokens(self, *names):
        """--token for each, the PIN of the last."""
        arguments = [word for name in names for word in ("--token", f"pkcs11:token={name}")]
        return [*arguments, "--pin-source", f"file:{self.folder}/virtual/tokens/{names[-1]}/user-pin"]

    def change(self, *arguments, **options):
        """A command that changes the CTL, at the time of the golden files."""
        return self(*arguments, "--yes", *TIME, **options)

    @property
    def ctl(self):
        """The file that every node serves; None when there is none."""
        files = {(folder / "CTLFile.tlv").read_bytes() if (folder / "CTLFile.tlv").exists() else None
                 for folder in self.nodes.values()}
        assert len(files) == 1, "the nodes serve different files"
        for folder in self.nodes.values():
            assert [entry.name for entry in folder.iterdir()] in ([], ["CTLFile.tlv"])
        return files.pop()

    @property
    def mode(self):
        with sqlite3.connect(self.folder / "cluster.db") as database:
            rows = database.execute("select paramname,paramvalue from processconfig where paramname='ClusterSecurityMode'")
            return rows.fetchall()[0][1]

    def records(self):
        """The record table: (role, length, whether it signed) of each."""
        path = next(iter(self.nodes.values())) / "CTLFile.tlv"
        shown = json.loads(self.ctlsign("show", path, "--json").out)
        return [(record["role"], record["length"], record.get("signed-the-file", False)) for record in shown["records"]]

    def audit(self):
        return [json.loads(line) for line in self("audit").out.splitlines()]


@pytest.fixture
def make_cluster(ctlsign, tmp_path):
    def make(release="10.5(1)"):
        cluster = Cluster(ctlsign, tmp_path)
        cluster("init", "--name", "krakow", "--release", release)
        cluster.add_node("cucm-1051-a-pub", "10.48.47.153", "--publisher")
        cluster.add_node("cucm-1051-a-sub1", "10.48.47.154")
        for name in cluster.nodes:
            cluster.import_own("CallManager", name, KRAKOW / "certificates" / name)
        cluster.import_own("CAPF", "cucm-1051-a-pub", KRAKOW / "certificates" / "CAPF-e41e7d87")
        return cluster

    return make


@pytest.fixture
def cluster(make_cluster):
    return make_cluster()


@pytest.fixture
def tokens(cluster):
    """The cluster with its two eTokens plugged in."""
    for name in (FIRST, SECOND):
        cluster.create_token(name, base=KRAKOW / "tokens" / name)
    return cluster


@pytest.fixture
def server(tmp_path):
    server = sshd.Server(tmp_path / "ssh")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def remote(cluster, server):
    """The cluster with its subscriber behind SFTP, in mixed mode."""
    folder = cluster.nodes["cucm-1051-a-sub1"]
    cluster("node", "remove", "cucm-1051-a-sub1", "--yes")
    arguments = ("node", "add", "cucm-1051-a-sub1", "--address", "10.48.47.154", *sshd.target(server, folder))
    told = cluster(*arguments, expect=6).err
    assert sshd.fingerprint(server.folder / "host.pub") in told and "--host-key" in told
    cluster(*arguments, "--host-key", sshd.fingerprint(server.folder / "host.pub"))
    cluster.import_own("CallManager", "cucm-1051-a-sub1", KRAKOW / "certificates" / "cucm-1051-a-sub1")
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    return cluster
