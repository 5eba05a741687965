"""A comparison as Markdown, to paste into a pull request."""

import re
from collections.abc import Iterator

from control_plane.analysis.comparison import Comparison, MetricComparison
from control_plane.analysis.prose.comparison_scope import asked_of_runs, deleted_runs
from control_plane.analysis.prose.comparison_sentences import (
    caveats,
    comparison_title,
    no_verdict,
    shared_cause,
)
from control_plane.analysis.prose.sentence import plain_text
from control_plane.domain.metrics import METRIC, Metric
from control_plane.domain.run import Run
from control_plane.domain.times_and_percentiles import AT_LEAST_NOTE, NO_ANSWER
from control_plane.domain.units import NONE, ratio
from control_plane.pages.compare.numbers_table import (
    FIRST_BYTE,
    Trust,
    ratio_trust,
    shown_ratio,
    trust,
)

TABLED = (
    "throughput_per_s",
    "response_time_s.p50",
    "response_time_s.p99",
    "response_time_s.max",
    FIRST_BYTE,
    "error_share",
    "bytes_received_per_request",
    "cpu_s_per_request",
    "peak_memory_bytes",
)
MARKDOWN_MARKS: dict[Trust, str] = {"full": "", "greyed": "*", "void": "~~"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|@~&-])")


def markdown(comparison: Comparison, address: str) -> str:
    """Return the sentences, a table for each stream, the validity and a link."""
    parts = [escaped(deleted_runs(comparison)), escaped(plain_text(asked_of_runs(comparison)))]
    parts.append(f"**{escaped(plain_text(comparison_title(comparison)))}**")
    if text := plain_text(caveats(comparison)):
        parts.append(escaped(text))
    parts += [_table(comparison, stream) for stream in comparison.streams]
    parts.append(escaped(shared_cause(comparison) or ""))
    parts += _notes(comparison)
    parts += _failures(comparison)
    parts.append(f"{escaped(no_verdict(comparison))} [Open the comparison](<{address}>)")
    return "\n\n".join(filter(None, parts)) + "\n"


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _table(comparison: Comparison, stream: str) -> str:
    heads = [escaped(stream), *(escaped(label.text) for label in comparison.labels)]
    lines = [heads, ["---", *("---:" for _ in comparison.labels)]]
    lines.append(["Configuration", *map(escaped, comparison.configurations)])
    lines += [_row(comparison, stream, METRIC[name]) for name in _tabled(comparison, stream)]
    lines.append(["Validity", *(_validity(run) for run in comparison.runs)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _tabled(comparison: Comparison, stream: str) -> Iterator[str]:
    """Yield the metrics of a table: the first byte only where answers begin before they end."""
    begins_early = comparison.begins_early(stream)
    yield from (name for name in TABLED if name != FIRST_BYTE or begins_early)


def _row(comparison: Comparison, stream: str, metric: Metric) -> list[str]:
    row = comparison.row(stream, metric.name)
    return [metric.label, *(_cell(comparison, row, run) for run in comparison.runs)]


def _cell(comparison: Comparison, row: MetricComparison, run: Run) -> str:
    value, level = row.values[run.id], trust(run, row.stream, row.metric)
    if value is None or level == "hidden":
        return NO_ANSWER if run.id in row.unanswered else NONE
    text = _marked(row.text(run.id), level)
    against = shown_ratio(comparison, row, run.id)
    if against is None:
        return text
    return f"{text} {_marked(f'({ratio(against)})', ratio_trust(comparison, row, run.id))}"


def _marked(text: str, level: Trust) -> str:
    return f"{MARKDOWN_MARKS[level]}{text}{MARKDOWN_MARKS[level]}"


def _notes(comparison: Comparison) -> Iterator[str]:
    """Return what the marks in the tables mean, where there are any."""
    levels = {
        trust(run, row.stream, row.metric)
        for row in comparison.rows
        if row.metric in TABLED
        for run in comparison.runs
    }
    if any(row.at_least or row.unanswered for row in comparison.rows if row.metric in TABLED):
        yield AT_LEAST_NOTE
    if "greyed" in levels:
        yield "Italic: 10 to 99 samples lie beyond."
    if "void" in levels:
        yield "Struck out: the run, or the baseline of the ratio, is invalid."


def _failures(comparison: Comparison) -> Iterator[str]:
    """Return the first request of each run that failed in each way."""
    for run, label in zip(comparison.runs, comparison.labels, strict=True):
        if run.failures:
            lines = "; ".join(failed.line for failed in run.failures)
            yield f"First of what failed in {escaped(label.text)}: {escaped(lines)}."


def _validity(run: Run) -> str:
    if run.validity is None or run.validity.outcome is None:
        return run.state.value if run.streams else NONE
    return run.validity.outcome
