#!/usr/bin/python3
"""usage: table.py BUILD
Runs every benchmark of BUILD and prints the table of docs/performance.md. What is compared runs in turns, in one run: only
ratios say something about another machine. Exits 1 when an aim is missed and docs/performance.md does not say why."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
BUILD = Path(sys.argv[1]).resolve()
PROGRAM = BUILD / "bin/ctlsign"
os.environ["CTLSIGN_PROGRAM"] = str(PROGRAM)
sys.path[:0] = [str(HERE.parent / "scenario"), str(HERE.parent / "support")]
from cost import peak, uncached_copy  # noqa: E402
from rows import Table, at_least, at_most, reasons  # noqa: E402
from test_years import COUNT, add_years  # noqa: E402

KRAKOW = HERE.parent / "data/krakow"
SHOWN = HERE.parent / "data/open-tools/itl-sha1-v10.tlv"


table = Table(reasons((HERE.parents[1] / "docs/performance.md").read_text()))
row = table.row


def progress(text):
    print(f"{text} ...", file=sys.stderr, flush=True)


def benchmark(name, *launcher, only="."):
    """The runs of one benchmark program whose names match ONLY, by name."""
    progress(name)
    done = subprocess.run([*launcher, BUILD / "tests" / name, "--benchmark_format=json", f"--benchmark_filter={only}"], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    runs = {run["name"]: run for run in json.loads(done.stdout)["benchmarks"]}
    for run in runs.values():
        assert not run.get("error_occurred"), run
    return runs


def one(runs, beginning):
    """The run whose name begins so; what follows says how long it ran."""
    run, = (run for name, run in runs.items() if name.startswith(beginning))
    return run


def trust_lists():
    runs = benchmark("bench_trustlist")
    row("decode and encode a list of 5 KB", runs["decode_and_encode"]["cpu_time"] / 1000, " µs", at_most(5, " µs"),
        f"decode alone {runs['decode_only']['cpu_time'] / 1000:.2f} µs")
    for name, run in runs.items():
        if name.startswith("verify_against_openssl"):
            row(f"verify {run['label']}, against OpenSSL alone", run["one_file"], "", at_least(0.9),
                f"many files of one signer: {run['many_files']:.2f}")


def signatures():
    for name, run in benchmark("bench_signer").items():
        size = name.split("rsa_")[1].split("/")[0]
        row(f"sign with RSA-{size} through `TokenSigner`, against bare `C_SignInit` and `C_Sign`", run["ratio"], "", at_least(0.97),
            f"{run['signer_us']:.0f} µs a signature", 3)


def virtual_tokens():
    runs = benchmark("bench_virtual")
    signing = one(runs, "signing/")
    row("the module of virtual tokens between, RSA-2048, against SoftHSM2 alone", signing["ratio"], "", at_least(0.97),
        f"{signing['module_us']:.0f} µs a signature")
    for threads in (1, 2, 4):
        run = one(runs, f"signing_in_threads/{threads}/")
        row(f"the same, {threads} thread{'s' if threads > 1 else ''} with a session each", run["ratio"], "", None,
            f"{run['module_per_s']:.0f} signatures a second")
    memory = one(runs, "memory_of_eight")
    row("memory of eight virtual tokens", memory["first_MiB"] + 7 * memory["each_further_MiB"], " MiB", None,
        f"the first {memory['first_MiB']:.1f}, each further {memory['each_further_MiB']:.1f}", 1)
    noticing = one(runs, "noticing")
    row("a virtual token pulled, until `C_WaitForSlotEvent` returns", noticing["pull_to_event_us"] / 1000, " ms", None,
        f"plugged, until it has signed: {noticing['plug_to_signature_us'] / 1000:.1f} ms")


def removals():
    runs = benchmark("bench_removal")
    watcher = one(runs, "watcher_notices")
    row("a virtual token pulled, until the watcher tells", watcher["pull_ms"], " ms", at_most(100, " ms"), f"plugged: {watcher['plug_ms']:.1f} ms")
    again = one(runs, "signer_signs_again")
    row("put back, until it has signed again, beyond what bare Cryptoki takes", again["beyond_ms"], " ms", at_most(100, " ms"),
        f"{again['signer_ms']:.0f} ms, bare {again['bare_ms']:.0f} ms")
    row("one guess at a PIN of the ledger (scrypt)", one(runs, "ledger_looks")["cpu_time"], " ms", None, "", 0)
    card = one(benchmark("bench_pcsc", HERE.parent / "pcsc/with_pcscd"), "watcher_notices_card")
    row("a card pulled from or put into a reader of pcscd, until the watcher tells, beyond pcscd", card["beyond_ms"], " ms", at_most(100, " ms"),
        f"{card['watcher_ms']:.0f} ms, pcscd {card['pcscd_ms']:.0f} ms")


def whole_program():
    progress("ctlsign show")
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "times.json"
        subprocess.run(["hyperfine", "-N", "--warmup", "20", "--runs", "300", "--export-json", result, f"{PROGRAM} show {SHOWN}",
                        f"openssl dgst -sha1 {SHOWN}"], check=True, capture_output=True)
        ours, openssl = (run["median"] * 1000 for run in json.loads(result.read_text())["results"])
    row("`ctlsign show` of a list of 7 KB, the whole process", ours, " ms", at_most(8, " ms"), f"`openssl dgst` {openssl:.1f} ms")
    row("the same, in units of `openssl dgst`", ours / openssl, "", at_most(3))
    with tempfile.TemporaryDirectory() as folder:
        row("its memory at the most", peak(uncached_copy(PROGRAM, folder), "show", SHOWN) / 1024, " MiB", at_most(12, " MiB"), "", 1)


def years():
    progress("a cluster with a thousand publications")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def run(*arguments):
            began = time.monotonic()
            subprocess.run([PROGRAM, "cluster", *arguments], cwd=folder, check=True, capture_output=True)
            return time.monotonic() - began

        run("init", "--name", "krakow", "--release", "10.5(1)")
        for node, options in (("cucm-1051-a-pub", ["--publisher"]), ("cucm-1051-a-sub1", [])):
            (folder / node).mkdir()
            run("node", "add", node, "--address", "10.0.0.1", "--target", node, *options)
        for store, node, name in (("CallManager", "cucm-1051-a-pub", "cucm-1051-a-pub"), ("CallManager", "cucm-1051-a-sub1", "cucm-1051-a-sub1"),
                                  ("CAPF", "cucm-1051-a-pub", "CAPF-e41e7d87")):
            base = KRAKOW / "certificates" / name
            run("certificate", "import", f"{base}.pem", "--store", store, "--node", node, "--key", f"{base}.key")
        run("mixed-mode", "--tokenless", "--yes")
        add_years(folder)
        behind = f"behind {COUNT} publications and {COUNT} certificates"
        row(f"`cluster status` {behind}", median(run("status", "--json") for _ in range(5)), " s", at_most(1, " s"))
        row(f"`cluster update` {behind}", median(run("update", "--yes") for _ in range(5)), " s", at_most(1, " s"))


def phones():
    runs = benchmark("bench_phone")
    million, tenth = runs["decide_all/1000000"], runs["decide_all/100000"]
    row("decide for a million phones", million["real_time"], " ms", at_most(1000, " ms"),
        f"{million['real_time'] / tenth['real_time']:.1f} times what a tenth takes")
    by_tvs = runs["decide_all_by_tvs/1000000"]
    row("decide for a million phones that ask three TVS servers", by_tvs["real_time"], " ms", at_most(1000, " ms"))
    load, tenth = runs["load_inventory/1000000"], runs["load_inventory/100000"]
    alone = benchmark("bench_phone", only="^load_inventory/1000000$")["load_inventory/1000000"]
    row("load a million phones from CSV", load["real_time"] / 1000, " s", None,
        f"{load['real_time'] / tenth['real_time']:.1f} times what a tenth takes; {alone['peak-MiB']:.0f} MiB at the most, with the text")


def tvs():
    progress("tvs.py")
    done = subprocess.run([sys.executable, HERE / "tvs.py", BUILD], check=True, stdout=subprocess.PIPE, text=True)
    result = json.loads(done.stdout)
    for rate in result["rates"]:
        row(f"TVS, {rate['threads']}: a handshake and a query, against a handshake of `openssl s_server`", rate["ratio"], "", at_least(0.9),
            f"{rate['ours']:.0f} a second, `s_server` {rate['s_server']:.0f}")
    row("memory of an idle TLS connection", result["idle-connection-KiB"], " KiB", None, "of 2,000", 1)
    start = result["starts"][-1]
    row("5,000 phones start at once, each asks TVS: answers lost", 5000 - start["queries"] + start["failed"], "", at_most(0),
        f"{start['seconds']:.1f} s, {start['queries']} answers", 0)


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    table.head()
    for measure in (trust_lists, signatures, virtual_tokens, removals, whole_program, years, phones, tvs):
        measure()
    for what in table.unexplained:
        print(f"missed, and docs/performance.md does not say why: {what}", file=sys.stderr)
    sys.exit(1 if table.unexplained else 0)


if __name__ == "__main__":
    main()
