"""The rows of the table in docs/performance.md: what was measured, beside what the project set itself as an aim."""

import re
from dataclasses import dataclass

WHY = "Why an aim is missed"


@dataclass
class Aim:
    """What is measured is to be at least, or at most, so much."""
    limit: float
    at_least: bool
    unit: str = ""

    def __str__(self):
        return f"{'at least' if self.at_least else 'at most'} {self.limit:g}{self.unit}"

    def met(self, value):
        return value >= self.limit if self.at_least else value <= self.limit


def at_least(limit):
    return Aim(limit, True)


def at_most(limit, unit=""):
    return Aim(limit, False, unit)


def reasons(document):
    """The names of the rows for which DOCUMENT says why their aim is missed: "* **ROW**: WHY" below that heading."""
    _, _, section = document.partition(f"\n## {WHY}\n")
    return set(re.findall(r"^\* \*\*(.+?)\*\*: \S", re.split(r"^## ", section, flags=re.M)[0], re.M))


class Table:
    """Prints rows. EXPLAINED: those whose aim may be missed."""

    def __init__(self, explained):
        self._explained = explained
        self.unexplained = []

    def head(self):
        print("| what | measured | beside | aim | |\n|---|---|---|---|---|", flush=True)

    def row(self, what, value, unit="", aim=None, beside="", digits=2):
        """BESIDE: what else is worth knowing, or what it is measured against."""
        verdict = "" if aim is None else "met"
        if aim is not None and not aim.met(value):
            verdict = f"**missed** ([why](#{WHY.lower().replace(' ', '-')}))"
            if what not in self._explained:
                self.unexplained.append(what)
        print(f"| {what} | {value:.{digits}f}{unit} | {beside} | {aim or ''} | {verdict} |", flush=True)
