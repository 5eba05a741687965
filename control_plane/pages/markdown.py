"""A comparison as Markdown, to paste into a pull request."""

import re

from control_plane.analysis.compare_prose import catch, no_verdict, title
from control_plane.analysis.comparison import Comparison
from control_plane.analysis.sentence import plain
from control_plane.domain.metrics import METRIC, Metric
from control_plane.domain.run import Run
from control_plane.domain.units import NONE, WRITTEN, ratio

SHOWN = (
    "throughput_per_s",
    "response_time_s.p50",
    "response_time_s.p99",
    "response_time_s.max",
    "error_share",
    "cpu_s_per_request",
    "peak_memory_bytes",
)
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|@~&-])")


def markdown(comparison: Comparison, address: str) -> str:
    """Sentence, table for each stream, validity, link."""
    parts = [f"**{escaped(plain(title(comparison)))}**"]
    if said := plain(catch(comparison)):
        parts.append(escaped(said))
    parts += [_table(comparison, stream) for stream in comparison.streams]
    parts.append(f"{escaped(no_verdict(comparison))} [Open the comparison](<{address}>)")
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _table(comparison: Comparison, stream: str) -> str:
    heads = [escaped(stream), *(escaped(one.text) for one in comparison.labels)]
    lines = [heads, ["---", *("---:" for _ in comparison.labels)]]
    lines += [_row(comparison, stream, METRIC[name]) for name in SHOWN]
    lines.append(["Validity", *(_validity(run) for run in comparison.runs)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _row(comparison: Comparison, stream: str, metric: Metric) -> list[str]:
    row = comparison.row(stream, metric.name)
    return [metric.label, *(_cell(row.values[one], row.ratios[one], metric) for one in row.values)]


def _cell(value: float | None, against: float | None, metric: Metric) -> str:
    text = WRITTEN[metric.unit](value)
    return f"{text} ({ratio(against)})" if against not in {None, 1.0} else text


def _validity(run: Run) -> str:
    if run.validity is None or run.validity.outcome is None:
        return run.state.value if run.streams else NONE
    return run.validity.outcome
