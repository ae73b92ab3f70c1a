"""Tokens that are lost, replaced, locked; from tokens to the publisher's key and back."""

import json
import subprocess

import pytest
from conftest import FIRST, KRAKOW, RESTART, SECOND, TIME

SECURE_WITHOUT_CTL = (
    "No CTL File exists on the server but the Call Manager Cluster Security Mode is in Secure Mode.\n"
    "For the system to function, you must create the CTL File and set Call Manager Cluster the Secure Mode.\n")


@pytest.fixture
def secured(tokens):
    """Mixed mode, by the two eTokens."""
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), "--digest", "sha1")
    return tokens


def known(cluster):
    listed = json.loads(cluster("token", "list", "--json").out)["tokens"]
    return {token["label"].strip(): (token["state"], token["in-ctl"]) for token in listed}


def upload(cluster, name):
    cluster.ctlsign("token", "export-certificate", f"pkcs11:token={name}", "-o", f"{name}.pem", env=cluster.env)
    cluster("certificate", "import", f"{name}.pem", "--store", "Phone-SAST-trust")


def phone_takes(cluster, new, installed, expect=0):
    """A phone that holds INSTALLED takes NEW by itself (expect=1: it does not)."""
    (cluster.folder / "new.tlv").write_bytes(new)
    (cluster.folder / "installed.tlv").write_bytes(installed)
    cluster.ctlsign("verify", "new.tlv", "--installed", "installed.tlv", expect=expect)


def test_a_lost_token_is_replaced(secured):
    before = secured.ctl
    secured.unplug(FIRST)
    secured.create_token("SAST-NEW")
    secured.change("token", "add", "pkcs11:token=SAST-NEW", "--drop", FIRST, "--lost", *secured.tokens(SECOND))
    assert known(secured) == {FIRST: ("lost", False), SECOND: ("in use", True), "SAST-NEW": ("in use", True)}
    phone_takes(secured, secured.ctl, before)
    assert [role for role, _, _ in secured.records()] == ["SAST", "CCM+TFTP", "CAPF", "CCM+TFTP", "SAST"]
    # The lost one turns up again: it is a stranger now.
    secured.plug(FIRST)
    assert "rule token-in-ctl" in secured.change("update", *secured.tokens(FIRST), expect=4).err
    secured.change("update", *secured.tokens("SAST-NEW"))


def test_the_last_but_one_is_not_dropped(secured):
    result = secured.change("token", "remove", FIRST, "--lost", *secured.tokens(SECOND), expect=4)
    assert "rule two-tokens" in result.err
    secured.change("token", "remove", FIRST, "--lost", "--force", *secured.tokens(SECOND))
    assert known(secured)[FIRST] == ("lost", False)


def test_all_tokens_lost_from_release_ten(secured):
    secured.unplug(FIRST)
    secured.unplug(SECOND)
    result = secured.change("update", "--tokenless")
    assert "7940, 7960, Jabber and other models without it refuse until their CTL is deleted by hand" in result.err
    assert known(secured) == {FIRST: ("retired", False), SECOND: ("retired", False)} and secured.mode == "1"
    assert secured.records()[0] == ("SAST", 1156, True)


def test_back_to_tokens_needs_the_upload_and_the_deletion(tokens):
    tokens.change("mixed-mode", "--tokenless")
    for name in ("NEW-A", "NEW-B"):
        tokens.create_token(name)
    back = ("mixed-mode", *tokens.tokens("NEW-A", "NEW-B"))
    refused = tokens.change(*back, expect=4).err
    assert "The Security Token you have inserted does not exist in the CTL File" in refused
    result = tokens("delete-ctl", "--yes")
    assert result.out == "files: found = 1, deleted = 1\n" * 2 + SECURE_WITHOUT_CTL
    assert 'Delete the File CTLFile.tlv?\nEnter "y" followed by return to continue:' in result.err
    assert tokens.ctl is None and tokens.mode == "1"
    assert "rule phone-sast-trust" in tokens.change(*back, expect=4).err
    for name in ("NEW-A", "NEW-B"):
        upload(tokens, name)
    tokens.change(*back)
    assert [role for role, _, _ in tokens.records()] == ["SAST", "CCM+TFTP", "CAPF", "CCM+TFTP", "SAST"]


def test_back_to_tokens_is_no_update(tokens):
    tokens.change("mixed-mode", "--tokenless")
    before = tokens.ctl
    for command in ("update", "non-secure-mode"):
        refused = tokens.change(command, *tokens.tokens(SECOND), "--force", expect=4).err
        assert "rule same-way" in refused and "ctlsign cluster delete-ctl" in refused and tokens.ctl == before


def test_a_servers_certificate_is_no_token(tokens):
    server = KRAKOW / "certificates" / "cucm-1051-a-sub1.pem"
    refused = tokens.change("mixed-mode", "--token", server, *tokens.tokens(SECOND), "--force", expect=4).err
    assert "rule two-tokens" in refused and "no security token's" in refused and tokens.ctl is None


def test_the_token_that_may_sign_does(secured):
    secured.change("non-secure-mode", *secured.tokens(SECOND))
    before = secured.ctl
    secured.create_token("SAST-NEW")
    secured.change("mixed-mode", *secured.tokens(SECOND), "--token", "pkcs11:token=SAST-NEW")
    phone_takes(secured, secured.ctl, before)


def test_a_token_does_not_leave_the_ctl_unsaid(secured):
    secured.create_token("THIRD")
    secured.change("token", "add", "pkcs11:token=THIRD", *secured.tokens(SECOND))
    secured.change("non-secure-mode", *secured.tokens(SECOND))
    note = "SAST-THIRD leaves the CTL, and can no longer update it"
    anew = ("mixed-mode", *secured.tokens(FIRST, SECOND))
    assert note in secured(*anew, "--dry-run").err
    told = secured.change(*anew).err
    assert 0 <= told.find(note) < told.find("Do you want to continue?")
    assert known(secured)["THIRD"] == ("retired", False)


def test_a_downgrade_below_ten(tokens):
    tokens.change("mixed-mode", "--tokenless")
    before = tokens.ctl
    assert "carried over unchanged" in tokens("release", "9.1(2)", "--yes").err and tokens.ctl == before
    assert "rule token-in-ctl" in tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), expect=4).err
    # The CTL client fails with its own words, and there is one way out (W18, W8).
    refused = tokens.change("update", *tokens.tokens(FIRST), "--force", expect=4).err
    assert "rule token-in-ctl: The Security Token you have inserted does not exist in the CTL File" in refused
    found = json.loads(tokens("recover", "--json", expect=1).out)
    assert "release 9.1(2) takes CTLs from security tokens alone" in found["lost"][0]
    assert [way["way"] for way in found["ways"]] == ["to-tokens"] and tokens.ctl == before
    for name in (FIRST, SECOND):
        upload(tokens, name)
    late = json.loads(tokens("recover", "--json", expect=1).out)["ways"][0]
    assert [step["text"] for step in late["steps"]][0] == "delete the CTL from every node"


def test_all_tokens_lost_before_release_ten(secured):
    secured("release", "9.1(2)")
    for name in (FIRST, SECOND):
        secured.unplug(name)
    for name in ("NEW-A", "NEW-B"):
        secured.create_token(name)
    assert "rule knows-tokenless" in secured.change("update", "--tokenless", expect=4).err
    assert "rule token-in-ctl" in secured.change("update", *secured.tokens("NEW-B"), expect=4).err
    before = secured.ctl
    secured("delete-ctl", "--yes")
    # Nobody has said yet that they are lost: a drawer is no loss.
    anew = ("mixed-mode", *secured.tokens("NEW-A", "NEW-B"))
    refused = secured.change(*anew, expect=4).err
    assert "rule phone-sast-trust" in refused and f"sign with {FIRST} or {SECOND}, which phones know" in refused
    secured("token", "remove", FIRST, "--lost")
    assert f"sign with {SECOND}, which phones know" in secured.change(*anew, expect=4).err and secured.ctl is None
    secured("token", "remove", SECOND, "--locked")
    result = secured.change(*anew)
    assert "delete the CTL by hand on every phone" in result.err
    assert "phones may keep registering with the old CTL, and break at the next certificate change" in result.err
    phone_takes(secured, secured.ctl, before, expect=1)
    assert known(secured)[FIRST] == ("lost", False) and known(secured)[SECOND] == ("locked", False)


def test_tokens_that_phones_know_are_thrown_away_by_force_alone(secured):
    secured("delete-ctl", "--yes")
    for name in ("NEW-A", "NEW-B"):
        secured.create_token(name)
    anew = ("mixed-mode", *secured.tokens("NEW-A", "NEW-B"))
    assert "rule phone-sast-trust" in secured.change(*anew, expect=4).err and secured.ctl is None
    result = secured.change(*anew, "--force")
    assert "every phone needs its CTL deleted by hand" in result.err
    forced = [entry["rule"] for entry in secured.audit() if entry["event"] == "forced"]
    assert forced == ["phone-sast-trust"] * 2


def test_a_lost_token_comes_back_with_a_backup(secured):
    secured("backup", "-o", "before.backup")
    secured.create_token("NEW")
    secured.change("token", "add", "pkcs11:token=NEW", "--drop", FIRST, "--lost", *secured.tokens(SECOND))
    after = secured.ctl
    secured("restore", "before.backup", "--yes")
    secured("adopt", "--yes")
    assert known(secured)[FIRST] == ("retired", False)
    told = secured("recover", "--lost", SECOND, expect=1)
    assert f"{FIRST} is not taken unless --token names it: retired" in told.err
    assert "needs a new token, plugged in" in told.out
    # What became of it is remembered; no CTL is signed for that.
    remove = ("token", "remove", FIRST, "--lost")
    assert "nothing is changed" in secured(*remove, "--dry-run").out and known(secured)[FIRST] == ("retired", False)
    assert secured(*remove).out.endswith(": lost, not in the CTL\n")
    assert known(secured)[FIRST] == ("lost", False) and secured.ctl == after
    last = secured.audit()[-1]
    assert (last["event"], last["state"]) == ("token", "lost")
    assert json.loads(secured("token", "remove", FIRST, "--json").out)["token"]["state"] == "lost", "it stays lost"


def test_what_became_of_a_token_is_remembered_whatever_signs(secured):
    for name in ("A", "B"):
        secured.create_token(name)
    for name in ("A", "B"):
        secured.change("token", "add", f"pkcs11:token={name}", *secured.tokens(SECOND))
    secured.change("token", "remove", "A", *secured.tokens(SECOND))
    secured.change("token", "add", "pkcs11:token=A", "--drop", "B", *secured.tokens(SECOND))
    secured.change("token", "remove", "A", *secured.tokens(SECOND))
    assert known(secured)["A"] == known(secured)["B"] == ("retired", False)
    secured.create_token("C")
    secured.change("token", "add", "pkcs11:token=C", "--drop", "B", "--lost", *secured.tokens(SECOND))
    assert known(secured)["B"] == ("lost", False) and known(secured)["A"] == ("retired", False)


def test_tvs_vouches_for_new_tokens(secured):
    secured("delete-ctl", "--yes")
    for name in ("NEW-A", "NEW-B"):
        secured.create_token(name)
        upload(secured, name)
    told = secured.change("mixed-mode", *secured.tokens("NEW-A", "NEW-B")).err
    assert "phones with Security By Default ask TVS for it" in told and "on every phone" not in told


def test_in_non_secure_mode_a_file_goes_node_by_node(tokens):
    tokens.change("mixed-mode", "--tokenless")
    assert "rule mode-fits" in tokens("delete-ctl", "--node", "cucm-1051-a-sub1", "--yes", expect=4).err
    tokens.change("non-secure-mode")
    tokens("restarted")
    assert tokens("delete-ctl", "--node", "cucm-1051-a-sub1", "--yes").out == (
        f"files: found = 1, deleted = 1\n{RESTART}Then reset all phones\n")
    restarts = json.loads(tokens("status", "--json").out)["restart"]
    assert {(each["service"], each["node"]) for each in restarts} == {
        (service, node) for service in ("TFTP", "CallManager") for node in tokens.nodes}
    last = tokens.audit()[-1]
    assert (last["operation"], last["nodes"]) == ("delete-ctl", "cucm-1051-a-sub1")
    files = {name: (folder / "CTLFile.tlv").exists() for name, folder in tokens.nodes.items()}
    assert files == {"cucm-1051-a-pub": True, "cucm-1051-a-sub1": False}
    tokens("delete-ctl", "--node", "cucm-1051-a-pub", "--yes")
    assert tokens.ctl is None
    assert tokens.audit()[-1]["nodes"] == "cucm-1051-a-pub, cucm-1051-a-sub1", "now the cluster has none"
    assert "rule ctl-exists" in tokens("delete-ctl", "--yes", expect=4).err
    assert tokens("status").code == 0


def test_a_file_that_a_node_has_kept_goes_in_non_secure_mode(cluster):
    kept, gone = cluster.nodes["cucm-1051-a-sub1"], cluster.nodes["cucm-1051-a-pub"]
    (kept / "CTLFile.tlv").write_bytes((KRAKOW / "CTLFile-tokens.tlv").read_bytes())
    assert "was not published from here" in cluster("status", expect=1).out
    assert "rule ctl-exists" in cluster("delete-ctl", "--yes", expect=4).err
    # Another that cannot be reached is none of it.
    gone.rename(cluster.folder / "elsewhere")
    told = json.loads(cluster("delete-ctl", "--node", "cucm-1051-a-sub1", "--yes", "--json").out)
    assert told["files"] == [{"node": "cucm-1051-a-sub1", "found": 1, "deleted": 1}] and told["next"][1] == "Then reset all phones"
    assert not (kept / "CTLFile.tlv").exists()
    assert "rule ctl-exists" in cluster("delete-ctl", "--node", "cucm-1051-a-sub1", "--yes", expect=4).err
    (cluster.folder / "elsewhere").rename(gone)
    assert cluster("status").code == 0
    # Nor where the cluster has a CTL, which goes with the last node that serves it.
    cluster.change("mixed-mode", "--tokenless")
    cluster.change("non-secure-mode")
    gone.rename(cluster.folder / "elsewhere")
    cluster("delete-ctl", "--node", "cucm-1051-a-sub1", "--yes")
    (cluster.folder / "elsewhere").rename(gone)
    assert (gone / "CTLFile.tlv").exists() and not (kept / "CTLFile.tlv").exists()
    cluster("delete-ctl", "--node", "cucm-1051-a-pub", "--yes")
    assert cluster("status").code == 0 and "rule ctl-exists" in cluster("delete-ctl", "--yes", expect=4).err


def test_a_stranger_signs_by_force(secured):
    """What phones do about it is told, and the audit has it."""
    secured.create_token("stranger")
    told = secured.change("update", *secured.tokens("stranger"), "--force").err
    assert ("rule token-in-ctl is forced: phones refuse the new CTL unless TVS vouches for the token, and those without "
            "Security By Default until their CTL is deleted by hand") in told
    forced = [(entry["operation"], entry["rule"]) for entry in secured.audit() if entry["event"] == "forced"]
    assert forced == [("update", "token-in-ctl")]


def test_a_locked_token_changes_nothing(secured):
    before = secured.ctl
    (secured.folder / f"virtual/tokens/{SECOND}/pin-tries").write_text("0\n")
    assert secured.change("update", *secured.tokens(SECOND), expect=5).err
    assert secured.ctl == before and secured("status").code == 0
    secured.change("update", *secured.tokens(FIRST))


def test_a_rejected_pin_is_in_the_audit(secured):
    (secured.folder / "wrong").write_text("no-such-pin\n")
    secured.change("update", "--token", f"pkcs11:token={SECOND}", "--pin-source", f"file:{secured.folder}/wrong", expect=5)
    last = secured.audit()[-1]
    assert last["event"] == "pin-failure" and SECOND in last["signer"]
    assert "no-such-pin" not in secured("audit").out
    assert "14 of 15" in secured("check", "--token", f"pkcs11:token={SECOND}").out


def test_a_rejected_passphrase_is_in_the_audit(secured):
    for name in ("right", "wrong"):
        (secured.folder / name).write_text(f"the {name} words")
    subprocess.run(["openssl", "pkey", "-in", KRAKOW / "certificates" / "cucm-1051-a-pub.key", "-aes256", "-passout", "file:right",
                    "-out", "encrypted.key"], cwd=secured.folder, check=True, capture_output=True)
    before = secured.ctl
    arguments = ("update", "--tokenless", "--signer", "encrypted.key", "--pin-source")
    secured.change(*arguments, "file:wrong", expect=5)
    last = secured.audit()[-1]
    assert last["event"] == "pin-failure" and "encrypted.key" in last["signer"] and secured.ctl == before
    assert "the wrong words" not in secured("audit").out
    secured.change(*arguments, "file:right")


def test_a_token_pulled_in_the_middle_of_an_update(secured):
    before = secured.ctl
    secured.ctlsign("virtual", "fault", f"on C_Sign unplug {SECOND}", env=secured.env)
    secured.change("update", *secured.tokens(SECOND), expect=5)
    assert secured.ctl == before and secured("status").code == 0
    secured.change("update", *secured.tokens(FIRST))
    phone_takes(secured, secured.ctl, before)


def test_what_check_says(secured):
    ready = secured("check")
    for name in (FIRST, SECOND):
        assert f"ready     {name}: a token of the CTL, PIN: 15 of 15 tries left" in ready.out
    secured.unplug(FIRST)
    assert "not plugged in" in secured("check").out
    secured.unplug(SECOND)
    assert "no token of the CTL is plugged in" in secured("check", expect=1).out
    (secured.nodes["cucm-1051-a-sub1"] / "CTLFile.tlv").unlink()
    secured.nodes["cucm-1051-a-sub1"].rmdir()
    checked = secured("check", "--tokenless", expect=1).out
    assert "not ready cucm-1051-a-sub1" in checked
    assert "note: the signer changes to cucm-1051-a-pub" in checked and "until their CTL is deleted by hand" in checked


def test_a_cluster_that_was_secured_elsewhere(tokens):
    golden = (KRAKOW / "CTLFile-tokens.tlv").read_bytes()
    assert "nothing to adopt" in tokens("adopt", "--yes", expect=1).err
    for folder in tokens.nodes.values():
        (folder / "CTLFile.tlv").write_bytes(golden)
    assert "rule nodes-agree" in tokens.change("mixed-mode", "--tokenless", expect=4).err
    tokens("adopt", "--yes")
    assert tokens.mode == "1"
    tokens.change("update", *tokens.tokens(SECOND))
    assert tokens.ctl == golden


def test_the_token_that_is_present_signs(tokens):
    """The last one named is no more than the file of its certificate."""
    tokens.unplug(SECOND)
    named = (*tokens.tokens(FIRST), "--token", KRAKOW / "tokens" / f"{SECOND}.pem")
    for command in ("mixed-mode", "update", "non-secure-mode"):
        tokens.change(command, *named)
        assert [signed for role, _, signed in tokens.records() if role == "SAST"] == [True, False], command


def test_back_to_tokens_with_the_upload_but_without_the_deletion(tokens):
    tokens.change("mixed-mode", "--tokenless")
    before = tokens.ctl
    for name in ("NEW-A", "NEW-B"):
        tokens.create_token(name)
        upload(tokens, name)
    back = ("mixed-mode", *tokens.tokens("NEW-A", "NEW-B"))
    refused = tokens.change(*back, expect=4).err
    assert "rule token-in-ctl: The Security Token you have inserted does not exist in the CTL File" in refused
    assert "Please remove any Security Tokens already inserted and insert another Security Token." in refused
    assert tokens.ctl == before and tokens.mode == "1"
    tokens("delete-ctl", "--yes")
    tokens.change(*back)
    assert known(tokens) == {"NEW-A": ("in use", True), "NEW-B": ("in use", True)}


@pytest.mark.parametrize("release, by_itself", [("11.0(1)", False), ("11.5(1)", True)])
def test_from_tokens_to_the_publishers_key(make_cluster, release, by_itself):
    """W7: from 11.5 phones know the publisher's signer from the CTL of the tokens."""
    cluster = make_cluster(release)
    cluster("certificate", "regenerate", "--store", "ITLRecovery", "--node", "cucm-1051-a-pub", "--subject",
            "CN=ITLRECOVERY_cucm-1051-a-pub", "--yes")
    for name in (FIRST, SECOND):
        cluster.create_token(name)
    cluster("mixed-mode", *cluster.tokens(FIRST, SECOND), "--yes")
    before = cluster.ctl
    assert len([role for role, _, _ in cluster.records() if role == "SAST"]) == (4 if by_itself else 2)
    told = cluster("update", "--tokenless", "--yes").err
    assert ("the signer changes to cucm-1051-a-pub" in told) == (not by_itself)
    phone_takes(cluster, cluster.ctl, before, expect=0 if by_itself else 1)
    assert cluster.mode == "1" and known(cluster) == {FIRST: ("retired", False), SECOND: ("retired", False)}
    assert [(role, signed) for role, _, signed in cluster.records()][0] == ("SAST", True)
    assert len([role for role, _, _ in cluster.records() if role == "SAST"]) == 2


def test_what_check_says_of_a_final_try(secured):
    secured.unplug(FIRST)
    (secured.folder / f"virtual/tokens/{SECOND}/pin-tries").write_text("1\n")
    for named in ((), ("--token", f"pkcs11:token={SECOND}")):
        assert "not ready" in secured("check", *named, expect=1).out
        assert "not ready" not in secured("check", *named, "--use-final-try").out
