"""Tokens that are pulled, slow, waited for and shared: threads, Ctrl-C, and nothing left behind."""

import contextlib
import ctypes
import gc
import os
import signal
import threading
import time

import ctlsign
import pytest
from conftest import KRAKOW, TOKEN, Pins, error_of

MANIFEST = KRAKOW / "CTLFile-tokens.toml"


def test_pulled_and_put_back(signer, etoken, pins, golden):
    manifest = ctlsign.Manifest.load(MANIFEST)
    assert ctlsign.build(manifest, signer) == bytes(golden)
    for _ in range(2):
        etoken.unplug()
        etoken.plug()
        assert ctlsign.build(manifest, signer) == bytes(golden)
    assert len(pins.requests) == 1


def test_a_person_is_told_to_put_it_back(etoken, modules, pins):
    told = []

    def put_back(token):
        told.append(token)
        etoken.plug()

    with ctlsign.TokenSigner("T1", pins, modules=modules, wait=60, on_wait=put_back) as signer:
        signer.unlock()
        etoken.unplug()
        signer.sign(b"x", "sha1")
        assert told == [signer.token] and len(pins.requests) == 1


def test_gone_without_a_time_to_wait(etoken, modules, pins):
    with ctlsign.TokenSigner("T1", pins, modules=modules) as signer:
        signer.unlock()
        etoken.unplug()
        gone = error_of(lambda: signer.sign(b"x", "sha1"))
        assert gone.condition is ctlsign.Recovery.TOKEN_GONE
        assert (gone.token_label, gone.token_serial) == (etoken.label, etoken.serial)
        assert etoken.serial in str(gone) and "plug it in" in gone.advice
    for wait in (-1, float("nan"), 1e9):
        with pytest.raises(ValueError, match="wait"):
            ctlsign.TokenSigner("T1", pins, modules=modules, wait=wait)


def test_what_on_wait_raises_ends_the_wait(etoken, modules, pins):
    def refuse(token):
        raise LookupError(token.label)

    with ctlsign.TokenSigner("T1", pins, modules=modules, wait=60, on_wait=refuse) as signer:
        signer.unlock()
        etoken.unplug()
        with pytest.raises(LookupError, match="T1"):
            signer.sign(b"x", "sha1")
        etoken.plug()
        signer.sign(b"x", "sha1")


@pytest.fixture
def interrupt():
    """Ctrl-C, as the main thread gets it; also where a shell has SIGINT ignored for what runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_a_token_is_waited_for(etoken, modules, pins, interrupt):
    told = threading.Event()
    with ctlsign.TokenSigner("T1", pins, modules=modules, wait=600, on_wait=lambda token: told.set()) as signer:
        signer.unlock()
        etoken.unplug()
        threading.Thread(target=lambda: told.wait() and interrupt(), daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            signer.sign(b"x", "sha1")
        etoken.plug()
        signer.sign(b"x", "sha1")
    assert len(pins.requests) == 1


def test_ctrl_c_while_another_thread_has_its_turn(etoken, modules, interrupt):
    asked, go_on = threading.Event(), threading.Event()

    def ask(request):
        asked.set()
        go_on.wait()
        return etoken.pin

    with ctlsign.TokenSigner("T1", ask, modules=modules) as signer:
        other = threading.Thread(target=lambda: signer.sign(b"x", "sha1"), daemon=True)
        other.start()
        asked.wait()
        with pytest.raises(KeyboardInterrupt):
            threading.Timer(0.2, interrupt).start()
            signer.sign(b"x", "sha1")
        go_on.set()
        other.join()


def test_ctrl_c_while_events_are_waited_for(etoken, modules, interrupt):
    with ctlsign.TokenWatcher(modules) as watcher:
        assert next(watcher).token.label == "T1"
        with pytest.raises(KeyboardInterrupt):
            threading.Timer(0.2, interrupt).start()
            next(watcher)


def test_python_runs_while_a_token_works(signer, virtual_tokens):
    signer.unlock()
    virtual_tokens.fault("on C_Sign delay 1s")
    counted = 0
    work = threading.Thread(target=lambda: signer.sign(b"x", "sha1"), daemon=True)
    work.start()
    while work.is_alive():
        counted += 1
        time.sleep(0.01)
    assert counted > 10


@pytest.mark.parametrize("last", ["module", "token", "identity", "event", "signer"])
def test_python_runs_while_a_module_is_finalized(etoken, virtual_tokens, last):
    (module,) = ctlsign.open_modules(virtual_tokens.module)
    with ctlsign.TokenWatcher([module]) as watcher:
        event = next(watcher)
    (token,) = module.tokens()
    (identity,) = token.identities()
    signer = ctlsign.TokenSigner(identity)
    held = [{"module": module, "token": token, "identity": identity, "event": event, "signer": signer}[last]]
    del module, watcher, event, token, identity, signer
    virtual_tokens.fault("on C_Finalize delay 1s")
    counted = 0
    work = threading.Thread(target=held.clear, daemon=True)
    work.start()
    while work.is_alive():
        counted += 1
        time.sleep(0.01)
    assert counted > 10


@pytest.mark.parametrize("each", [False, True], ids=["one signer", "a signer each"])
def test_three_threads_at_once(signer, etoken, modules, golden, each):
    manifest = ctlsign.Manifest.load(MANIFEST)
    built = []

    def work():
        own = ctlsign.TokenSigner("T1", Pins(etoken.pin), modules=modules, wait=60) if each else contextlib.nullcontext(signer)
        with own as used:
            for _ in range(5):
                built.append(ctlsign.build(manifest, used))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [bytes(golden)] * 15


def test_a_watcher(etoken, modules, virtual_tokens):
    with ctlsign.TokenWatcher(modules) as watcher:
        assert iter(watcher) is watcher
        event = next(watcher)
        assert (event.change, event.token.label) == (ctlsign.Change.ARRIVED, "T1") and "arrived" in repr(event)
        assert watcher.wait(0) is None and watcher.wait(timeout=0.01) is None
        etoken.unplug()
        assert next(watcher).change is ctlsign.Change.LEFT
        etoken.plug()
        assert watcher.wait(60).change is ctlsign.Change.ARRIVED
        threading.Timer(0.1, watcher.close).start()
        assert list(watcher) == []
    assert watcher.wait() is None


def memory():
    """What is in use; under AddressSanitizer of the heap alone, as what it writes down for itself grows."""
    heap = getattr(ctypes.CDLL(None), "__sanitizer_get_current_allocated_bytes", None)
    if heap is not None:
        heap.restype = ctypes.c_size_t
        return heap()
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure():
    gc.collect()
    return len(gc.get_objects()), len(os.listdir("/proc/self/fd")), threading.active_count(), memory()


def assert_no_leak(work, times):
    work(times // 5)
    grown = []
    while not grown or (grown[-1] >= 1 << 20 and len(grown) < 4):  # what leaks grows each time, what warms up does not
        before = measure()
        work(times)
        after = measure()
        assert after[0] < before[0] + times // 10 and after[1:3] == before[1:3]
        grown.append(after[3] - before[3])
    assert grown[-1] < 1 << 20, grown


@pytest.fixture
def quick(virtual_tokens):
    """A token that does not take its time."""
    return virtual_tokens.create("plain-softhsm", "Q", key=f"{TOKEN}.key", certificate=f"{TOKEN}.pem")


def test_a_thousand_signatures_leak_nothing(quick, modules, golden):
    trust_list = ctlsign.TrustList.decode(bytes(golden))
    with ctlsign.TokenSigner("Q", Pins(quick.pin), modules=modules) as signer:

        def work(times):
            for _ in range(times):
                signer.sign(b"a list", "sha1")
                with pytest.raises(ValueError, match="digest"):
                    signer.sign(b"a list", "md5")
                assert ctlsign.verify(trust_list, installed=[trust_list])
                assert [record.elements for record in trust_list.records]

        assert_no_leak(work, 1000)


def test_a_hundred_signers_leak_nothing(quick, modules):
    def work(times):
        for _ in range(times):
            with ctlsign.TokenSigner("Q", lambda request: quick.pin, modules=modules) as signer:
                signer.sign(b"x", "sha1")
            with pytest.raises(ctlsign.Error, match="no plugged token"):
                ctlsign.find_token("none", modules)

    assert_no_leak(work, 100)
