"""An inventory beside the cluster: which phones take the next CTL is said before it is published, by the cluster's own history."""

import hashlib
import json
import subprocess

import pytest
from conftest import FIRST, KRAKOW, SECOND, TIME

PUBLISHER = KRAKOW / "certificates" / "cucm-1051-a-pub"


def md5(octets):
    return hashlib.md5(octets).hexdigest().upper()


def write_inventory(cluster, *rows):
    (cluster.folder / "phones.csv").write_text("device,model,ctl,itl\n" + "".join(f"{row}\n" for row in rows))


@pytest.fixture
def itl(cluster):
    """The ITL of a cluster whose publisher runs TVS."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "tvs.key", "-out", "tvs.pem", "-days", "3650",
                    "-subj", "/CN=tvs"], cwd=cluster.folder, check=True, capture_output=True)
    cluster("certificate", "import", "tvs.pem", "--store", "TVS", "--node", "cucm-1051-a-pub", "--key", "tvs.key")
    records = "".join(f'[[record]]\nrole = "{role}"\ncertificate = "{path}"\n'
                      for role, path in (("SAST", f"{PUBLISHER}.pem"), ("CCM+TFTP", f"{PUBLISHER}.pem"), ("TVS", "tvs.pem")))
    (cluster.folder / "itl.toml").write_text('filename = "ITLFile.tlv"\ndigest = "sha1"\n' + records)
    cluster.ctlsign("build", "itl.toml", "--signer", f"{PUBLISHER}.key", "--certificate", f"{PUBLISHER}.pem", "-o", "ITLFile.tlv")
    return cluster.folder / "ITLFile.tlv"


def test_the_question_says_what_phones_will_do(tokens, itl):
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), "--digest", "sha1")
    ctl, held = md5(tokens.ctl), md5(itl.read_bytes())
    write_inventory(tokens, f"SEP1,8861,{ctl},{held}", f"SEP2,8861,{ctl},", f"SEP3,7960,{ctl},", f"SEP4,8861,{'AB' * 16},", "SEP5,8861,,")
    # Tokenless, the publisher signs: 8861 with an ITL knows it from there, SEP2 and SEP3 do not.
    arguments = ("update", "--tokenless", "--known", itl)
    report = json.loads(tokens(*arguments, "--dry-run", "--json", *TIME).out)["phones"]
    assert (report["phones"], report["accepts"], report["refuses"], report["not-known"]) == (5, 2, 2, 1)
    assert {rule["rule"]: rule["count"] for rule in report["rules"]} == {
        "first-list": 1, "installed-itl": 1, "no-security-by-default": 1, "no-itl": 1, "lists-unknown": 1}
    result = tokens.change(*arguments)
    question = result.err.index("Do you want to continue?")
    told = result.err[:question]
    assert "5 phones: 2 accept, 2 refuse, of 1 it is not known" in told and "SEP3" in told and "SEP4" in told
    # What was published is what phones take: the file itself answers as the plan did.
    (tokens.folder / "new.tlv").write_bytes(tokens.ctl)
    after = json.loads(tokens.ctlsign("phone", "preflight", "new.tlv", "--known", itl, "--json", expect=1).out)
    assert (after["accepts"], after["refuses"], after["not-known"]) == (2, 2, 1)


def test_the_stores_are_what_tvs_vouches_for(tokens, itl):
    for name in (FIRST, SECOND):
        tokens("certificate", "import", KRAKOW / "tokens" / f"{name}.pem", "--store", "Phone-SAST-trust")
    told = json.loads(tokens.ctlsign("tvs", "import-database", "--cluster", "cluster.db", "-o", "tvs.db", "--json").out)
    assert told["left-out"] == []
    roles = {}
    for one in told["certificates"]:
        roles.setdefault(one["subject"], set()).update(one["roles"])
    named = {name: next(roles[subject] for subject in roles if name in subject) for name in ("pub", "sub1", "CAPF", "tvs", FIRST, SECOND)}
    # CallManager-trust has copies of these two and of CAPF's.
    assert named["pub"] == named["sub1"] == {"SAST", "CCM+TFTP"}
    assert (named["CAPF"], named["tvs"], named[FIRST], named[SECOND]) == ({"CAPF"}, {"TVS"}, {"SAST"}, {"SAST"})
    assert "left out" in tokens.ctlsign("tvs", "import-database", "tvs.db", "-o", "again.db").out
    for arguments in ((), ("open.db", "--cluster", "cluster.db")):
        assert "one of them" in tokens.ctlsign("tvs", "import-database", *arguments, "-o", "no.db", expect=2).err


def test_the_history_is_known_by_its_checksums(cluster):
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    old = cluster.ctl
    cluster.change("update", "--digest", "sha512")
    sha1 = hashlib.sha1(cluster.ctl).hexdigest()
    write_inventory(cluster, f"SEP1,8861,{md5(old)},", f"SEP2,8861,{sha1},")
    listed = json.loads(cluster.ctlsign("phone", "list", "--json").out)["phones"]
    assert [phone["ctl"] for phone in listed] == ["publication 1", "publication 2"]
    (cluster.folder / "elsewhere").mkdir()
    (cluster.folder / "cluster.db").rename(cluster.folder / "elsewhere" / "krakow.db")
    assert json.loads(cluster.ctlsign("phone", "list", "--json").out)["phones"][0]["ctl"] == md5(old)
    named = json.loads(cluster.ctlsign("phone", "list", "--cluster", "elsewhere/krakow.db", "--json").out)["phones"]
    assert [phone["ctl"] for phone in named] == ["publication 1", "publication 2"]


def test_the_cluster_s_own_tvs_answers(tokens, itl):
    """Tokens that are uploaded before they sign are vouched for; without the upload they are not."""
    tokens.change("mixed-mode", "--tokenless", "--digest", "sha1")
    row = f"8861,{md5(tokens.ctl)},{md5(itl.read_bytes())}"
    write_inventory(tokens, *(f"SEP{number},{row}" for number in range(3)))
    tokens("delete-ctl", "--yes")
    for name in ("NEW-A", "NEW-B"):
        tokens.create_token(name)
        tokens.ctlsign("token", "export-certificate", f"pkcs11:token={name}", "-o", f"{name}.pem", env=tokens.env)
    arguments = ("mixed-mode", *tokens.tokens("NEW-A", "NEW-B"), "--known", itl, "--dry-run", "--json", *TIME)
    refused = json.loads(tokens(*arguments, "--force").out)["phones"]
    assert refused["refuses"] == 3 and refused["rules"][0]["rule"] in ("tvs-invalid", "tvs-not-sast")
    for name in ("NEW-A", "NEW-B"):
        tokens("certificate", "import", f"{name}.pem", "--store", "Phone-SAST-trust")
    report = json.loads(tokens(*arguments).out)["phones"]
    assert (report["accepts"], report["rules"][0]["rule"]) == (3, "tvs")
    # Whom phones ask by name must be of this cluster; device pools are known to nobody here.
    (tokens.folder / "phones.csv").write_text(
        f"device,model,ctl,itl,pool,tvs\nSEP1,{row},x,\nSEP2,{row},x,CUCM-1051-A-PUB\nSEP3,{row},,old-cucm-of-another-cluster\n")
    report = json.loads(tokens(*arguments).out)["phones"]
    assert {rule["rule"]: rule["count"] for rule in report["rules"]} == {"tvs": 2, "tvs-unknown": 1}


def test_the_ctl_of_another_cluster_is_not_what_tvs_serves(tokens, itl):
    tokens.change("mixed-mode", "--tokenless", "--digest", "sha1")
    write_inventory(tokens, f"SEP1,8861,{md5(tokens.ctl)},{md5(itl.read_bytes())}")
    tokens.create_token("OTHER")
    tokens.ctlsign("token", "export-certificate", "pkcs11:token=OTHER", "-o", "other.pem", env=tokens.env)

    def publish(name, server):
        (tokens.folder / "manifest.toml").write_text(
            'filename = "CTLFile.tlv"\ndigest = "sha1"\nname-style = "ctl-client"\n'
            '[[record]]\nrole = "SAST"\nname-style = "ctl-client"\ncertificate = "other.pem"\n'
            f'[[record]]\nrole = "CCM+TFTP"\ncertificate = "{server}.pem"\n')
        tokens.ctlsign("build", "manifest.toml", "--signer", "pkcs11:token=OTHER", "--pin-source",
                       f"file:{tokens.folder}/virtual/tokens/OTHER/user-pin", "-o", name, env=tokens.env)

    def ask(name, rule, remedy=None):
        expect = 0 if remedy is None else 1
        report = json.loads(tokens.ctlsign("phone", "preflight", name, "--known", itl, "--json", expect=expect).out)
        assert report["rules"][0]["rule"] == rule
        held = tokens.nodes["cucm-1051-a-pub"] / "CTLFile.tlv"
        one = json.loads(tokens.ctlsign("phone", "decide", name, "--model", "8861", "--ctl", held, "--itl", itl, "--json", expect=expect).out)
        assert one["rule"] == rule
        if remedy:
            assert remedy in [each["remedy"] for each in report["remedies"]] and one["remedies"][0] == remedy

    publish("foreign.tlv", KRAKOW / "regenerated" / "cucm-1051-a-pub")
    publish("own.tlv", PUBLISHER)
    ask("foreign.tlv", "tvs-invalid", "put-signer-into-phone-sast-trust")
    tokens("certificate", "import", "other.pem", "--store", "Phone-SAST-trust")
    # TVS looks a token up in its own CTL: the upload alone is not enough, and is not advised again.
    ask("foreign.tlv", "tvs-invalid", "put-signer-into-tvs-ctl")
    ask("own.tlv", "tvs")
    (tokens.folder / "elsewhere").mkdir()
    (tokens.folder / "cluster.db").rename(tokens.folder / "elsewhere" / "krakow.db")
    held = tokens.nodes["cucm-1051-a-pub"] / "CTLFile.tlv"
    one = ("phone", "decide", "own.tlv", "--model", "8861", "--ctl", held, "--itl", itl)
    assert "not among those known" in tokens.ctlsign(*one, expect=1).out
    assert "TVS vouches" in tokens.ctlsign(*one, "--cluster", "elsewhere/krakow.db").out


def test_a_first_ctl_has_the_digest_that_all_phones_know(cluster):
    write_inventory(cluster, "SEP1,8861,,", "SEP2,7960,,")
    result = cluster.change("mixed-mode", "--tokenless")
    assert "the digest is SHA-1: 1 phones know no other" in result.err
    assert cluster.ctl == (KRAKOW / "CTLFile-tokenless.tlv").read_bytes()


def test_the_administrator_s_digest_counts(cluster):
    write_inventory(cluster, "SEP1,7960,,")
    report = json.loads(cluster.change("mixed-mode", "--tokenless", "--digest", "sha512", "--json").out)
    assert report["digest"] == "SHA-512" and report["phones"]["refuses"] == 1
    assert cluster.ctl == (KRAKOW / "CTLFile-tokenless-sha512.tlv").read_bytes()


def test_what_each_way_out_costs(tokens, itl):
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), "--digest", "sha1")
    ctl, held = md5(tokens.ctl), md5(itl.read_bytes())
    write_inventory(tokens, f"SEP1,8861,{ctl},{held}", f"SEP2,8861,{ctl},{held}", f"SEP3,7960,{ctl},", f"SEP4,8861,{'AB' * 16},")
    for name in (FIRST, SECOND):
        tokens.unplug(name)
    for name in ("NEW-A", "NEW-B"):
        tokens.create_token(name)
    lost = ("recover", "--lost", FIRST, "--lost", SECOND, "--known", itl)
    counts = {way["way"]: way["counts"] for way in json.loads(tokens(*lost, "--json", expect=1).out)["ways"]}
    assert counts["to-tokenless"] == {"by-themselves": 2, "by-hand": 1, "not-known": 1}
    assert counts["to-non-secure"] == counts["to-tokenless"]
    assert counts["new-tokens"] == {"by-themselves": 0, "by-hand": 3, "not-known": 1}
    assert "2 phones take it by themselves, 1 need a hand, of 1 it is not known" in tokens(*lost, expect=1).out


def test_an_inventory_that_cannot_be_read(cluster):
    write_inventory(cluster, "SEP1,8861,12,")
    assert "phones.csv" in cluster.change("mixed-mode", "--tokenless", expect=3).err
    assert cluster.ctl is None and cluster.mode == "0"
    cluster.change("mixed-mode", "--tokenless", "--phones", "absent.csv", expect=6)
