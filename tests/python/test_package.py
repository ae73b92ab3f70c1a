"""What the package promises: its names, its types, its documentation, and its example."""

import enum
import inspect
import os
import pickle
import pty
import re
import subprocess
import sys
from pathlib import Path

import ctlsign
import pytest
from conftest import KRAKOW, RUNTIME
from ctlsign import enums

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BINDING = ROOT / "bindings" / "python"


def mypy(*command, cwd):
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    package = str(Path(ctlsign.__file__).parents[1])
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False,
                          env=environment | RUNTIME | {"MYPYPATH": package, "PYTHONPATH": package})
    return done.stdout + done.stderr


def test_stubs_and_module_agree(tmp_path):
    out = mypy("/usr/bin/stubtest", "ctlsign", "--allowlist", HERE / "stubtest-allowlist", cwd=tmp_path)
    assert "Success: no issues found" in out, out


def test_types(tmp_path):
    used = tmp_path / "used.py"
    used.write_text((BINDING / "examples" / "sign_ctl.py").read_text() + """
reveal_type(signer.sign(memoryview(b"x"), ctlsign.Digest.SHA1))
reveal_type(ctlsign.decode(b"x"))
reveal_type([event.token.label for event in ctlsign.TokenWatcher()])
signer.sign("text", "sha1")
ctlsign.TokenSigner(7)
""")
    out = mypy("/usr/bin/mypy", "--check-untyped-defs", "--cache-dir", tmp_path, used, cwd=tmp_path)
    revealed = re.findall(r'Revealed type is "(.*)"', out)
    assert revealed == ["builtins.bytes", "Union[ctlsign._ctlsign.TrustList, ctlsign._ctlsign.SgnFile]",
                        "builtins.list[builtins.str]"], out
    assert re.findall(r"error: .*\[(.*)\]", out) == ["arg-type", "arg-type"], out


def test_everything_is_documented_with_its_arguments():
    public = [getattr(ctlsign, name) for name in ctlsign.__all__]
    assert all(inspect.getdoc(thing) for thing in public)
    classes = [thing for thing in public if inspect.isclass(thing) and thing.__module__ == "ctlsign._ctlsign"]
    members = [(cls, name) for cls in classes for name in vars(cls) if not name.startswith("_")]
    assert len(classes) > 15 and len(members) > 80
    for cls, name in members:
        assert inspect.getdoc(getattr(cls, name)), (cls, name)
    assert str(inspect.signature(ctlsign.Signer.sign)) == "(self, data, digest)"
    assert str(inspect.signature(ctlsign.build)) == "(manifest, signer, *, time=None)"


ENUMERATIONS = [
    ("pkcs11/digest.hpp", "Digest", enums.Digest),
    ("pkcs11/error.hpp", "Errc", enums.TokenCode),
    ("pkcs11/error.hpp", "Recovery", enums.Recovery),
    ("pkcs11/token.hpp", "PinState", enums.PinState),
    ("pkcs11/watcher.hpp", "Change", enums.Change),
    ("sast/error.hpp", "Errc", enums.SignerCode),
    ("sast/pin_source.hpp", "Kind", enums.PinKind),
    ("ctlsign/error.hpp", "Errc", enums.ListCode),
    ("ctlsign/trustlist/model.hpp", "Role", enums.Role),
    ("ctlsign/trustlist/verify.hpp", "Basis", enums.Basis),
    ("ctlsign/trustlist/verify.hpp", "Caution", enums.Caution),
    ("ctlsign/trustlist/verify.hpp", "Outcome", enums.Outcome),
    ("ctlsign/trustlist/verify.hpp", "Rule", enums.Rule),
]


@pytest.mark.parametrize("header, name, mirror", ENUMERATIONS, ids=lambda value: getattr(value, "__name__", None))
def test_enumerations_are_the_librarys(header, name, mirror):
    body = re.search(rf"enum class {name}\b[^{{]*{{(.*?)}}", (ROOT / header).read_text(), re.S)[1]
    body = re.sub(r"///.*", "", body)
    theirs, number = {}, 0
    for enumerator in filter(None, (part.strip() for part in body.split(","))):
        word, _, value = (part.strip() for part in enumerator.partition("="))
        number = int(value) if value else number
        theirs[word.replace("_", "").upper()] = number
        number += 1
    ours = {member.name.replace("_", ""): member.value for member in mirror}
    assert ours == theirs if issubclass(mirror, int) else list(ours) == list(theirs)


def test_every_enumeration_is_compared():
    mirrors = {mirror for _, _, mirror in ENUMERATIONS}
    assert mirrors == {value for value in vars(enums).values() if isinstance(value, enum.EnumMeta)
                       and value.__module__ == "ctlsign.enums"}


def test_errors_survive_pickle():
    error = ctlsign.Error("x")
    error.code, error.condition, error.token_label = 160, ctlsign.Recovery.PIN_WRONG, "T1"
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.code, again.condition, again.token_label) == ("x", 160, ctlsign.Recovery.PIN_WRONG, "T1")


def test_the_example_has_fifteen_lines_and_signs(etoken, virtual_tokens, tmp_path):
    example = BINDING / "examples" / "sign_ctl.py"
    code = [line for line in example.read_text().splitlines() if line.strip() and not line.startswith(("#", '"""'))]
    assert len(code) <= 15
    # p11-kit's configuration is the system's; the token is named by a URI that says where its module is.
    name = f"pkcs11:token=T1?module-path={virtual_tokens.module}"
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, str(example), str(KRAKOW / "CTLFile-tokens.toml"), name,
                                   str(tmp_path / "out.tlv")], os.environ | RUNTIME)
    told = b""
    while b"PIN of " not in told:
        told += os.read(terminal, 1024)
    # Pulled while the PIN is asked for, and put back.
    etoken.unplug()
    etoken.plug()
    os.write(terminal, etoken.pin.encode() + b"\n")
    try:
        while chunk := os.read(terminal, 1024):
            told += chunk
    except OSError:  # the terminal went with the program
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, told
    assert (tmp_path / "out.tlv").read_bytes() == (KRAKOW / "CTLFile-tokens.tlv").read_bytes()
    assert etoken.pin.encode() not in told
