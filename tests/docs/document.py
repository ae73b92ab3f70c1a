"""A Markdown document as a story: its fenced blocks in order, and the script that does what a reader would do.

sh              run, and every command in it must succeed
console         run what stands behind "$ " (and "> ", where it goes on) and compare what stands below with what it prints;
                "..." stands for any text in a line and, alone in one, for any lines
LANGUAGE file: NAME     written to that file
text            shown, and no more
any, not-run: WHY       shown, not run, and counted: what needs hardware, other machines, or root
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

SHOWN = {"text"}
RUN = {"sh", "console"}
FENCE = re.compile(r"^( *)(```+)(\S*)[ ]*(.*?)\s*$")


class Mistake(Exception):
    """The document cannot be read."""


@dataclass
class Block:
    line: int
    language: str
    note: str
    text: str

    @property
    def not_run(self):
        return self.note.removeprefix("not-run:").strip() if self.note.startswith("not-run:") else None

    @property
    def file(self):
        return self.note.removeprefix("file:").strip() if self.note.startswith("file:") else None


@dataclass
class Step:
    """One thing that a reader does, and what it prints: None where the document does not show it."""
    line: int
    script: str
    shown: list = field(default=None)


def blocks(path):
    """The blocks of a document. Raises Mistake for one of which nobody can say what becomes of it."""
    found, opened = [], None
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        match = FENCE.match(line)
        if opened is None:
            if match:
                indent, fence, language, note = match.groups()
                opened, lines = (number, indent, fence, language, note), []
        elif match and line.strip() == opened[2]:
            number, _, _, language, note = opened
            found.append(Block(number, language, note, "".join(f"{text}\n" for text in lines)))
            opened = None
        else:
            lines.append(line.removeprefix(opened[1]))
    if opened:
        raise Mistake(f"{path}:{opened[0]}: the block is not closed")
    for block in found:
        if not (block.not_run or block.file or (block.language in RUN | SHOWN and not block.note)):
            raise Mistake(f"{path}:{block.line}: '{block.language} {block.note}': run, written to a file, shown, or not-run: why?")
    return found


def steps(block):
    """What a reader does with a block: nothing, where it is no more than shown."""
    if block.not_run:
        return []
    if block.file:
        return [Step(block.line, f"cat >{block.file} <<'end of {block.file}'\n{block.text}end of {block.file}\n")]
    if block.language == "sh":
        # Whatever fails in between ends the story.
        return [Step(block.line, f"trap 'printf \"line failed: %s\\n\" \"$BASH_COMMAND\"; exit 1' ERR\n{block.text}trap - ERR\n")]
    if block.language in SHOWN:
        return []
    done = []
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith("$ "):
            done.append(Step(number, line[2:] + "\n", []))
        elif not done:
            raise Mistake(f"line {number}: the first line of a console block begins with '$ '")
        elif line.startswith("> ") and not done[-1].shown:
            done[-1].script += line[2:] + "\n"
        else:
            done[-1].shown.append(line)
    return done


def anchors(text):
    """The names by which its headings are reached."""
    found = []
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        name = re.sub(r"[^\w -]", "", re.sub(r"\]\([^)]*\)", "", heading).lower()).replace(" ", "-")
        found.append(f"{name}-{found.count(name)}" if name in found else name)
    return found


def prose(path):
    """A document without its blocks."""
    return re.sub(r"^ *```.*?^ *```", "", path.read_text(), flags=re.M | re.S)


def cells(line):
    """Of a row of a table."""
    return re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))


def broken_tables(path):
    """(line, what is wrong) of each table that GitHub shows as text, or of which it drops a cell."""
    lines = path.read_text().splitlines()
    fenced, columns = False, 0  # of the table that the line may go on
    for number, line in enumerate(lines, 1):
        fenced ^= FENCE.match(line) is not None
        if fenced or not line.lstrip().startswith("|"):
            columns = 0
        elif not columns:
            columns = len(cells(line))
            below = cells(lines[number]) if number < len(lines) else []
            if len(below) != columns or not all(re.fullmatch(r" *:?-+:? *", cell) for cell in below):
                yield number, "the row below the head does not fit it"
                columns = max(columns, len(below))  # said once
        elif len(cells(line)) > columns:
            yield number, "more cells than the head has"


def dead_links(path):
    """The targets in a document that are no file, or no heading of it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists() or anchor and anchor not in anchors(prose(file)):
            yield target


def fits(shown, printed):
    """Whether the lines that a document shows are those that were printed."""
    if not shown:
        return not printed
    if shown[0].strip() == "...":
        return any(fits(shown[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
    pattern = ".*".join(re.escape(part) for part in shown[0].rstrip().split("..."))
    return bool(printed) and re.fullmatch(pattern, printed[0].rstrip()) is not None and fits(shown[1:], printed[1:])
