"""Phones that move to another cluster and back: both clusters export, one consolidates, both import; or by hand, one way."""

import json
import subprocess

import pytest
from conftest import FIRST, KRAKOW, SECOND, TIME, program

PUBLISHER = "cucm-1051-a-pub"


class Pair:
    """Two clusters in one folder, and the place where they meet."""

    def __init__(self, ctlsign, folder):
        self.ctlsign, self.place = ctlsign, folder / "meeting"
        self.place.mkdir()
        self.folder = folder

    def make(self, name, release="10.5(1)", called=None):
        database = ("--cluster", f"{name}.db")

        def run(*arguments, **options):
            return self.ctlsign("cluster", *arguments, *database, **options)

        run("init", "--name", called or name, "--release", release)
        run.nodes = (f"{name}-pub", f"{name}-tftp")
        for number, node in enumerate(run.nodes):
            (self.folder / node).mkdir()
            role = ("--publisher",) if number == 0 else ("--role", "TFTP")
            run("node", "add", node, "--address", f"10.0.0.{number + 1}", "--target", node, *role)
            run("certificate", "regenerate", "--store", "CallManager", "--node", node, "--subject", f"CN={node}", "--yes")
        run("certificate", "regenerate", "--store", "CAPF", "--subject", f"CN=CAPF-{name}", "--yes")
        if release.startswith("12"):
            run("certificate", "regenerate", "--store", "ITLRecovery", "--subject", f"CN=ITLRECOVERY_{name}-pub", "--yes")
        run("mixed-mode", "--tokenless", "--yes", *TIME)
        run.ctl = self.folder / run.nodes[0] / "CTLFile.tlv"
        return run


@pytest.fixture
def pair(ctlsign, tmp_path):
    return Pair(ctlsign, tmp_path)


def subjects(run, store):
    listed = json.loads(run("certificate", "list", "--store", store, "--json").out)["certificates"]
    return {each["subject"].split(",")[0].removeprefix("CN=") for each in listed}


def signer_is_known_to_tvs(pair, here, there):
    """What TVS of HERE answers from vouches for the signer of THERE's CTL as a SAST."""
    signer = json.loads(pair.ctlsign("show", there.ctl, "--json").out)["header"]["signer"]
    listed = json.loads(here("certificate", "list", "--store", "Phone-SAST-trust", "--json").out)["certificates"]
    return signer["serial"] in {each["serial"] for each in listed}


def test_both_ways_by_bulk(pair):
    a, b = pair.make("a"), pair.make("b")
    a("export", pair.place)
    early = pair.ctlsign("cluster", "consolidate", pair.place, expect=2).err
    assert "one of the clusters has exported" in early
    assert "there is no consolidated.p12" in a("import", pair.place, "--yes", expect=2).err
    b("export", pair.place)
    pair.ctlsign("cluster", "consolidate", pair.place)
    assert not signer_is_known_to_tvs(pair, a, b) and not signer_is_known_to_tvs(pair, b, a)
    result = a("import", pair.place, "--yes")
    assert "2 of them new" in result.out and "Phones can come back once b has imported the same file" in result.out
    assert "DHCP option 150" in result.out and "Restart the TVS service" not in result.out
    for store in ("CallManager-trust", "Phone-SAST-trust"):
        assert {"b-pub", "b-tftp"} <= subjects(a, store)
    assert "a-pub" not in subjects(a, "Phone-SAST-trust"), "its own are no strangers"
    assert signer_is_known_to_tvs(pair, a, b) and not signer_is_known_to_tvs(pair, b, a)
    b("import", pair.place, "--yes")
    assert signer_is_known_to_tvs(pair, b, a)
    assert "0 of them new" in a("import", pair.place, "--yes").out
    assert a("audit", "--verify").code == 0


def test_by_hand_there_is_no_way_back(pair):
    a, b = pair.make("a"), pair.make("b")
    b("export", pair.place)
    result = a("import", pair.place / "b.p12", "--yes")
    assert "One way only: b does not know the certificates of a, and phones that have moved cannot come back" in result.err
    assert signer_is_known_to_tvs(pair, a, b) and not signer_is_known_to_tvs(pair, b, a)
    assert "nothing of another cluster than b" in b("import", pair.place / "b.p12", "--yes", expect=1).err


def test_what_was_consolidated_without_a_cluster_is_no_way_back_for_it(pair):
    a, b, c = (pair.make(name) for name in "abc")
    for run in (b, c):
        run("export", pair.place)
    pair.ctlsign("cluster", "consolidate", pair.place)
    told = a("import", pair.place, "--yes")
    assert "One way only: b, c does not know the certificates of a" in told.err and "Phones can come back" not in told.out
    assert "Phones can come back once c has imported the same file" in b("import", pair.place, "--yes").out
    a("export", pair.place)
    pair.ctlsign("cluster", "consolidate", pair.place)
    back = "Phones can come back once b, c has imported the same file"
    # What is carried by hand may be the same.
    for place in (pair.place, pair.place / "consolidated.p12"):
        told = a("import", place, "--yes")
        assert back in told.out and "One way only" not in told.err
    # The others know what was regenerated since by its name alone.
    a("certificate", "regenerate", "--store", "CallManager", "--node", a.nodes[1], "--yes")
    told = a("import", pair.place, "--yes")
    assert back not in told.out and "they can once both have exported, and imported what was consolidated then" in told.err


def test_to_release_twelve_itlrecovery_comes_too(pair):
    a, b = pair.make("a"), pair.make("b", "12.0(1)")
    a("restarted")
    b("export", pair.place)
    result = a("import", pair.place / "b.p12", "--yes")
    assert "3 of them new" in result.out and "Restart the TVS service on all nodes of a" in result.out
    assert "ITLRECOVERY_b-pub" in subjects(a, "Phone-SAST-trust")
    assert "ITLRECOVERY_b-pub" not in subjects(a, "CallManager-trust")
    assert signer_is_known_to_tvs(pair, a, b)
    restarts = json.loads(a("status", "--json").out)["restart"]
    assert [(each["service"], each["node"]) for each in restarts] == [("TVS", "a-pub"), ("TVS", "a-tftp")]


def test_the_rollback_parameter_is_no_way(pair):
    a, b = pair.make("a"), pair.make("b")
    b("export", pair.place)
    a("rollback-parameter", "True", "--force")
    assert "rule rollback-parameter" in a("import", pair.place / "b.p12", "--yes", expect=4).err
    assert "b-pub" not in subjects(a, "Phone-SAST-trust")
    a("import", pair.place / "b.p12", "--yes", "--force")
    assert "forced" in [json.loads(line)["event"] for line in a("audit").out.splitlines()]


def test_two_clusters_of_one_name(pair):
    a, other = pair.make("a"), pair.make("other", called="a")
    a("export", pair.place)
    exported = (pair.place / "a.p12").read_bytes()
    told = other("export", pair.place, expect=2).err
    assert "two must not have the same name" in told and (pair.place / "a.p12").read_bytes() == exported
    # Its own is replaced, whatever was regenerated since.
    for node in a.nodes:
        a("certificate", "regenerate", "--store", "CallManager", "--node", node, "--yes", "--force")
    a("export", pair.place)
    assert (pair.place / "a.p12").read_bytes() != exported
    (pair.place / "a.p12").write_bytes(b"no PKCS#12")
    assert "remove it" in a("export", pair.place, expect=2).err


def test_tokens_are_vouched_for_by_hand(tokens):
    pair = Pair(tokens.ctlsign, tokens.folder)
    place = pair.place
    assert "Phone-SAST-trust" not in tokens("export", place).err
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND))
    told = tokens("export", place).err
    assert "tokens sign the CTL of krakow" in told and f"the certificates of {FIRST}, {SECOND} are in Phone-SAST-trust" in told
    assert "ctlsign cluster certificate import FILE --store Phone-SAST-trust" in told
    pair.make("b")("export", place)
    tokens.ctlsign("cluster", "consolidate", place)
    asked = tokens("import", place, "--yes").err
    assert asked.index("tokens sign the CTL of krakow") < asked.index("Let phones of this cluster trust")


def test_a_passphrase_keeps_the_file_as_it_was(pair):
    a, b = pair.make("a"), pair.make("b")
    (pair.folder / "words").write_text("two clusters meet\n")
    words = ("--pin-source", "file:words")
    for run in (a, b):
        run("export", pair.place, *words)
    a("import", pair.place / "b.p12", "--yes", expect=5)
    pair.ctlsign("cluster", "consolidate", pair.place, *words)
    a("import", pair.place, "--yes", *words)
    for position in (50, 500):
        octets = bytearray((pair.place / "b.p12").read_bytes())
        octets[position] ^= 1
        (pair.place / "changed.p12").write_bytes(octets)
        done = subprocess.run([program.PROGRAM, "cluster", "import", pair.place / "changed.p12", "--cluster", "a.db", "--yes", *words],
                              cwd=pair.folder, capture_output=True, check=False)
        assert done.returncode in (3, 5), done.stderr


@pytest.mark.parametrize("seed, told", [
    ("callmanager", "CallManager of krakow"), ("encrypted", "its certificates are encrypted"), ("no-mac", "nothing protects it"),
    ("stretched-beyond-reason", "stretched beyond reason"), ("name-of-nothing", "does not say whose it is")])
def test_a_file_of_other_tools(pair, seed, told):
    for run in (pair.make("a"), pair.make("b")):
        run("export", pair.place)
    (pair.place / "c.p12").write_bytes((KRAKOW.parents[1] / "fuzz/corpus/introductions" / seed).read_bytes())
    result = pair.ctlsign("cluster", "consolidate", pair.place, expect=0 if seed == "callmanager" else 3)
    assert told in result.out + result.err


def test_others_read_it(pair):
    a = pair.make("a")
    a("export", pair.place)
    done = subprocess.run(["openssl", "pkcs12", "-in", pair.place / "a.p12", "-passin", "pass:", "-nokeys"],
                          capture_output=True, check=True)
    assert done.stdout.count(b"BEGIN CERTIFICATE") == 2 and b"friendlyName: CallManager of a" in done.stdout


def test_what_the_stores_miss(cluster):
    cluster("release", "12.0(1)")
    place = cluster.folder / "meeting"
    place.mkdir()
    assert "rule certificates-there: the ITLRecovery certificate" in cluster("export", place, expect=4).err
    assert list(place.iterdir()) == []
    (cluster.folder / "no.p12").write_bytes((KRAKOW / "certificates" / f"{PUBLISHER}.pem").read_bytes())
    cluster("import", "no.p12", "--yes", expect=3)
