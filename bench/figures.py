"""All figures that the load client is held to, as one table.

    python -m bench.figures [ROW ...] [--pairs 7] [--seconds 4]

A row is a script of this folder, which also runs alone. Each runs in a process of its own and
prints its pairs; the verdicts that it prints make the table. wrk, nginx and Locust are installed
first where they are missing.
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass

from bench import other_tools

VERDICT = re.compile(r"(.+): (-?[\d.]+), wanted (at most|at least) ([\d.]+): (reached|MISSED)")
PAIRED = (
    "client_nginx", "client_rate", "client_cpu", "recording_loss", "first_byte_cost", "server_clock"
)  # fmt: skip
"""Rows that take pairs and seconds."""

ROWS = (*PAIRED, "recording", "schedule", "stall", "client_counts")


@dataclass(frozen=True)
class ReferenceFigure:
    what: str
    reach: str
    measured: str
    reached: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all if none")
    parser.add_argument("--pairs", type=int, help="how often each side of a ratio is measured")
    parser.add_argument("--seconds", type=int, help="how long each measurement lasts")
    given = parser.parse_args()
    if unknown := sorted(set(given.rows) - set(ROWS)):
        parser.error(f"no such row: {', '.join(unknown)}")
    other_tools.install()
    figures = [
        figure
        for row in given.rows or ROWS
        for figure in measured(row, arguments(row, given.pairs, given.seconds))
    ]
    show(figures)
    return 0 if all(figure.reached == "yes" for figure in figures) else 1


def arguments(row: str, pairs: int | None, seconds: int | None) -> list[str]:
    """A script's own defaults stand where nothing is given."""
    if row not in PAIRED or (pairs is None and seconds is None):
        return []
    return [str(pairs or 7), str(seconds or 4)]


def measured(row: str, given: list[str]) -> list[ReferenceFigure]:
    """What the script of a row prints, passed on as it comes, and its verdicts."""
    print(f"== {row}", flush=True)
    command = [sys.executable, "-u", "-m", f"bench.{row}", *given]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        found = [figure for line in running.stdout if (figure := read(line))]
    if not found:
        return [ReferenceFigure(row, "", "", f"ended with code {running.returncode} and no figure")]
    return found


def read(line: str) -> ReferenceFigure | None:
    """Pass the line on; a figure where it is a verdict."""
    print(line, end="", flush=True)
    verdict = VERDICT.fullmatch(line.strip())
    if verdict is None:
        return None
    sign = "≤" if verdict[3] == "at most" else "≥"
    reached = "yes" if verdict[5] == "reached" else "no"
    return ReferenceFigure(verdict[1], f"{sign} {verdict[4]}", verdict[2], reached)


def show(figures: list[ReferenceFigure]) -> None:
    """As Markdown, to be kept in the README of this folder."""
    print("\n| what | reach | measured | reached |\n|---|---|---|---|")
    for figure in figures:
        print(f"| {figure.what} | {figure.reach} | {figure.measured} | {figure.reached} |")


if __name__ == "__main__":
    sys.exit(main())
