"""`cluster recover`: what is lost, which ways lead out, and the one that is gone."""

import json
import sqlite3

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


def test_tokens_in_a_drawer_are_not_thrown_away(secured):
    secured("release", "9.1(2)")
    before = secured.ctl
    for name in (FIRST, SECOND):
        secured.unplug(name)
    for name in ("NEW-A", "NEW-B"):
        secured.create_token(name)
    for lost, missing in (((), FIRST), (("--lost", FIRST), SECOND)):
        told = secured("recover", *lost, "--way", "new-tokens", *pin(secured, "NEW-B"), "--yes", expect=2).err
        assert f"{missing} plugged in, or --lost {missing}" in told and secured.ctl == before


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
    cluster(*way, *pin(cluster, "NEW-A"), "--phones", "absent.csv", expect=6)
    assert cluster.ctl == before
    cluster.add_node("cucm-1051-a-sub2", "10.48.47.155")
    (cluster.nodes["cucm-1051-a-sub2"] / "CTLFile.tlv").write_bytes(before)
    refused = cluster(*way, *pin(cluster, "NEW-A"), expect=4).err
    assert "rule certificates-there: the CallManager certificate of cucm-1051-a-sub2" in refused
    assert cluster.ctl == before


def shown(cluster, *arguments, expect=0):
    return json.loads(cluster(*arguments, "--json", expect=expect).out)


def states(cluster):
    return {token["label"]: token["state"] for token in shown(cluster, "token", "list")["tokens"]}


def test_the_ctl_was_deleted_and_the_tokens_are_there(secured):
    before = secured.ctl
    secured("delete-ctl", "--yes")
    found = ways(secured)
    assert list(found) == ["mixed-mode", "to-tokenless"]
    assert found["mixed-mode"] == ([], "every phone takes the new CTL by itself")
    name = shown(secured, "recover", expect=1)["ways"][0]["steps"][0]["text"].split(" ")[-1]
    secured("recover", "--way", "mixed-mode", *pin(secured, name), "--yes", *TIME)
    (secured.folder / "before.tlv").write_bytes(before)
    secured.ctlsign("verify", secured.nodes["cucm-1051-a-pub"] / "CTLFile.tlv", "--installed", "before.tlv")
    assert states(secured) == {FIRST: "in use", SECOND: "in use"}


def test_the_ctl_was_deleted_and_all_tokens_are_lost(secured):
    for name in (FIRST, SECOND):
        secured.unplug(name)
    secured("delete-ctl", "--yes")
    lost = ("--lost", FIRST, "--lost", SECOND)
    assert list(ways(secured, *lost)) == ["to-tokenless", "to-non-secure", "new-tokens"]
    secured("recover", *lost, "--way", "to-non-secure", "--yes", *TIME)
    assert secured.mode == "0" and secured.records()[0] == ("SAST", 1156, True)


def test_in_non_secure_mode_the_publishers_key_goes_to_mixed_mode(secured):
    secured.change("non-secure-mode", *secured.tokens(SECOND))
    for name in (FIRST, SECOND):
        secured.unplug(name)
    lost = ("--lost", FIRST, "--lost", SECOND)
    assert list(ways(secured, *lost)) == ["to-tokenless", "new-tokens"]
    secured("recover", *lost, "--way", "to-tokenless", "--yes", *TIME)
    assert secured.mode == "1"


def test_tokens_are_named_where_more_are_plugged_in(both_lost):
    cluster, recover = both_lost
    cluster.create_token("OTHER-CARD")
    needs = ways(cluster, *recover[1:])["new-tokens"][0]
    assert len(needs) == 1 and needs[0].startswith("--token for each new token: ") and "SAST-OTHER-CARD" in needs[0]
    chosen = ("--token", "SAST-NEW-A", "--token", "NEW-B")
    step = shown(cluster, *recover, *chosen, expect=1)["ways"][-1]["steps"][1]["text"]
    assert step == "make the CTL with SAST-NEW-A, SAST-NEW-B, signed by SAST-NEW-B"
    assert "no plugged token matches" in cluster(*recover, "--token", "NEW-C", expect=5).err
    cluster(*recover, "--way", "new-tokens", *chosen, *pin(cluster, "NEW-B"), "--yes", *TIME)
    assert states(cluster) == {FIRST: "lost", SECOND: "lost", "NEW-A": "in use", "NEW-B": "in use"}


def test_a_lost_token_comes_back_only_when_it_is_named(secured):
    secured.unplug(FIRST)
    secured.create_token("THIRD")
    secured("recover", "--lost", FIRST, "--way", "replace-token", *pin(secured, SECOND), "--yes", *TIME)
    secured.unplug(SECOND)
    secured.plug(FIRST)
    told = secured("recover", "--lost", SECOND, expect=1)
    assert f"{FIRST} is not taken unless --token names it: lost" in told.err
    assert "needs a new token, plugged in" in told.out
    secured("recover", "--lost", SECOND, "--way", "replace-token", "--yes", expect=2)
    named = ("recover", "--lost", SECOND, "--token", FIRST)
    assert f"names {FIRST}, and no more {SECOND}" in secured(*named, expect=1).out
    secured(*named, "--way", "replace-token", *pin(secured, "THIRD"), "--yes", *TIME)
    assert states(secured) == {FIRST: "in use", SECOND: "lost", "THIRD": "in use"}


def test_what_became_of_each_token_is_remembered(secured):
    for name in (FIRST, SECOND):
        secured.unplug(name)
    secured("recover", "--lost", FIRST, "--forgotten", SECOND, "--way", "to-tokenless", "--yes", *TIME)
    assert states(secured) == {FIRST: "lost", SECOND: "PIN forgotten"}


def test_what_became_of_tokens_replaced_together_is_remembered(cluster):
    for name in ("A", "B", "C"):
        cluster.create_token(name)
    cluster.change("mixed-mode", *cluster.tokens("A", "B", "C"))
    for name in ("A", "B"):
        cluster.unplug(name)
    cluster.create_token("D")
    gone = ("--lost", "A", "--forgotten", "B")
    cluster("recover", *gone, "--way", "replace-token", *pin(cluster, "C"), "--yes", *TIME)
    assert states(cluster) == {"A": "lost", "B": "PIN forgotten", "C": "in use", "D": "in use"}


def test_a_release_that_takes_no_tokens(secured):
    secured.import_own("ITLRecovery", "cucm-1051-a-pub", KRAKOW / "regenerated" / "cucm-1051-a-pub")
    secured("release", "14.0(1)SU3", "--yes")
    assert "rule takes-tokens" in secured("update", "--yes", expect=4).err
    assert list(ways(secured)) == ["to-tokenless", "to-non-secure"]
    secured("recover", "--way", "to-tokenless", "--yes", *TIME)
    assert secured("recover").out.endswith("nothing is lost\n")


@pytest.fixture
def aged(tokens):
    """Mixed mode by three tokens, the certificate of FIRST expired in Phone-SAST-trust, THIRD gone."""
    tokens.unplug(SECOND)
    for name in ("A", "THIRD"):
        tokens.create_token(name)
    tokens.change("mixed-mode", *tokens.tokens("A", "THIRD", FIRST))
    tokens("certificate", "import", KRAKOW / "tokens" / f"{FIRST}.pem", "--store", "Phone-SAST-trust")
    tokens.unplug("THIRD")
    return tokens


def test_an_expired_token_does_not_sign(aged):
    found = shown(aged, "recover", "--lost", "THIRD", expect=1)
    assert f"token {FIRST}: its certificate has expired" in found["lost"]
    assert "token SAST-A: ready" in found["works"] and FIRST not in str(found["works"])
    assert found["ways"][0]["text"].startswith("sign with SAST-A, ")
    step = ("recover", "--lost", "THIRD", "--way", "replace-token", *pin(aged, "A"), "--yes", *TIME)
    done = shown(aged, *step)["steps"][0]["done"]
    assert "SAST-A" in done["signer"] and states(aged)["THIRD"] == "lost" and states(aged)[FIRST] == "in use"
    # With a new one at hand it goes.
    aged.create_token("NEW")
    aged("recover", "--way", "replace-token", *pin(aged, "A"), "--yes", *TIME)
    assert states(aged) == {"A": "in use", "THIRD": "lost", FIRST: "retired", "NEW": "in use"}
    assert aged("recover").out.endswith("nothing is lost\n")


def test_who_signs_can_be_said(aged):
    lost = ("recover", "--lost", "THIRD", "--way", "replace-token")
    assert "its certificate has expired" in aged(*lost, "--token", FIRST, "--yes", expect=2).err
    done = shown(aged, *lost, "--token", "A", *pin(aged, "A"), "--yes", *TIME)
    assert "SAST-A" in done["steps"][0]["done"]["signer"]
    updated = shown(aged, "update", "--token", "pkcs11:token=A", "--token", f"pkcs11:token={FIRST}", *pin(aged, "A"),
                    "--yes", *TIME)
    assert "SAST-A" in updated["signer"]
    assert "rule phone-sast-trust" in aged.change("update", *aged.tokens(FIRST), expect=4).err


def test_one_document_for_a_way_of_two_steps(both_lost):
    cluster, recover = both_lost
    way = (*recover, "--way", "new-tokens", "--token", "NEW-A", "--token", "NEW-B", "--yes", *TIME)
    planned = shown(cluster, *way, "--dry-run")["steps"]
    assert [step.get("done", {}).get("dry-run") for step in planned] == [True, True, None, None]
    # A wrong PIN comes to light behind the deletion; what was done is told.
    (cluster.folder / "wrong").write_text("no-such-pin\n")
    done = shown(cluster, *way, "--pin-source", f"file:{cluster.folder}/wrong", expect=5)
    assert [file["deleted"] for step in done["steps"] for file in step["done"]["files"]] == [1, 1]
    done = shown(cluster, *way, *pin(cluster, "NEW-B"))
    assert done["way"] == "new-tokens" and [step["by-hand"] for step in done["steps"]] == [False, True, True]
    assert done["steps"][0]["done"]["mode"] == "mixed"


def test_a_node_that_is_gone_in_the_middle_of_a_publication(secured):
    folder = secured.nodes["cucm-1051-a-sub1"]
    with sqlite3.connect(secured.folder / "cluster.db") as database:
        database.execute("insert into journal select 1,'switching',time,'update',way,mode,signer,octets from publication")
        database.execute("insert into journal_node select id,(select octets from publication) from node")
    folder.rename(secured.folder / "gone")
    way_out = "ctlsign cluster node remove cucm-1051-a-sub1"
    told = secured("recover", expect=1).out
    assert "in the way: update of " in told and way_out in told and "nothing is lost" not in told
    assert way_out in secured("check", "--tokenless", expect=1).out
    assert way_out in secured("update", *secured.tokens(SECOND), "--yes", expect=6).err
    secured("backup", "-o", "half.backup")
    secured("node", "remove", "cucm-1051-a-sub1", "--yes")
    assert secured("recover", expect=1).out.count("in the way") == 1
    secured.change("update", *secured.tokens(SECOND))
    assert secured("recover").out.endswith("nothing is lost\n")


def test_without_security_no_ctl_is_missed(secured):
    secured.change("non-secure-mode", *secured.tokens(SECOND))
    secured.add_node("cucm-1051-a-sub2", "10.48.47.155")
    assert "cucm-1051-a-sub2: no CTL\n" in secured("status").out
    for name in ("cucm-1051-a-sub1", "cucm-1051-a-pub"):
        assert secured("delete-ctl", "--node", name, "--yes").out.count("files: ") == 1
        assert f"{name}: no CTL\n" in secured("status").out
    assert secured("recover").out.endswith("nothing is lost\n")


def test_a_name_means_one_token(cluster):
    """Label "SAST-A", and the common name of A's certificate."""
    for name in ("A", "SAST-A", "B"):
        cluster.create_token(name)
    cluster.change("mixed-mode", *cluster.tokens("A", "SAST-A", "B"))
    before = cluster.ctl
    cluster.unplug("SAST-A")
    for command in (("recover", "--lost", "SAST-A"), ("recover", "--forgotten", "SAST-A"),
                    ("token", "remove", "SAST-A", "--lost", *cluster.tokens("B"), "--yes"),
                    ("token", "add", KRAKOW / "tokens" / f"{FIRST}.pem", "--drop", "SAST-A", *cluster.tokens("B"), "--yes")):
        assert "SAST-A means 2 tokens: name one by its serial number" in cluster(*command, expect=2).err, command
    assert cluster.ctl == before and set(states(cluster).values()) == {"in use"}
    serial = next(token["serial"] for token in shown(cluster, "token", "list")["tokens"] if token["label"] == "SAST-A")
    assert f"serial {serial} (certificate " in cluster("recover", "--lost", "SAST-A", expect=2).err
    cluster("token", "remove", serial, "--lost", *cluster.tokens("B"), "--yes")
    assert states(cluster) == {"A": "in use", "SAST-A": "lost", "B": "in use"}
    # Its certificate's serial number means it, too.
    certificate = cluster("recover", "--lost", "SAST-A", expect=2).err.split("(certificate ")[2].split(")")[0]
    cluster("token", "remove", certificate, "--forgotten")
    assert states(cluster)["SAST-A"] == "PIN forgotten"
    # Of strangers that are plugged in the same holds.
    for name in ("C", "SAST-C"):
        cluster.create_token(name)
    assert "SAST-C means 2 tokens: name one by its serial number" in cluster("recover", "--lost", "SAST-C", expect=2).err


def test_who_is_at_hand_signs_before_who_is_in_a_drawer(tokens):
    """FIRST has expired, which phones that hold the CTL do not mind; A is in a drawer, C lost; nothing is secured."""
    for name in ("A", "C"):
        tokens.create_token(name)
    tokens.change("mixed-mode", *tokens.tokens("C", "A", FIRST))
    tokens.change("non-secure-mode", *tokens.tokens(FIRST))
    tokens("delete-ctl", "--yes")
    for name in ("A", "C", SECOND):
        tokens.unplug(name)
    done = shown(tokens, "recover", "--lost", "C", "--way", "mixed-mode", *pin(tokens, FIRST), "--yes", *TIME)
    assert FIRST in done["steps"][0]["done"]["signer"]
    assert states(tokens) == {FIRST: "in use", "A": "in use", "C": "lost"}


def test_the_new_token_that_is_at_hand_signs(both_lost):
    cluster, recover = both_lost
    cluster.ctlsign("token", "export-certificate", "NEW-B", "-o", "new-b.pem", env=cluster.env)
    cluster.unplug("NEW-B")
    way = (*recover, "--way", "new-tokens", "--token", "NEW-A", "--token", "new-b.pem", *pin(cluster, "NEW-A"), "--yes", *TIME)
    steps = shown(cluster, *way)["steps"]
    assert steps[1]["text"] == "make the CTL with SAST-NEW-B, SAST-NEW-A, signed by SAST-NEW-A"
    assert "SAST-NEW-A" in steps[1]["done"]["signer"]


def test_the_publishers_key_is_the_one_that_is_named(both_lost):
    cluster, recover = both_lost
    publisher = KRAKOW / "certificates" / "cucm-1051-a-pub"
    cluster("certificate", "import", f"{publisher}.pem", "--store", "CallManager", "--node", "cucm-1051-a-pub")
    assert ways(cluster, *recover[1:])["to-tokenless"][0] == ["the publisher's key that signs"]
    key = ("--signer", f"{publisher}.key")
    assert ways(cluster, *recover[1:], *key)["to-tokenless"][0] == []
    # One that is not the publisher's is of no use.
    stranger = ("--signer", KRAKOW / "certificates" / "cucm-1051-a-sub1.key")
    assert ways(cluster, *recover[1:], *stranger)["to-tokenless"][0] == ["the publisher's key that signs"]
    cluster(*recover, *key, "--way", "to-tokenless", "--yes", *TIME)
    assert cluster.records()[0] == ("SAST", 1156, True)


def test_what_goes_on_behind_a_deletion_is_said_until_it_is_done(both_lost):
    cluster, (command, *lost) = both_lost
    (cluster.folder / "wrong").write_text("no-such-pin\n")
    way = (command, "--way", "new-tokens", "--token", "NEW-A", "--token", "NEW-B", "--yes", *TIME)
    cluster(*way, *lost, "--pin-source", f"file:{cluster.folder}/wrong", expect=5)
    goes_on = "recover --way new-tokens was ended in the middle: ctlsign cluster recover --way new-tokens goes on\n"
    assert goes_on in cluster("status").out and shown(cluster, "status")["recovery"] == "new-tokens"
    assert goes_on in cluster("recover", expect=1).err and goes_on in cluster("release", "10.5(1)", "--yes").err
    # What was said of the tokens is known.
    assert states(cluster) == {FIRST: "lost", SECOND: "lost"}
    assert ways(cluster, "--token", "NEW-A", "--token", "NEW-B")["new-tokens"][0] == []
    cluster("backup", "-o", "half.backup")
    cluster(*way, *pin(cluster, "NEW-B"))
    assert states(cluster) == {FIRST: "lost", SECOND: "lost", "NEW-A": "in use", "NEW-B": "in use"}
    assert goes_on not in cluster("status").out and "recovery" not in shown(cluster, "status")
    # It is as much a part of what a cluster is as the deletion.
    cluster("restore", "half.backup", "--yes")
    assert goes_on in cluster("status", expect=1).out
    cluster("adopt", "--yes")
    assert "recovery" not in shown(cluster, "status")


@pytest.fixture
def keyless(cluster):
    """Mixed mode by the publisher's key, which is gone since."""
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    publisher = KRAKOW / "certificates" / "cucm-1051-a-pub.pem"
    cluster("certificate", "import", publisher, "--store", "CallManager", "--node", "cucm-1051-a-pub", "--key", "gone.key")
    return cluster


def test_a_key_that_is_gone_is_made_anew(keyless):
    before = keyless.ctl
    way = ("recover", "--way", "regenerate", "--yes", *TIME)
    rehearsed = keyless(*way, "--dry-run").out
    assert rehearsed.startswith("then: make a new CallManager key and certificate for the publisher\nthen: sign the CTL ")
    assert keyless.ctl == before and list(ways(keyless)) == ["regenerate", "to-tokens"]
    # The key of another is no help: the new one signs.
    told = keyless(*way, "--signer", KRAKOW / "certificates" / "cucm-1051-a-sub1.key")
    assert "Proceed with regeneration (yes|no)?" in told.err and "the signer changes to cucm-1051-a-pub" in told.err
    assert "Successfully Regenerated Certificate for CallManager.\n" in told.out and "CTL file Updated\n" in told.out
    assert told.out.endswith("now: delete the CTL by hand on phones without Security By Default\n")
    assert keyless.ctl != before and keyless.records()[0][2] and keyless("status").code == 0
    assert keyless("recover").out.endswith("nothing is lost\n")


def test_a_key_that_is_gone_is_made_anew_whatever_the_nodes_serve(keyless):
    keyless("delete-ctl", "--yes")
    done = shown(keyless, "recover", "--way", "regenerate", "--yes", *TIME)["steps"]
    assert [step["by-hand"] for step in done] == [False, False, True, True]
    assert done[0]["done"]["store"] == "CallManager" and done[1]["done"]["operation"] == "mixed-mode"
    assert keyless.ctl is not None and keyless.mode == "1"
    keyless.change("non-secure-mode")
    publisher = KRAKOW / "certificates" / "cucm-1051-a-pub.pem"
    keyless("certificate", "import", publisher, "--store", "CallManager", "--node", "cucm-1051-a-pub", "--key", "gone.key")
    before = keyless.ctl
    done = shown(keyless, "recover", "--way", "regenerate", "--yes", *TIME)["steps"]
    assert [step["by-hand"] for step in done] == [False, True, True] and keyless.ctl == before
