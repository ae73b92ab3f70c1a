"""phone import, list, decide, preflight and simulate: what phones have, what they will do, and phones that do it."""

import functools
import hashlib
import http.server
import json
import os
import resource
import shutil
import socket
import struct
import subprocess
import threading

import pytest
from conftest import KRAKOW, PROGRAM
from tvs_server import keys, make_database, serve  # noqa: F401: fixtures

PUBLISHER = KRAKOW / "certificates" / "cucm-1051-a-pub"
REGENERATED = KRAKOW / "regenerated" / "cucm-1051-a-pub"


@pytest.fixture
def cluster(ctlsign, tmp_path, keys):  # noqa: F811
    """What a cluster has published, what it is about to publish, and a plan of its TVS server."""

    def build(name, signer, records, filename):
        text = f'filename = "{filename}"\ndigest = "sha1"\n'
        for role, certificate in records:
            text += f'[[record]]\nrole = "{role}"\ncertificate = "{certificate}"\n'
        (tmp_path / "manifest.toml").write_text(text)
        ctlsign("build", "manifest.toml", "--signer", signer.with_suffix(".key"), "--certificate", signer.with_suffix(".pem"), "-o", name)
        return tmp_path / name

    old, new = PUBLISHER.with_suffix(".pem"), REGENERATED.with_suffix(".pem")
    tvs = keys / "tvs.pem"
    ctl = build("old-ctl.tlv", PUBLISHER, [("SAST", old), ("CCM+TFTP", old)], "CTLFile.tlv")
    itl = build("old-itl.tlv", PUBLISHER, [("SAST", old), ("CCM+TFTP", old), ("TVS", tvs)], "ITLFile.tlv")
    new_ctl = build("new-ctl.tlv", REGENERATED, [("SAST", new), ("CCM+TFTP", new)], "CTLFile.tlv")
    new_itl = build("new-itl.tlv", REGENERATED, [("SAST", new), ("CCM+TFTP", new), ("TVS", tvs)], "ITLFile.tlv")
    make_database(tmp_path / "tvs.db", [(new, "SAST,CCM+TFTP", 86400)])
    (tmp_path / "tvs.toml").write_text(f'[[server]]\nname = "cucm1"\ncertificate = "{tvs}"\ndatabase = "tvs.db"\n'
                                       '[[pool]]\nname = "near"\nservers = ["cucm1"]\n[[pool]]\nname = "far"\nservers = []\n')
    return {"ctl": ctl, "itl": itl, "new-ctl": new_ctl, "new-itl": new_itl, "tvs": tmp_path / "tvs.toml", "database": tmp_path / "tvs.db"}


def sums(path):
    data = path.read_bytes()
    return hashlib.md5(data).hexdigest(), hashlib.sha1(data).hexdigest()


@pytest.fixture
def inventory(cluster, tmp_path):
    ctl, itl = sums(cluster["ctl"]), sums(cluster["itl"])
    rows = [f"SEP0,CP-8861,x,{ctl[0]},{itl[1]},near", f"SEP1,CP-8861,x,{ctl[1].upper()},{itl[0]},near",
            f"SEP2,Cisco 7960,x,{ctl[0]},,near", f"SEP3,CP-8861,x,{ctl[0]},{itl[0]},far", "SEP4,CP-8861,x,,,near",
            f"SEP5,CP-8861,x,{'ab' * 16},{'cd' * 20},near", f"SEP6,<b>Polycom&,x,{ctl[0]},{itl[0]},near"]
    (tmp_path / "export.csv").write_text("Device Name,Product,Load,CTL,ITL,Device Pool\n" + "\n".join(rows) + "\n")
    return tmp_path / "export.csv"


def known(cluster):
    return ["--known", cluster["ctl"], "--known", cluster["itl"]]


def test_import_and_list(ctlsign, cluster, inventory, tmp_path):
    assert "phones.csv: 7 phones, 7 of them new, 0 updated" in ctlsign("phone", "import", inventory).out
    (tmp_path / "more.jsonl").write_text('{"device": "SEP0", "model": "8851"}\n{"device": "SEP9", "model": "8861"}\n')
    assert json.loads(ctlsign("phone", "import", "more.jsonl", "--json").out) == {"file": "phones.csv", "phones": 8, "added": 1, "updated": 1}
    phones = {one["device"]: one for one in json.loads(ctlsign("phone", "list", *known(cluster), "--json").out)["phones"]}
    assert phones["SEP1"]["ctl"] == phones["SEP0"]["ctl"] == str(cluster["ctl"])
    assert phones["SEP0"]["model"] == "8851" and phones["SEP9"]["ctl"] == "?" and phones["SEP4"]["ctl"] == "none"
    assert phones["SEP5"]["ctl"] == "AB" * 16 and phones["SEP6"]["model-known"] is False
    assert "SEP6  <b>Polycom& (model not known)" in ctlsign("phone", "list").out
    (tmp_path / "bad.csv").write_text("device,ctl\nSEP1,12\n")
    assert "line 2" in ctlsign("phone", "import", "bad.csv", expect=3).err
    ctlsign("phone", "import", "absent.csv", expect=6)
    assert len(json.loads(ctlsign("phone", "list", "--json").out)["phones"]) == 8


def test_decide(ctlsign, cluster):
    lists = ["--ctl", cluster["ctl"], "--itl", cluster["itl"]]
    yes = ctlsign("phone", "decide", cluster["new-ctl"], "--model", "8861", *lists, "--tvs", cluster["tvs"])
    assert yes.out == "accepts: TVS vouches for the signer (rule 3)\n"
    no = json.loads(ctlsign("phone", "decide", cluster["new-ctl"], "--model", "7960", *lists, "--tvs", cluster["tvs"], "--json", expect=1).out)
    assert no["rule"] == "no-security-by-default" and no["step"] == 5 and "delete-list-by-hand" in no["remedies"]
    down = ctlsign("phone", "decide", cluster["new-ctl"], "--model", "8861", *lists, "--tvs", cluster["tvs"], "--pool", "far", expect=1)
    assert "no TVS server answers (rule 4); to change it:" in down.out
    nobody = ctlsign("phone", "decide", cluster["new-ctl"], "--model", "8861", *lists, "--tvs", cluster["tvs"], "--pool", "fra", expect=1)
    assert nobody.out.startswith("not-known: it asks TVS, and its TVS servers are not among those known (rule 3); to change it:")
    alone = json.loads(ctlsign("phone", "decide", cluster["new-ctl"], "--model", "8861", *lists, "--json", expect=1).out)
    assert (alone["outcome"], alone["rule"], alone["remedies"][0]) == ("not-known", "tvs-unknown", "list-tvs"), "no plan, no cluster"
    first = ctlsign("phone", "decide", cluster["new-ctl"], "--model", "Polycom")
    assert "(rule 1)" in first.out and "is not known" in first.err
    itl = json.loads(ctlsign("phone", "decide", cluster["new-itl"], "--model", "8861", "--ctl", cluster["new-ctl"], "--json").out)
    assert itl["rule"] == "installed-ctl"


def test_rows_of_models_may_be_added(ctlsign, cluster, tmp_path):
    (tmp_path / "models.toml").write_text('[[model]]\nwhy = "measured"\nname = "Polycom"\nguess = false\nsecurity-by-default = true\n')
    lists = ["--ctl", cluster["ctl"], "--itl", cluster["itl"], "--tvs", cluster["tvs"], "--model", "Polycom"]
    assert "not-known" in ctlsign("phone", "decide", cluster["new-ctl"], *lists, expect=1).out
    assert "accepts" in ctlsign("phone", "decide", cluster["new-ctl"], *lists, "--models", "models.toml").out
    (tmp_path / "models.toml").write_text("[[model]]\nwhy = 1\n")
    ctlsign("phone", "decide", cluster["new-ctl"], *lists, "--models", "models.toml", expect=3)


def test_preflight(ctlsign, cluster, inventory):
    ctlsign("phone", "import", inventory)
    arguments = ["phone", "preflight", cluster["new-ctl"], *known(cluster), "--tvs", cluster["tvs"]]
    report = json.loads(ctlsign(*arguments, "--json", expect=1).out)
    assert (report["accepts"], report["refuses"], report["not-known"]) == (3, 2, 2)
    rules = {one["rule"]: one for one in report["rules"]}
    assert rules["tvs"]["devices"] == ["SEP0", "SEP1"] and rules["first-list"]["devices"] == ["SEP4"]
    assert rules["no-security-by-default"]["devices"] == ["SEP2"] and rules["tvs-down"]["devices"] == ["SEP3"]
    assert rules["lists-unknown"]["devices"] == ["SEP5"] and rules["model-unknown"]["devices"] == ["SEP6"]
    by_hand = next(one for one in report["remedies"] if one["remedy"] == "delete-list-by-hand")
    assert by_hand["phones"] == 2 and by_hand["devices"] == ["SEP2", "SEP3"]
    assert [(one["outcome"], one["rule"], one["model"], one["phones"]) for one in report["groups"]][0] == ("accepts", "tvs", "CP-8861", 1)
    assert sum(one["phones"] for one in report["groups"]) == 7 and {one["pool"] for one in report["groups"]} == {"near", "far"}
    text = ctlsign(*arguments, expect=1).out
    assert text.startswith("7 phones: 3 accept, 2 refuse, of 2 it is not known\n")
    assert "             SEP2\n" in text and "what would change it:" in text
    good = ctlsign("phone", "preflight", cluster["ctl"], *known(cluster), "--json", "--phones", inventory)
    assert json.loads(good.out)["refuses"] == 0


def test_preflight_knows_nothing_of_lists_that_the_inventory_does_not_name(ctlsign, cluster, tmp_path):
    inventory = tmp_path / "phones.csv"
    arguments = ["phone", "preflight", cluster["new-ctl"], *known(cluster), "--json"]
    for text in ("device,model\nSEP1,7960\n", '{"device":"SEP1","model":"7960"}\n', '{"device":"SEP1","model":"7960","ctl":null,"itl":""}\n'):
        inventory.write_text(text)
        report = json.loads(ctlsign(*arguments).out)
        assert (report["accepts"], report["rules"][0]["rule"]) == (0, "lists-unknown")
    inventory.write_text("device,model,ctl,itl\nSEP1,7960,,\n")
    assert json.loads(ctlsign(*arguments).out)["rules"][0]["rule"] == "first-list"
    inventory.write_text(f"device,model,ctl,ctl checksum,itl\nSEP1,7960,{sums(cluster['ctl'])[0]},,\n")
    assert "line 1: 'ctl' is there twice" in ctlsign(*arguments, expect=3).err


def test_preflight_asks_the_servers_that_the_inventory_names(ctlsign, cluster, tmp_path):
    lists = f"{sums(cluster['ctl'])[0]},{sums(cluster['itl'])[0]}"
    rows = {"SEP1": "near,cucm9", "SEP2": 'near,"CUCM1,cucm9"', "SEP3": "NEAR,", "SEP4": "elsewhere,", "SEP5": ",cucm9 cucm1", "SEP6": ","}
    (tmp_path / "phones.csv").write_text("device,model,ctl,itl,pool,tvs\n" + "".join(f"{name},8861,{lists},{row}\n" for name, row in rows.items()))
    report = json.loads(ctlsign("phone", "preflight", cluster["new-ctl"], *known(cluster), "--tvs", cluster["tvs"], "--json").out)
    rules = {one["rule"]: one["devices"] for one in report["rules"]}
    assert rules == {"tvs": ["SEP2", "SEP3", "SEP6"], "tvs-unknown": ["SEP1", "SEP4", "SEP5"]}
    assert {one["remedy"]: one["phones"] for one in report["remedies"]}["list-tvs"] == 3


def test_a_7960_asks_nobody_however_it_is_spelt(ctlsign, cluster):
    arguments = ["phone", "decide", cluster["new-ctl"], "--ctl", cluster["ctl"], "--itl", cluster["itl"], "--tvs", cluster["tvs"], "--json"]
    for model in ("CP-7960G=", "Cisco 7960G SCCP", "cisco 7940-A", "Cisco 7960 "):
        assert json.loads(ctlsign(*arguments, "--model", model, expect=1).out)["rule"] == "no-security-by-default"
    for model in ("7905", "7912"):
        assert json.loads(ctlsign(*arguments, "--model", model, expect=1).out)["rule"] == "model-unknown"


def test_steps_that_are_needed_together_are_told_together(ctlsign, cluster, tmp_path):
    make_database(tmp_path / "empty.db", [])
    (tmp_path / "empty.toml").write_text(cluster["tvs"].read_text().replace("tvs.db", "empty.db"))
    lists = ["--ctl", cluster["ctl"], "--itl", cluster["itl"], "--model", "7962"]
    told = ctlsign("phone", "decide", cluster["new-ctl"], *lists, "--tvs", "empty.toml", expect=1).out
    assert ("to change it: let TVS speak TLS 1.0 until these phones have the list, and put the signer's certificate into Phone-SAST-trust, "
            "or sign with") in told
    (tmp_path / "phones.csv").write_text(f"device,model,ctl,itl\nSEP1,7962,{sums(cluster['ctl'])[0]},{sums(cluster['itl'])[0]}\n")
    report = json.loads(ctlsign("phone", "preflight", cluster["new-ctl"], *known(cluster), "--tvs", "empty.toml", "--json", expect=1).out)
    both = next(one for one in report["remedies"] if one["remedy"] == "allow-tls10+put-signer-into-phone-sast-trust")
    assert both["steps"] == ["allow-tls10", "put-signer-into-phone-sast-trust"] and both["phones"] == 1
    one = json.loads(ctlsign("phone", "decide", cluster["new-ctl"], *lists, "--tvs", cluster["tvs"], "--json", expect=1).out)
    assert one["rule"] == "tvs-tls-too-new" and one["remedies"][0] == "allow-tls10"


def test_a_plan_without_a_ctl_takes_no_other_cluster_s_ctl_for_its_own(ctlsign, cluster, tmp_path):
    # The token is in Phone-SAST-trust: it is found in a CTL of its own cluster alone.
    token = KRAKOW / "tokens" / "SAST-ADN0054f509"
    make_database(tmp_path / "tvs.db.new", [(token.with_suffix(".pem"), "SAST", 86400), (PUBLISHER.with_suffix(".pem"), "SAST,CCM+TFTP", 86400)])
    (tmp_path / "tvs.db.new").rename(cluster["database"])
    arguments = ["--model", "8861", "--ctl", cluster["ctl"], "--itl", cluster["itl"], "--tvs", cluster["tvs"], "--json"]
    for server, expect, rule in ((PUBLISHER, 0, "tvs"), (REGENERATED, 1, "tvs-invalid")):
        (tmp_path / "manifest.toml").write_text(
            'filename = "CTLFile.tlv"\ndigest = "sha1"\nname-style = "ctl-client"\n'
            f'[[record]]\nrole = "SAST"\nname-style = "ctl-client"\ncertificate = "{token}.pem"\n'
            f'[[record]]\nrole = "CCM+TFTP"\ncertificate = "{server}.pem"\n')
        ctlsign("build", "manifest.toml", "--signer", f"{token}.key", "--certificate", f"{token}.pem", "-o", f"{rule}.tlv")
        answer = json.loads(ctlsign("phone", "decide", f"{rule}.tlv", *arguments, expect=expect).out)
        assert answer["rule"] == rule
    assert answer["remedies"][0] == "put-signer-into-tvs-ctl"


def test_preflight_knows_the_new_list_itself(ctlsign, cluster, tmp_path):
    (tmp_path / "phones.csv").write_text(f"device,model,ctl,itl\nSEP1,8861,{sums(cluster['new-ctl'])[0]},\n")
    assert json.loads(ctlsign("phone", "preflight", cluster["new-ctl"], "--json").out)["rules"][0]["rule"] == "already-installed"


def test_preflight_of_no_phones_says_so(ctlsign, cluster, tmp_path):
    (tmp_path / "phones.csv").write_text("device,model,ctl,itl\n")
    assert "phones.csv: no phone is in it" in ctlsign("phone", "preflight", cluster["new-ctl"]).err
    for text in ('device,"model,ctl\nSEP1,8861,\n', "device,model,ctl\rSEP1,8861,\r"):
        (tmp_path / "phones.csv").write_bytes(text.encode())
        assert "line 1" in ctlsign("phone", "preflight", cluster["new-ctl"], expect=3).err


def test_names_that_would_forge_a_line_are_refused(ctlsign, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"device": "SEP1\\u001b[31m\\nctlsign: x"}\n')
    told = ctlsign("phone", "import", "bad.jsonl", expect=3).err
    assert "is no name of a phone" in told and "\x1b" not in told and len(told.splitlines()) == 1


def test_a_plan_that_is_wrong(ctlsign, cluster, tmp_path):
    for text, problem in (('[[server]]\nname = "a"\n', "a name and a certificate"), ("server = 1\n", "expected [[server]]"),
                          ('[[pool]]\nname = "p"\nservers = ["x"]\n', "not there"), ("[[", "tvs.toml"),
                          ('[[server]]\nname = "a"\ncertificate = "b"\nup = true\n', "no server has the key 'up'")):
        (tmp_path / "tvs.toml").write_text(text)
        result = ctlsign("phone", "decide", cluster["ctl"], "--model", "8861", "--tvs", "tvs.toml", expect=3)
        assert problem in result.err


# --- simulate -------------------------------------------------------------------------------------------------


class TftpServer:
    """Enough of RFC 1350 to serve a folder. Where packets are lost, those are the first request for every file, and two in its middle."""

    def __init__(self, folder, lossy=False):
        self.folder, self.lossy, self.seen = folder, lossy, set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            packet, client = self.socket.recvfrom(2000)
            name = packet[2:packet.index(0, 2)].decode()
            if self.lose((name, client)):
                continue
            threading.Thread(target=self.serve, args=(name, client), daemon=True).start()

    def lose(self, packet):
        """The first of its kind, where packets are lost."""
        first = packet not in self.seen
        self.seen.add(packet)
        return self.lossy and first

    def serve(self, name, client):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as data:
            data.bind(("127.0.0.1", 0))
            data.settimeout(30)
            path = self.folder / name
            if not path.exists():
                data.sendto(struct.pack("!HH", 5, 1) + b"no such file\0", client)
                return
            content = path.read_bytes()
            for number in range(1, len(content) // 512 + 2):
                packet = struct.pack("!HH", 3, number) + content[(number - 1) * 512:number * 512]
                # Of the second block the packet itself is lost, of the third its acknowledgement.
                if number != 2 or not self.lose((name, client, number)):
                    data.sendto(packet, client)
                while True:
                    acknowledged = struct.unpack("!H", data.recv(100)[2:4])[0]
                    if acknowledged == number and not (number == 3 and self.lose((name, client, "acknowledgement"))):
                        break
                    if acknowledged == number - 1:  # asked for again
                        data.sendto(packet, client)


def publish(folder, ctl, itl):
    folder.mkdir(exist_ok=True)
    shutil.copy(ctl, folder / "CTLFile.tlv")
    shutil.copy(itl, folder / "ITLFile.tlv")
    return folder


def test_simulate_a_regenerated_certificate_over_tftp_and_http(ctlsign, cluster, serve, tmp_path):  # noqa: F811
    folder = publish(tmp_path / "files", cluster["ctl"], cluster["itl"])
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *_: None
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    tftp = TftpServer(folder)
    first = ctlsign("phone", "simulate", "--state", "lab", "--count", 5, "--source", f"tftp://127.0.0.1:{tftp.port}")
    assert "5 phones: 10 lists taken, 0 refused" in first.out and "SEP000000000004: CTL and ITL installed" in first.out
    publish(folder, cluster["new-ctl"], cluster["new-itl"])
    server = serve("--database", cluster["database"])
    second = json.loads(ctlsign("phone", "simulate", "--state", "lab", "--source", f"http://127.0.0.1:{web.server_address[1]}", "--tvs-server",
                                f"127.0.0.1:{server.port}", "--json").out)
    assert second["taken"] == 10 and second["queries"] == 5 and second["status"] == {"Trust List updated": 5}
    # What they have now is an inventory like any other.
    lists = [word for path in sorted((tmp_path / "lab/lists").iterdir()) for word in ("--known", path)]
    report = json.loads(ctlsign("phone", "preflight", cluster["new-ctl"], "--phones", "lab/phones.csv", *lists, "--json").out)
    assert report["rules"][0]["rule"] == "already-installed" and report["accepts"] == 5
    web.shutdown()
    web.server_close()


def test_simulate_when_packets_are_lost(ctlsign, cluster, tmp_path):
    tftp = TftpServer(publish(tmp_path / "files", cluster["ctl"], cluster["itl"]), lossy=True)
    result = ctlsign("phone", "simulate", "--state", "lab", "--count", 1, "--source", f"tftp://127.0.0.1:{tftp.port}", "--quiet")
    assert result.out.startswith("1 phones: 2 lists taken")


def test_simulate_takes_no_answer_that_is_cut(ctlsign, cluster, tmp_path):
    content = cluster["ctl"].read_bytes()

    class Short(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if not self.path.endswith("/CTLFile.tlv"):
                return self.send_error(404)
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:-100])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Short) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        told = ctlsign("phone", "simulate", "--state", "lab", "--count", 1, "--source", f"http://127.0.0.1:{web.server_address[1]}", expect=1).out
        web.shutdown()
    assert "CTLFile.tlv: the HTTP server's answer is cut" in told and ": 0 lists taken" in told


def test_simulate_tries_every_address_of_a_name(ctlsign, cluster, serve, tmp_path):  # noqa: F811
    """Whichever of them comes first, the servers listen on one alone."""
    folder = publish(tmp_path / "files", cluster["ctl"], cluster["itl"])
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *_: None
    tftp, tvs = TftpServer(folder), serve("--database", cluster["database"])
    (tmp_path / "hosts").write_text("127.0.0.9 one\n127.0.0.1 one\n127.0.0.1 two\n127.0.0.9 two\n")
    way = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]

    def simulate(*options):
        script = f'mount --bind "{tmp_path}/hosts" /etc/hosts; exec "$@"'
        done = subprocess.run([*way, "sh", "-euc", script, "sh", PROGRAM, "phone", "simulate", "--quiet", "--json", *map(str, options)],
                              capture_output=True, cwd=tmp_path, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        for name in ("one", "two"):
            publish(folder, cluster["ctl"], cluster["itl"])
            first = simulate("--state", name, "--count", 1, "--source", f"tftp://{name}:{tftp.port}")
            assert (first["taken"], first["failed"]) == (2, 0)
            publish(folder, cluster["new-ctl"], cluster["new-itl"])
            second = simulate("--state", name, "--source", f"http://{name}:{web.server_address[1]}", "--tvs-server", f"{name}:{tvs.port}")
            assert (second["taken"], second["queries"], second["failed"]) == (2, 1, 0)
        web.shutdown()


def test_simulated_phones_ask_the_servers_of_their_own(ctlsign, cluster, serve, tmp_path):  # noqa: F811
    folder = publish(tmp_path / "files", cluster["new-ctl"], cluster["new-itl"])
    near = "127.{}.{}.7".format(*divmod(os.getpid() % 65536, 256))  # nobody else has the port there
    server = serve("--database", cluster["database"], listen=(f"{near}:2445",))
    lists = f"{sums(cluster['ctl'])[0]},{sums(cluster['itl'])[0]}"
    rows = {"SEP1": near, "SEP2": "nobody.invalid", "SEP3": f"nobody.invalid {near}", "SEP4": ""}
    (tmp_path / "phones.csv").write_text("device,model,ctl,itl,tvs\n" + "".join(f"{name},8861,{lists},{row}\n" for name, row in rows.items()))
    base = ["phone", "simulate", "--source", folder, "--phones", "phones.csv", *known(cluster)]
    told = ctlsign(*base, "--state", "lab", expect=1).out
    updated = {line.split(":")[0] for line in told.splitlines() if line.endswith(": Trust List updated")}
    assert updated == {"SEP1", "SEP3"} and "SEP2: TCP connect() failed" in told
    assert server.counters()["valid"] == 2
    everybody = json.loads(ctlsign(*base, "--state", "other", "--tvs-server", near, "--json").out)
    assert everybody["queries"] == 4 and everybody["refused"] == 0


def test_simulate_a_phone_of_tls10(ctlsign, cluster, serve, tmp_path):  # noqa: F811
    folder = publish(tmp_path / "files", cluster["ctl"], cluster["itl"])
    base = ["phone", "simulate", "--state", "lab", "--source", folder, "--json"]
    ctlsign(*base, "--count", 1, "--model", "CP-7962G")
    publish(folder, cluster["new-ctl"], cluster["new-itl"])
    modern = serve("--database", cluster["database"])
    refused = json.loads(ctlsign(*base, "--tvs-server", f"127.0.0.1:{modern.port}", expect=1).out)
    assert refused["refused"] == 2 and refused["queries"] == 0
    told = ctlsign(*base[:-1], "--tvs-server", f"127.0.0.1:{modern.port}", expect=1).out
    assert "Handshake failed: no TLS version in common" in told and "not found in ITL" not in told
    assert "TVS does not speak its TLS 1.0" in told
    old = serve("--database", cluster["database"], "--allow-tls10")
    taken = json.loads(ctlsign(*base, "--tvs-server", f"127.0.0.1:{old.port}").out)
    assert taken["taken"] == 2 and "TLSv1 " in old.text()


def test_five_thousand_phones_start_at_once(ctlsign, cluster, serve, tmp_path):  # noqa: F811
    folder = publish(tmp_path / "files", cluster["ctl"], cluster["itl"])
    base = ["phone", "simulate", "--state", "lab", "--source", folder, "--json"]
    ctlsign(*base, "--count", 5000, timeout=300)
    publish(folder, cluster["new-ctl"], cluster["new-itl"])
    server = serve("--database", cluster["database"], "--max-per-address", 6000, "--handshake-timeout", 200)
    summary = json.loads(ctlsign(*base, "--tvs-server", f"127.0.0.1:{server.port}", "--timeout", 200, timeout=300).out)
    assert (summary["taken"], summary["queries"], summary["failed"]) == (10000, 5000, 0)
    assert server.counters()["valid"] == 5000


def test_simulated_phones_name_themselves_as_real_ones_do(ctlsign, cluster, serve, tmp_path):  # noqa: F811
    folder = publish(tmp_path / "files", cluster["ctl"], cluster["itl"])
    base = ["phone", "simulate", "--state", "lab", "--source", folder]
    ctlsign(*base, "--count", 1, "--model", "Cisco 8861")
    publish(folder, cluster["new-ctl"], cluster["new-itl"])
    server = serve("--database", cluster["database"])
    ctlsign(*base, "--tvs-server", f"127.0.0.1:{server.port}")
    assert 'device="CP-8861-SEP000000000000"' in server.text()


def test_simulate_keeps_one_phone_of_a_name(ctlsign, cluster, tmp_path):
    folder = publish(tmp_path / "files", cluster["ctl"], cluster["itl"])
    (tmp_path / "some.csv").write_text("device,model,ctl,itl\nSEP000000000000,7960,,\n")
    base = ["phone", "simulate", "--state", "lab", "--source", folder, "--count", 2, "--phones", "some.csv", "--quiet"]
    assert ctlsign(*base).out.startswith("2 phones: 4 lists taken")
    assert ctlsign(*base).out.startswith("2 phones: 0 lists taken")
    assert "SEP000000000000,7960," in (tmp_path / "lab/phones.csv").read_text()


def test_simulate_counts_configuration_that_cannot_be_fetched(ctlsign, cluster, tmp_path):
    folder = publish(tmp_path / "files", cluster["ctl"], cluster["itl"])
    (folder / "SEP000000000000.cnf.xml.sgn").mkdir()
    told = ctlsign("phone", "simulate", "--state", "lab", "--source", folder, "--count", 1, expect=1).out
    assert "SEP000000000000: SEP000000000000.cnf.xml.sgn: " in told and "1 failures" in told


def test_simulate_a_list_that_cannot_be_read_is_a_failed_update(ctlsign, cluster, tmp_path):
    folder = publish(tmp_path / "files", cluster["ctl"], cluster["itl"])
    base = ["phone", "simulate", "--state", "lab", "--source", folder]
    ctlsign(*base, "--count", 1)
    (folder / "CTLFile.tlv").write_bytes(cluster["ctl"].read_bytes()[:100])
    told = ctlsign(*base, expect=1).out
    assert "SEP000000000000: Trust List update failed\n" in told and "1  Trust List update failed" in told
    fresh = ctlsign("phone", "simulate", "--state", "other", "--source", folder, "--count", 1, expect=1).out
    assert "SEP000000000000: CTL update failed\n" in fresh and "SEP000000000000: ITL installed\n" in fresh


def test_simulate_says_how_long_tvs_is_believed(ctlsign, cluster, serve, tmp_path):  # noqa: F811
    folder = publish(tmp_path / "files", cluster["ctl"], cluster["itl"])
    base = ["phone", "simulate", "--source", folder]
    for ttl, text in ((86400, "24 hours"), (3600, "1 hour"), (5400, "90 minutes"), (61, "61 seconds")):
        publish(folder, cluster["ctl"], cluster["itl"])
        ctlsign(*base, "--state", f"lab{ttl}", "--count", 1)
        publish(folder, cluster["new-ctl"], cluster["new-itl"])
        server = serve("--database", make_database(tmp_path / f"{ttl}.db", [(REGENERATED.with_suffix(".pem"), "SAST,CCM+TFTP", ttl)]))
        assert f"TVS added cert to TVS cache - expires in {text}\n" in ctlsign(*base, "--state", f"lab{ttl}", "--tvs-server",
                                                                               f"127.0.0.1:{server.port}").out


def test_simulate_over_tftp_with_few_descriptors_fails_phone_by_phone(ctlsign, cluster, tmp_path):
    tftp = TftpServer(publish(tmp_path / "files", cluster["ctl"], cluster["itl"]))
    few = functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, (60, 60))
    result = ctlsign("phone", "simulate", "--state", "lab", "--count", 200, "--source", f"tftp://127.0.0.1:{tftp.port}", expect=1,
                     preexec_fn=few)
    assert ".tlv: Too many open files\n" in result.out and "200 phones: " in result.out
    assert (tmp_path / "lab/phones.csv").read_text().count("SEP") == 200


def test_simulate_names_a_list_that_cannot_be_read(ctlsign, cluster, tmp_path):
    folder = publish(tmp_path / "files", cluster["ctl"], cluster["itl"])
    base = ["phone", "simulate", "--state", "lab", "--source", folder]
    ctlsign(*base, "--count", 1)
    for junk in ("junk", "junk.tlv~", ".junk.tlv"):
        (tmp_path / "lab/lists" / junk).write_text("junk")
    assert "1 phones: 0 lists taken, 0 refused, 2 unchanged" in ctlsign(*base).out
    (tmp_path / "lab/lists/junk.tlv").write_text("junk")
    assert "lab/lists/junk.tlv" in ctlsign(*base, expect=3).err


def test_simulate_says_what_is_wrong(ctlsign, cluster, tmp_path):
    base = ["phone", "simulate", "--state", "lab"]
    assert "--count or --phones" in ctlsign(*base, "--source", tmp_path, expect=2).err
    ctlsign(*base, "--count", 1, "--source", "absent", expect=6)
    ctlsign(*base, "--count", 1, "--source", "ftp://host", expect=2)
    (tmp_path / "phones.csv").write_text(f"device,ctl\nSEP1,{'ab' * 16}\n")
    assert "--known" in ctlsign(*base, "--phones", "phones.csv", "--source", tmp_path, expect=2).err
    (tmp_path / "phones.csv").write_text("device,model\nSEP1,8861\n")
    assert "does not say which lists SEP1 has" in ctlsign(*base, "--phones", "phones.csv", "--source", tmp_path, expect=2).err
    assert not (tmp_path / "lab").exists()
