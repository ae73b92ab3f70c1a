#!/usr/bin/python3
"""usage: tvs.py BUILD
Prints JSON: tvs serve beside openssl s_server with the same certificate, on the same cores, in turns: handshakes with one query each against
handshakes alone. Then the memory of an idle connection, and 5,000 phones that start at once."""

import json
import re
import socket
import sqlite3
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import resource
from pathlib import Path

BUILD = Path(sys.argv[1]).resolve()
DATA = Path(__file__).resolve().parent.parent / "data"
PROGRAM, LOAD = BUILD / "bin/ctlsign", BUILD / "tests/tvs_load"
CTL = DATA / "krakow/CTLFile-tokens.tlv"
ROUNDS, SECONDS, AT_ONCE = 5, 3, 8


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def rate(port, kind):
    done, failed = subprocess.run([LOAD, str(port), str(SECONDS), str(AT_ONCE), kind], check=True, capture_output=True,
                                  text=True).stdout.split()
    assert failed == "0", f"{failed} exchanges failed"
    return float(done)


def memory(process):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text()).group(1)) * 1024


def build_list(folder, name, filename, signer, records):
    text = f'filename = "{filename}"\ndigest = "sha1"\n'
    for role, certificate in records:
        text += f'[[record]]\nrole = "{role}"\ncertificate = "{certificate}"\n'
    (folder / "manifest.toml").write_text(text)
    subprocess.run([PROGRAM, "build", folder / "manifest.toml", "--signer", signer.with_suffix(".key"), "--certificate",
                    signer.with_suffix(".pem"), "-o", folder / name], check=True, capture_output=True)


def start_phones(folder):
    """5,000 phones of a cluster whose publisher has a new certificate: every one asks TVS. Two starts: before and after."""
    starts = []
    krakow = DATA / "krakow"
    old, new = krakow / "certificates/cucm-1051-a-pub", krakow / "regenerated/cucm-1051-a-pub"
    files = folder / "tftp"
    files.mkdir()
    database = folder / "tvs.db"
    pem = new.with_suffix(".pem")
    digest = subprocess.run(["openssl", "x509", "-in", pem, "-noout", "-fingerprint", "-sha256"], check=True, capture_output=True, text=True)
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE certificates (certificate_hash, serial_number, subject_name, issuer_name, certificate, roles, ttl)")
        connection.execute("INSERT INTO certificates VALUES (?, '', '', '', ?, 'SAST,CCM+TFTP', 86400)",
                           (digest.stdout.strip().split("=")[1].replace(":", "").lower(), pem.read_text()))
    server = subprocess.Popen([PROGRAM, "tvs", "serve", "--key", folder / "both", "--database", database, "--listen", "127.0.0.1:0",
                               "--max-per-address", "20000", "--max-connections", "20000", "--handshake-timeout", "120"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    port = int(server.stdout.readline().rsplit(":", 1)[1])
    command = [PROGRAM, "phone", "simulate", "--state", folder / "state", "--source", files, "--tvs-server", f"127.0.0.1:{port}",
               "--timeout", "120", "--json"]
    try:
        for signer, extra in ((old, ["--count", "5000"]), (new, [])):
            own = signer.with_suffix(".pem")
            build_list(files, "CTLFile.tlv", "CTLFile.tlv", signer, [("SAST", own), ("CCM+TFTP", own)])
            build_list(files, "ITLFile.tlv", "ITLFile.tlv", signer, [("SAST", own), ("CCM+TFTP", own), ("TVS", folder / "certificate")])
            began = time.monotonic()
            done = subprocess.run([*command, *extra], check=False, capture_output=True, text=True)
            summary = json.loads(done.stdout)
            starts.append({"seconds": time.monotonic() - began} | {name: summary[name] for name in ("taken", "queries", "failed")})
    finally:
        server.terminate()
        server.wait()
    return starts


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key", "-out",
                        folder / "certificate", "-subj", "/CN=TVS", "-days", "30"], check=True, capture_output=True)
        (folder / "both").write_text((folder / "certificate").read_text() + (folder / "key").read_text())
        port = free_port()
        theirs = subprocess.Popen(["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{port}", "-cert", folder / "certificate",
                                   "-key", folder / "key", "-num_tickets", "0"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        serve = [PROGRAM, "tvs", "serve", "--key", folder / "both", "--ctl", CTL, "--listen", "127.0.0.1:0", "--max-per-address", "20000",
                 "--max-connections", "20000", "--idle-timeout", "600"]
        ours, alone = (subprocess.Popen([*serve, *threads], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                       for threads in ([], ["--threads", "1"]))
        try:
            own, own_alone = (int(server.stdout.readline().rsplit(":", 1)[1]) for server in (ours, alone))
            time.sleep(1)
            result = {"rates": []}
            # s_server has one thread.
            for name, server in (("one thread", own_alone), ("a thread a core", own)):
                pairs = [(rate(server, "query"), rate(port, "handshake")) for _ in range(ROUNDS)]
                result["rates"].append({"threads": name, "ours": statistics.median(a for a, _ in pairs),
                                        "s_server": statistics.median(b for _, b in pairs),
                                        "ratio": statistics.median(a / b for a, b in pairs)})

            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
            before = memory(ours)
            idle = [tls.wrap_socket(socket.create_connection(("127.0.0.1", own))) for _ in range(2000)]
            result["idle-connection-KiB"] = (memory(ours) - before) / 2000 / 1024
            for connection in idle:
                connection.close()

            result["starts"] = start_phones(folder)
            print(json.dumps(result, indent=2))
        finally:
            for process in (ours, alone, theirs):
                process.terminate()
                process.wait()


main()
