"""Runs and comparisons as a terminal shows them."""

import json
from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table

from control_plane.domain.metrics import METRIC
from control_plane.domain.reading import Document
from control_plane.domain.units import NONE, WRITTEN, rate, ratio, seconds

out, err = Console(highlight=False), Console(stderr=True, highlight=False)


def complain(text: str) -> None:
    """One line on standard error, as it is."""
    err.print(text, soft_wrap=True, markup=False)


def print_json(document: Document) -> None:
    out.print_json(json.dumps(document))


def print_progress(run: Document) -> None:
    progress = run["progress"]
    if progress:
        place = f"trial {progress['trial']} of {progress['trials']}, {progress['share']:.0%}"
        complain(f"{run['state']}: {place}")


def print_run(run: Document, url: str | None) -> None:
    """State, address and validity, then one line for each stream."""
    for line in _lines(run, url):
        out.print(line, soft_wrap=True, markup=False)


def print_comparison(comparison: Document) -> None:
    """Values with their ratio to the first run; refused ratios are left out."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("Stream", "Metric"):
        table.add_column(head)
    for run in comparison["runs"]:
        table.add_column(f"{run['title']}\n{run['id']}\n{_outcome(run)}", justify="right")
    for row in comparison["rows"]:
        cells = (_cell(row, run["id"]) for run in comparison["runs"])
        table.add_row(row["stream"], METRIC[row["metric"]].label, *cells)
    out.print(table)


def _lines(run: Document, url: str | None) -> Iterator[str]:
    where = f"{url}/runs/{run['id']}" if url else run["id"]
    yield f"{run['state']}  {where}"
    if run.get("reason"):
        yield run["reason"]
    if run.get("streams"):
        yield _outcome(run)
        yield from (f"{reason['text']}" for reason in run["validity"]["reasons"])
    for stream in run.get("streams") or ():
        times = stream["response_time_s"] or {}
        shown = [f"{name} {seconds(times[name])}" for name in ("p50", "p99") if name in times]
        errors = sum(stream["errors"].values())
        numbers = [rate(stream["throughput_per_s"]), *shown, f"{errors:,} errors"]
        yield f"{stream['name']}: {', '.join(numbers)}"


def _outcome(run: Document) -> str:
    return str(run["validity"]["outcome"] or run["state"])


def _cell(row: Document, run_id: str) -> str:
    value = row["values"][run_id]
    if value is None:
        return NONE
    against = row["ratios"][run_id]
    written = WRITTEN[row["unit"]](value)
    return written if against is None else f"{written} {ratio(against):>6}"
