"""Certificates that are made anew, in their order, and those that expire."""

import json
import subprocess

import pytest
from conftest import FIRST, KRAKOW, SECOND

PUBLISHER, SUBSCRIBER = "cucm-1051-a-pub", "cucm-1051-a-sub1"


def regenerate(cluster, store, *options, **more):
    return cluster("certificate", "regenerate", "--store", store, *options, "--yes", **more)


def texts(store):
    return (f"WARNING: This operation will overwrite any CA signed certificate previously imported for {store}\n"
            f"Successfully Regenerated Certificate for {store}.\n"
            f"You must restart services related to {store} for the regenerated certificates to become active.\n")


def stored(cluster, store):
    return json.loads(cluster("certificate", "list", "--store", store, "--json").out)["certificates"]


@pytest.fixture
def mixed(cluster):
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    return cluster


def test_certificates_are_exported(cluster):
    """With the key that regenerate has made, what TVS of the cluster itself is run with."""
    regenerate(cluster, "TVS", "--node", PUBLISHER, "--subject", f"CN={PUBLISHER}")
    told = json.loads(cluster("certificate", "export", "--store", "TVS", "--node", PUBLISHER, "-o", "tvs.crt", "--json").out)
    assert told["file"] == "tvs.crt" and [each["node"] for each in told["certificates"]] == [PUBLISHER]
    key = told["certificates"][0]["key"]

    def public_key(*arguments):
        return subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=cluster.folder).stdout

    assert public_key("x509", "-in", "tvs.crt", "-noout", "-pubkey") == public_key("pkey", "-in", key, "-pubout")
    assert "PRIVATE" not in (cluster.folder / "tvs.crt").read_text()
    assert len(cluster("certificate", "export", "--store", "CallManager", "-o", "all.pem").out.splitlines()) == 3
    assert (cluster.folder / "all.pem").read_text().count("BEGIN CERTIFICATE") == 2
    cluster("certificate", "import", KRAKOW / "tokens" / f"{FIRST}.pem", "--store", "Phone-SAST-trust")
    assert FIRST in cluster("certificate", "export", "--store", "Phone-SAST-trust", "-o", "trust.pem").out
    before = (cluster.folder / "tvs.crt").read_bytes()
    export = ("certificate", "export", "-o", "tvs.crt", "--store")
    assert "no certificate is in TVS of cucm-1051-a-sub1" in cluster(*export, "TVS", "--node", SUBSCRIBER, expect=2).err
    assert "leave out --node" in cluster(*export, "Phone-SAST-trust", "--node", PUBLISHER, expect=2).err
    assert "is an input" in cluster("certificate", "export", "--store", "TVS", "-o", "cluster.db", expect=2).err
    cluster(*export, "nowhere", expect=2)
    assert (cluster.folder / "tvs.crt").read_bytes() == before


def test_capf(mixed):
    old = stored(mixed, "CAPF")[0]
    result = regenerate(mixed, "CAPF")
    assert result.out.startswith(texts("CAPF")) and "restart on cucm-1051-a-pub: CAPF, TVS, TFTP" in result.out
    assert "Proceed with regeneration (yes|no)?" in result.err and "LSCs of the phones are to be renewed" in result.err
    new = stored(mixed, "CAPF")[0]
    assert new["subject"] != old["subject"] and "CN=CAPF-" in new["subject"] and "OU=TAC" in new["subject"]
    # A copy goes to the trust stores, where the old one stays.
    for store in ("CAPF-trust", "CallManager-trust"):
        serials = {each["serial"] for each in stored(mixed, store)}
        assert {old["serial"], new["serial"]} <= serials
    mixed.change("update")
    assert new["serial"] in mixed.ctlsign("show", mixed.nodes[PUBLISHER] / "CTLFile.tlv", "--json").out
    key = new["key"]
    assert subprocess.run(["stat", "-c", "%a", key], capture_output=True, check=True).stdout == b"600\n"


def test_the_signer_changes_before_release_twelve(mixed):
    before = mixed.ctl
    result = regenerate(mixed, "CallManager", "--node", PUBLISHER)
    assert "the signer changes to cucm-1051-a-pub" in result.err
    assert "7940, 7960, Jabber and other models without it refuse" in result.err
    assert "restart on cucm-1051-a-pub: TFTP, CallManager, CTIManager" in result.out
    # Never two at once: not the other server, not TVS.
    for arguments in (("CallManager", "--node", SUBSCRIBER), ("TVS", "--node", PUBLISHER, "--subject", "CN=cucm-1051-a-pub")):
        assert "rule one-anchor-at-a-time" in regenerate(mixed, *arguments, expect=4).err
    mixed("update", "--yes")
    (mixed.folder / "before.tlv").write_bytes(before)
    mixed.ctlsign("verify", mixed.nodes[PUBLISHER] / "CTLFile.tlv", "--installed", "before.tlv", expect=1)
    # Phones that are not reset do not know of it.
    assert "rule one-anchor-at-a-time" in regenerate(mixed, "CallManager", "--node", SUBSCRIBER, expect=4).err
    mixed("restarted")
    regenerate(mixed, "CallManager", "--node", SUBSCRIBER)


def test_two_anchors_change_at_once_by_force(mixed):
    regenerate(mixed, "CallManager", "--node", PUBLISHER)
    before = stored(mixed, "CallManager")
    assert "rule one-anchor-at-a-time" in regenerate(mixed, "CallManager", "--node", SUBSCRIBER, expect=4).err
    assert stored(mixed, "CallManager") == before
    told = regenerate(mixed, "CallManager", "--node", SUBSCRIBER, "--force").err
    assert "rule one-anchor-at-a-time is forced: " in told
    forced = [(entry["operation"], entry["rule"]) for entry in mixed.audit() if entry["event"] == "forced"]
    assert forced == [("certificate regenerate", "one-anchor-at-a-time")]


def test_itlrecovery_signs_from_release_twelve(make_cluster):
    cluster = make_cluster("12.0(1)")
    regenerate(cluster, "ITLRecovery", "--subject", "CN=ITLRECOVERY_cucm-1051-a-pub,O=Cisco")
    cluster("mixed-mode", "--tokenless", "--yes")
    before = cluster.ctl
    result = regenerate(cluster, "CallManager", "--node", PUBLISHER)
    assert "the signer changes" not in result.err
    assert "rule one-anchor-at-a-time" in regenerate(cluster, "ITLRecovery", expect=4).err
    cluster("update", "--yes")
    (cluster.folder / "before.tlv").write_bytes(before)
    cluster.ctlsign("verify", cluster.nodes[PUBLISHER] / "CTLFile.tlv", "--installed", "before.tlv")
    cluster("restarted")
    # ITLRecovery changed, and phones hold the old one: CallManager signs once.
    held = cluster.ctl
    result = regenerate(cluster, "ITLRecovery")
    assert "with ctlsign cluster update at once, the signer changes" in result.err
    assert result.err.index("ctlsign cluster reset-localkey") < result.err.index("ctlsign cluster update")
    refused = regenerate(cluster, "CallManager", "--node", PUBLISHER, expect=4).err
    assert "run ctlsign cluster reset-localkey, reset the phones and run ctlsign cluster restarted" in refused
    assert "ITLRecovery certificate that cucm-1051-a-pub has now: run ctlsign cluster reset-localkey" in cluster(
        "status", expect=1).out
    cluster("reset-localkey", "--yes")
    (cluster.folder / "held.tlv").write_bytes(held)
    cluster.ctlsign("verify", cluster.nodes[PUBLISHER] / "CTLFile.tlv", "--installed", "held.tlv")
    held = cluster.ctl
    cluster("update", "--yes")
    (cluster.folder / "held.tlv").write_bytes(held)
    cluster.ctlsign("verify", cluster.nodes[PUBLISHER] / "CTLFile.tlv", "--installed", "held.tlv")


def test_tokens_sign_as_before(tokens):
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND))
    before = tokens.ctl
    result = regenerate(tokens, "CallManager", "--node", PUBLISHER)
    assert "a token signs as before" in result.err and "the signer changes" not in result.err
    tokens.change("update", *tokens.tokens(SECOND))
    (tokens.folder / "before.tlv").write_bytes(before)
    tokens.ctlsign("verify", tokens.nodes[PUBLISHER] / "CTLFile.tlv", "--installed", "before.tlv")


@pytest.mark.parametrize("key", [("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), ("rsa:3072",)])
def test_a_signer_that_no_trust_list_has_a_code_for(make_cluster, key):
    cluster = make_cluster("12.0(1)")
    subprocess.run(["openssl", "req", "-x509", "-newkey", *key, "-nodes", "-keyout", "odd.key", "-out", "odd.pem", "-subj",
                    "/CN=ITLRECOVERY"], cwd=cluster.folder, check=True, capture_output=True)
    cluster.import_own("ITLRecovery", PUBLISHER, "odd")
    checked = cluster("check", "--tokenless", expect=1).out
    assert "not ready CTL: " in checked and "trust lists have codes for RSA" in checked
    assert "ready     cucm-1051-a-sub1: reached" in checked


def test_a_trust_store_is_not_regenerated(mixed):
    regenerate(mixed, "CallManager-trust", expect=2)
    regenerate(mixed, "ipsec", "--node", PUBLISHER, expect=2)
    regenerate(mixed, "ipsec", "--node", PUBLISHER, "--subject", "CN=cucm-1051-a-pub")
    assert "DRF Local, DRF Master" in regenerate(mixed, "ipsec", "--node", PUBLISHER).out


def at(cluster, time, *arguments, **options):
    return cluster("expiry", "--at", time, *arguments, **options)


def test_expiry(cluster):
    assert at(cluster, "2015-06-01T00:00:00Z").out == ""
    warned = at(cluster, "2020-02-10T00:00:00Z", expect=1).out
    assert "warning CallManager of cucm-1051-a-pub" in warned and "expires in 19 days on 2020-02-29" in warned
    assert "signed configuration and ITL are refused, secure trunks go down" in warned and "phones get no LSCs" in warned
    alarm = "Alarm to indicate that Certificate has Expired or Expires in less than seven days"
    assert alarm not in warned
    # What to do, and in which order.
    assert ("; ctlsign cluster certificate regenerate --store CAPF --node cucm-1051-a-pub, then restart CAPF, TVS, TFTP\n"
            in warned)
    assert warned.splitlines()[-1].startswith("one certificate at a time, one server after the other")
    assert alarm in at(cluster, "2020-02-23T00:00:00Z", expect=1).out
    assert "reset-localkey" not in warned
    shown = json.loads(cluster("expiry", "--at", "2020-03-02T00:00:00Z", "--json", expect=1).out)
    assert shown["urgency"] == "alarm" and shown["certificates"][0]["days"] == -2
    assert "--store" in shown["certificates"][0]["renewal"] and "one server after the other" in shown["order"]
    cluster("certificate", "import", KRAKOW / "tokens" / f"{FIRST}.pem", "--store", "Phone-SAST-trust")
    assert "the earlier token can no longer update the CTL" in at(cluster, "2025-03-01T00:00:00Z", expect=1).out


def test_the_order_of_a_release_that_itlrecovery_signs_for(make_cluster):
    order = at(make_cluster("12.0(1)"), "2020-02-10T00:00:00Z", expect=1).out.splitlines()[-1]
    assert "after ITLRecovery ctlsign cluster reset-localkey" in order


def test_thirty_days_are_a_warning(cluster):
    assert at(cluster, "2020-01-29T23:59:59Z").out == ""
    assert "expires in 30 days on 2020-02-29" in at(cluster, "2020-01-30T00:00:00Z", expect=1).out


def test_less_than_seven_days_are_an_alarm(cluster):
    def urgency(time):
        return json.loads(at(cluster, time, "--json", expect=1).out)["certificates"][0]["urgency"]

    # They are valid to the end of February the 28th.
    assert urgency("2020-02-22T00:00:00Z") == "warning" and urgency("2020-02-22T00:00:01Z") == "alarm"


def test_what_breaks_where_nothing_signs(cluster):
    """HTTPS, backups, tunnels, and what is asked of TVS."""
    for store in ("TVS", "tomcat", "ipsec"):
        for subject in (("--subject", f"CN={store}"), ()):
            regenerate(cluster, store, "--node", PUBLISHER, *subject, "--days", "5")
    shown = {line.split(" of ")[0].split()[-1]: line for line in cluster("expiry", expect=1).out.splitlines() if " of " in line}
    assert "HTTPS services and configuration are not authenticated" in shown["TVS"] and "then restart TVS" in shown["TVS"]
    assert "HTTPS services are not trusted" in shown["tomcat"] and "then restart Tomcat" in shown["tomcat"]
    assert "backups and tunnels fail" in shown["ipsec"] and "then restart DRF Local, DRF Master" in shown["ipsec"]
    for store in ("tomcat", "ipsec"):
        assert stored(cluster, store)[0]["serial"] in {each["serial"] for each in stored(cluster, f"{store}-trust")}
    assert {(each["service"], each["node"]) for each in json.loads(cluster("status", "--json").out)["restart"]} == {
        (service, PUBLISHER) for service in ("TVS", "Tomcat", "DRF Local", "DRF Master")}


def test_an_expired_entry_ends_a_token(tokens):
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND))
    tokens.change("update", *tokens.tokens(SECOND))
    tokens("certificate", "import", KRAKOW / "tokens" / f"{SECOND}.pem", "--store", "Phone-SAST-trust")
    assert "rule phone-sast-trust" in tokens("update", "--yes", *tokens.tokens(SECOND), expect=4).err
    # A time of signing from before it expired is no way out.
    assert "rule phone-sast-trust" in tokens.change("update", *tokens.tokens(SECOND), expect=4).err
    tokens.env["SOURCE_DATE_EPOCH"] = "1425667513"
    assert "rule phone-sast-trust" in tokens("update", "--yes", *tokens.tokens(SECOND), expect=4).err
    assert "expired in Phone-SAST-trust" in tokens("check", *tokens.tokens(SECOND)[:2], expect=1).out
    tokens.change("update", *tokens.tokens(FIRST))


def test_in_non_secure_mode_a_restart_settles_a_change(cluster):
    def one_after_the_other():
        told = regenerate(cluster, "CallManager", "--node", PUBLISHER).err
        assert "ctlsign cluster restarted" in told and "ctlsign cluster update" not in told
        for store, node in (("CallManager", SUBSCRIBER), ("TVS", PUBLISHER)):
            refused = regenerate(cluster, store, "--node", node, "--subject", "CN=other", expect=4).err
            assert "rule one-anchor-at-a-time" in refused and "ctlsign cluster restarted" in refused
        cluster("restarted")
        regenerate(cluster, "CallManager", "--node", SUBSCRIBER)
        cluster("restarted")

    one_after_the_other()  # phones hold an ITL where no CTL was ever published
    cluster("mixed-mode", "--tokenless", "--yes")
    cluster("non-secure-mode", "--yes")
    one_after_the_other()


def test_in_mixed_mode_a_ctl_settles_a_change(mixed):
    regenerate(mixed, "CallManager", "--node", PUBLISHER)
    mixed("restarted")
    refused = regenerate(mixed, "CallManager", "--node", SUBSCRIBER, expect=4).err
    assert "rule one-anchor-at-a-time" in refused
    assert "run ctlsign cluster update, reset the phones and run ctlsign cluster restarted before" in refused
    mixed("update", "--yes")
    for store, node in (("CallManager", SUBSCRIBER), ("TVS", PUBLISHER)):
        refused = regenerate(mixed, store, "--node", node, "--subject", "CN=other", expect=4).err
        assert "restart the services, reset the phones and run ctlsign cluster restarted before" in refused
        assert "ctlsign cluster update" not in refused
    mixed("restarted")
    regenerate(mixed, "CallManager", "--node", SUBSCRIBER)


def test_a_restart_settles_tvs_which_no_ctl_holds(mixed):
    for node in mixed.nodes:
        regenerate(mixed, "TVS", "--node", node, "--subject", f"CN={node}")
    told = regenerate(mixed, "TVS", "--node", SUBSCRIBER).err
    assert "no CTL holds it" in told and "ctlsign cluster restarted" in told and "ctlsign cluster update" not in told
    mixed("update", "--yes")
    for store, node in (("CallManager", SUBSCRIBER), ("TVS", PUBLISHER)):
        refused = regenerate(mixed, store, "--node", node, expect=4).err
        assert "TVS of cucm-1051-a-sub1 has changed" in refused and "ctlsign cluster restarted" in refused
        assert "ctlsign cluster update" not in refused
    mixed("restarted")
    regenerate(mixed, "CallManager", "--node", SUBSCRIBER)


def test_from_release_twelve_tvs_vouches_for_a_new_itlrecovery(make_cluster):
    cluster = make_cluster("12.0(1)")
    for store, node in (("ITLRecovery", PUBLISHER), ("TVS", PUBLISHER), ("TVS", SUBSCRIBER)):
        regenerate(cluster, store, "--node", node, "--subject", f"CN={store}-{node}")
    cluster("mixed-mode", "--tokenless", "--yes")
    regenerate(cluster, "TVS", "--node", PUBLISHER)
    for store, node in (("TVS", SUBSCRIBER), ("ITLRecovery", PUBLISHER)):
        assert "rule one-anchor-at-a-time" in regenerate(cluster, store, "--node", node, expect=4).err
    cluster("restarted")
    regenerate(cluster, "TVS", "--node", SUBSCRIBER)
    cluster("restarted")
    regenerate(cluster, "ITLRecovery")
    cluster("restarted")
    refused = regenerate(cluster, "TVS", "--node", PUBLISHER, expect=4).err
    assert "run ctlsign cluster reset-localkey, reset the phones" in refused
    cluster("reset-localkey", "--yes")
    assert "rule one-anchor-at-a-time" in regenerate(cluster, "TVS", "--node", PUBLISHER, expect=4).err
    cluster("restarted")
    regenerate(cluster, "TVS", "--node", PUBLISHER)


def test_a_ctl_that_the_stores_have_left_behind(mixed):
    def told():
        return mixed("status", expect=1).out, json.loads(mixed("status", "--json", expect=1).out)

    assert "does not hold" not in mixed("status").out
    regenerate(mixed, "CAPF")
    regenerate(mixed, "CallManager", "--node", PUBLISHER)
    for settled in (False, True):
        text, shown = told()
        for store in ("CAPF", "CallManager"):
            assert (f"the CTL does not hold the {store} certificate that {PUBLISHER} has now: run ctlsign cluster update\n"
                    in text), settled
        assert [(each["store"], each["node"]) for each in shown["not-in-ctl"]] == [("CAPF", PUBLISHER), ("CallManager", PUBLISHER)]
        assert shown["remake-with"] == "ctlsign cluster update" and shown["nodes-agree"]
        checked = mixed("check")
        assert "note: the CTL does not hold the CAPF certificate" in checked.out and "not ready" not in checked.out
        mixed("restarted")
    assert "the CTL does not hold the CAPF certificate" in mixed("recover").err
    mixed("update", "--yes")
    assert json.loads(mixed("status", "--json").out)["not-in-ctl"] == []
    assert "does not hold" not in mixed("check").out + mixed("recover").err
    # Without security none is made.
    mixed("non-secure-mode", "--yes")
    regenerate(mixed, "CAPF")
    assert json.loads(mixed("status", "--json").out)["not-in-ctl"] == []


def test_a_ctl_of_tokens_that_the_stores_have_left_behind(tokens):
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND))
    regenerate(tokens, "CAPF")
    assert "has now: run ctlsign cluster update --token\n" in tokens("status", expect=1).out
    tokens.change("update", *tokens.tokens(SECOND))
    assert tokens("status").code == 0


def test_two_new_servers(mixed):
    for number, base in enumerate(("certificates/cucm-1051-a-sub1", "regenerated/cucm-1051-a-pub"), 2):
        mixed.add_node(f"cucm-1051-a-sub{number}", f"10.48.47.15{number + 3}")
        mixed.import_own("CallManager", f"cucm-1051-a-sub{number}", KRAKOW / base)
    mixed.change("update")
    assert [role for role, _, _ in mixed.records()] == ["SAST", "CCM+TFTP", "CAPF", "CCM+TFTP", "CCM+TFTP", "CCM+TFTP"]


def test_a_place_where_no_key_can_be_written(mixed):
    """Nothing is changed, and nothing is left that keeps the next command from its work."""
    (mixed.folder / "file").write_text("x")
    (mixed.folder / "loose").symlink_to("nowhere")
    before = mixed("certificate", "list", "--json").out
    for key in ("file/new.key", "file/", "nowhere/new.key", "loose", "file"):
        told = regenerate(mixed, "CAPF", "--key", key, expect=6).err
        assert "ended in the middle" not in told
        assert mixed("release", "10.5(1)", "--yes").err == ""
    assert mixed("certificate", "list", "--json").out == before
    assert (mixed.folder / "file").read_text() == "x" and (mixed.folder / "loose").is_symlink()
    assert not (mixed.folder / "nowhere").exists()
