"""Every document is followed to the letter, in a folder of its own, with the program as it is installed."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from document import Mistake, blocks, broken_tables, dead_links, fits, steps

SOURCE = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = [SOURCE / "README.md", *sorted((SOURCE / "docs").rglob("*.md"))]
# How many blocks of a document are not run. Who marks one more says so here too.
NOT_RUN = {"README.md": 3, "docs/cluster.md": 1, "docs/how-to/hsm-unattended.md": 4, "docs/how-to/real-etoken.md": 3,
           "docs/how-to/run-tvs.md": 1, "docs/reference/api.md": 1}
SECONDS = 240


def name_of(path):
    return path.relative_to(SOURCE).as_posix()


@pytest.fixture
def installed():
    prefix = Path(os.environ["CTLSIGN_PREFIX"])
    assert (prefix / "bin/ctlsign").exists(), "ctest installs it: docs.install"
    return prefix


def run(script, folder, prefix):
    """Runs a script as a person with an empty environment would; its exit code, and all that it has printed."""
    story, home = folder / "story", folder / "home"
    for each in (story, home):
        each.mkdir()
    (folder / "script").write_text(script)
    environment = {"PATH": f"{prefix}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "LANG": "C.UTF-8",
                   "USER": "reader", "TMPDIR": str(folder)}
    with open(folder / "printed", "wb") as printed:
        shell = subprocess.Popen(["bash", folder / "script"], cwd=story, env=environment, stdin=subprocess.DEVNULL, stdout=printed,
                                 stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = shell.wait(timeout=SECONDS)
        finally:
            try:  # what the document has started and not ended
                os.killpg(shell.pid, signal.SIGKILL)
                left_behind = True
            except ProcessLookupError:
                left_behind = False
            shell.wait()
    assert not left_behind, "the document leaves processes behind"
    return code, (folder / "printed").read_bytes().decode(errors="replace")


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_story(path, tmp_path, installed, capsys):
    story = [step for block in blocks(path) for step in steps(block)]
    # After each step a mark, which nothing prints: its number and how it ended.
    script = "".join(f"{step.script}printf '\\0%d\\0' $?\n" for step in story)
    code, printed = run(script, tmp_path, installed)
    parts = printed.split("\0")
    for step, output, status in zip(story, parts[0::2], parts[1::2]):
        where = f"{name_of(path)}:{step.line}: {step.script}"
        if status != "0":
            pytest.fail(f"{where}ends with {status} and prints\n{output}", pytrace=False)
        if step.shown is not None and not fits(step.shown, output.splitlines()):
            pytest.fail(f"{where}prints\n{output}and the document shows\n" + "\n".join(step.shown), pytrace=False)
    done = len(parts) // 2
    if done < len(story):
        where = f"{name_of(path)}:{story[done].line}: {story[done].script}"
        pytest.fail(f"{where}ends the story with {code} and prints\n{parts[-1]}", pytrace=False)
    left_out = [block for block in blocks(path) if block.not_run]
    with capsys.disabled():
        print(f"\n{name_of(path)}: {len(story)} steps run, {len(left_out)} blocks not run")
        for block in left_out:
            print(f"  not run, line {block.line}: {block.not_run}")


def test_nothing_is_left_out_unseen():
    left_out = {name_of(path): sum(1 for block in blocks(path) if block.not_run) for path in DOCUMENTS}
    assert {name: count for name, count in left_out.items() if count} == NOT_RUN
    assert f" {sum(NOT_RUN.values())} blocks are only shown" in DOCUMENTS[0].read_text()


def test_the_commands_are_those_of_the_program(installed):
    """When they are not: ctlsign manual --markdown >docs/reference/commands.md"""
    made = subprocess.run([installed / "bin/ctlsign", "manual", "--markdown"], check=True, capture_output=True, text=True).stdout
    assert made == (SOURCE / "docs/reference/commands.md").read_text()


COMMANDS = (SOURCE / "docs/reference/commands.md").read_text()
EXAMPLES = re.findall(r"^Example: `(.*)`$", COMMANDS, re.M)


def exit_code(example, folder, prefix):
    """Of one command where nothing is that it names: no file, no token, no host."""
    environment = {"PATH": f"{prefix}/bin:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", "CTLSIGN_VIRTUAL_TOKENS": str(folder)}
    made = subprocess.run([prefix / "bin/ctlsign", "virtual", "env"], env=environment, check=True, capture_output=True, text=True).stdout
    command = f"{made}\n{re.sub(r'(?<=[0-9a-f])[.]{3}', '', example.replace('cucm1', 'cucm1.invalid'))}"
    # What waits for tokens is ended; nobody is asked over a network.
    alone = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]
    seconds = "3" if " watch" in example else "60"
    return subprocess.run([*alone, "timeout", seconds, "bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, check=False).returncode


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_of_a_command_is_understood(example, tmp_path, installed):
    assert exit_code(example, tmp_path, installed) in (0, 4, 5, 6, 124)


def test_every_command_has_an_example_and_what_is_not_understood_is_seen(tmp_path, installed):
    assert len(EXAMPLES) == len(re.findall("^ctlsign ", COMMANDS, re.M)) > 60  # each says how it is used
    assert [exit_code(f"ctlsign {wrong}", tmp_path, installed) for wrong in ("show", "show a --nothing", "nothing", "token watch a")] == [2] * 4


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_examples_are_used(path):
    """Code that a document writes to a file is compiled or run further on."""
    found = blocks(path)
    for number, block in enumerate(found):
        if block.file and block.language in ("c", "cpp", "python"):
            assert any(block.file in later.text for later in found[number + 1:] if not later.not_run), f"{name_of(path)}:{block.line}"


def test_links_lead_somewhere():
    assert not [f"{name_of(path)}: {target}" for path in [*DOCUMENTS, *SOURCE.glob("*.md")] for target in dead_links(path)]


def test_what_a_dead_link_is(tmp_path):
    (tmp_path / "b.md").write_text("# A `heading`, with (signs)\n## Twice\n## Twice\n```\n# none\n```\n")
    good = ["b.md", "b.md#a-heading-with-signs", "b.md#twice-1", "#here", "https://example.com/a#b"]
    bad = ["c.md", "b.md#none", "b.md#twice-2", "#there"]
    (tmp_path / "a.md").write_text("# Here\n" + "".join(f"[x]({target})\n" for target in good + bad) + "```\n[x](not/read)\n```\n")
    assert list(dead_links(tmp_path / "a.md")) == bad


def test_every_table_is_shown_as_one():
    assert not [f"{name_of(path)}:{line}: {what}" for path in [*DOCUMENTS, *SOURCE.glob("*.md")] for line, what in broken_tables(path)]


@pytest.mark.parametrize("text, lines", [
    ("| a | b |\n|---|:-:|\n| `c\\|d` | e |\n| f |\n", []), ("text\n\n| | |\n|---|---|\n", []), ("```sh\n| a |\n```\n", []),
    ("| a | b |\n|---|---|---|\n| c | d |\n", [1]), ("| a | b |\n|---|\n", [1]), ("| a | b |\n| c | d |\n", [1]), ("| a |\n", [1]),
    ("| a |\n|---|\n| b | c |\n", [3]), ("| a |\n|---|\n\n| b |\n|---|---|\n", [4])])
def test_what_a_broken_table_is(tmp_path, text, lines):
    (tmp_path / "a.md").write_text(text)
    assert [line for line, _ in broken_tables(tmp_path / "a.md")] == lines


def test_every_document_is_reached_from_the_front_door():
    seen, waiting = set(), [DOCUMENTS[0]]
    while waiting:
        path = waiting.pop().resolve()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        waiting += [path.parent / target for target in re.findall(r"\]\(([^)#\s]+\.md)", path.read_text())]
    assert not set(DOCUMENTS) - seen


@pytest.mark.parametrize("text, mistake", [
    ("```\nls\n```\n", "run, written"), ("```bash\nls\n```\n", "run, written"), ("```cpp\nint x;\n```\n", "run, written"),
    ("```sh not-run:\nls\n```\n", "run, written"), ("```sh\nls\n", "not closed"), ("```console\nls\n```\n", "begins with")])
def test_a_block_that_nobody_would_run(tmp_path, text, mistake):
    (tmp_path / "a.md").write_text(text)
    with pytest.raises(Mistake, match=mistake):
        for block in blocks(tmp_path / "a.md"):
            steps(block)


@pytest.mark.parametrize("shown, printed, expected", [
    ("a", "a", True), ("a", "b", False), ("a...c", "abc", True), ("a...c", "abd", False), ("...", "", True), ("...", "a\nb", True),
    ("a\n...\nd", "a\nb\nc\nd", True), ("a\n...\nd", "a\nb\nc", False), ("a", "a\nb", False), ("a.c", "abc", False), ("", "a", False)])
def test_comparing(shown, printed, expected):
    assert fits(shown.splitlines(), printed.splitlines()) is expected


def test_a_story_that_fails(tmp_path, installed):
    """A line in the middle of a block that fails is seen, and so is what follows no more."""
    (tmp_path / "a.md").write_text("```sh\ntrue\nfalse\ntrue\n```\n")
    step, = steps(blocks(tmp_path / "a.md")[0])
    code, printed = run(step.script, tmp_path, installed)
    assert (code, printed) == (1, "line failed: false\n")
