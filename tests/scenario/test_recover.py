"""`cluster recover`: what is lost, which ways lead out, and the one that is gone."""

import json

import pytest
from conftest import FIRST, KRAKOW, SECOND, TIME


@pytest.fixture
def secured(tokens):
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), "--digest", "sha1")
    return tokens


def pin(cluster, name):
    return ("--pin-source", f"file:{cluster.folder}/virtual/tokens/{name}/user-pin")


def ways(cluster, *arguments):
    shown = json.loads(cluster("recover", "--json", *arguments, expect=1).out)
    return {way["way"]: (way["needs"], way["phones"]) for way in shown["ways"]}


def test_nothing_is_lost(secured):
    assert secured("recover").out.endswith("nothing is lost\n")


def test_a_lost_token_is_replaced(secured):
    before = secured.ctl
    secured.unplug(FIRST)
    assert set(ways(secured)) == {"replace-token", "to-tokenless"}
    needs, phones = ways(secured, "--lost", FIRST)["replace-token"]
    assert needs == ["a new token, plugged in"] and phones == "every phone takes the new CTL by itself"
    secured("recover", "--lost", FIRST, "--way", "replace-token", "--yes", expect=2)
    secured.create_token("SAST-NEW")
    result = secured("recover", "--lost", FIRST, "--way", "replace-token", *pin(secured, SECOND), "--yes", *TIME)
    assert "now: restart TFTP and Cisco CallManager" in result.out
    (secured.folder / "before.tlv").write_bytes(before)
    secured.ctlsign("verify", secured.nodes["cucm-1051-a-pub"] / "CTLFile.tlv", "--installed", "before.tlv")
    assert secured("recover").out.endswith("nothing is lost\n")


def test_tokens_are_named_by_their_labels(cluster):
    for name in ("A", "B"):
        cluster.create_token(name)
    cluster.change("mixed-mode", *cluster.tokens("A", "B"))
    cluster.unplug("A")
    assert ways(cluster, "--lost", "A")["replace-token"][0] == ["a new token, plugged in"]
    cluster.create_token("C")
    assert ways(cluster, "--lost", "A", "--lost", "C")["replace-token"][0] == ["a new token, plugged in"]
    assert "there is no token D" in cluster("recover", "--lost", "D", expect=2).err


def test_all_are_lost(secured):
    for name in (FIRST, SECOND):
        secured.unplug(name)
    found = ways(secured, "--lost", FIRST, "--forgotten", SECOND)
    assert list(found) == ["to-tokenless", "to-non-secure", "new-tokens"]
    assert "through TVS" in found["to-tokenless"][1] and "by hand" in found["new-tokens"][1]
    secured("recover", "--lost", FIRST, "--forgotten", SECOND, "--way", "to-tokenless", "--yes", *TIME)
    assert secured.records()[0] == ("SAST", 1156, True)


def test_all_are_lost_before_release_ten_and_the_way_is_gone_in_two(secured):
    secured("release", "9.1(2)")
    for name in (FIRST, SECOND):
        secured.unplug(name)
    for name in ("NEW-A", "NEW-B"):
        secured.create_token(name)
    lost = ("--lost", FIRST, "--lost", SECOND)
    # The wrong PIN ends it behind the deletion.
    (secured.folder / "wrong").write_text("no-such-pin\n")
    secured("recover", *lost, "--way", "new-tokens", "--pin-source", f"file:{secured.folder}/wrong", "--yes", *TIME, expect=5)
    assert secured.ctl is None and secured.mode == "1"
    assert list(ways(secured, *lost)) == ["new-tokens"]
    last = json.loads(secured.ctlsign("token", "list", "--json", env=secured.env).out)["tokens"][-1]["label"]
    result = secured("recover", *lost, "--way", "new-tokens", *pin(secured, last.strip()), "--yes", *TIME)
    assert "now: delete the CTL by hand on every phone" in result.out
    assert len(secured.records()) == 5 and secured.mode == "1"


def test_the_publishers_key_is_gone(cluster):
    cluster.change("mixed-mode", "--tokenless")
    assert cluster("recover").out.endswith("nothing is lost\n")
    cluster("certificate", "import", KRAKOW / "certificates" / "cucm-1051-a-pub.pem", "--store", "CallManager", "--key", "gone.key")
    assert list(ways(cluster)) == ["regenerate", "to-tokens"]


@pytest.fixture
def both_lost(secured):
    """Its tokens are lost, and two new ones plugged in; behind `recover --lost`."""
    for name in (FIRST, SECOND):
        secured.unplug(name)
    for name in ("NEW-A", "NEW-B"):
        secured.create_token(name)
    return secured, ("recover", "--lost", FIRST, "--lost", SECOND)


def test_a_dry_run_changes_nothing(both_lost):
    cluster, recover = both_lost
    before = cluster.ctl
    for way in ways(cluster, *recover[1:]):
        told = cluster(*recover, "--way", way, "--dry-run", "--yes").out
        assert "nothing is changed\n" in told and "now: " not in told, way
        assert cluster.ctl == before, way
    assert "CTLFile.tlv: would be deleted, on 2 nodes; nothing is changed\nCTLFile.tlv: would be " in told


def test_nothing_is_deleted_before_the_end_is_in_sight(both_lost):
    cluster, recover = both_lost
    cluster("release", "9.1(2)")
    before = cluster.ctl
    way = (*recover, "--way", "new-tokens", "--yes", *TIME)
    for source in ((), ("--pin-source", "env:NO_SUCH_PIN"), ("--pin-source", f"file:{cluster.folder}/absent")):
        assert "PIN" in cluster(*way, *source, expect=6 if "absent" in str(source) else 5).err
        assert cluster.ctl == before, source
    cluster.add_node("cucm-1051-a-sub2", "10.48.47.155")
    (cluster.nodes["cucm-1051-a-sub2"] / "CTLFile.tlv").write_bytes(before)
    refused = cluster(*way, *pin(cluster, "NEW-A"), expect=4).err
    assert "rule certificates-there: the CallManager certificate of cucm-1051-a-sub2" in refused
    assert cluster.ctl == before
