"""The run strip of a comparison: who is compared, and what differs. The legend of its page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from control_plane.analysis.causes.diagnose import CAUSES
from control_plane.analysis.comparison import Comparison, stream_of
from control_plane.analysis.run_labels import RunLabel
from control_plane.analysis.validity.gates import gate_rows
from control_plane.domain.result import Progress
from control_plane.domain.run import Live, Run, State
from control_plane.domain.units import NONE, about, count, figures, seconds
from control_plane.pages.parts.compare_query import CompareQuery
from control_plane.pages.parts.progress_view import phase_words

MOST_ROWS = 12

Outcome = Literal["valid", "suspect", "invalid"]
Now = tuple[Progress | None, Live | None]


@dataclass(frozen=True)
class RunColumn:
    """`rate` is a number, the unit is /s. `done` in per cent, None when the run is over.

    `note` is the reason of the outcome, or how far the run is.
    """

    label: RunLabel
    run: Run
    rate: str
    outcome: Outcome | None
    note: str
    done: int | None
    is_baseline: bool
    baseline_url: str
    remove_url: str | None


@dataclass(frozen=True)
class HeaderRow:
    """One field by run, in the order of the columns; `differs` is set in bold."""

    label: str
    texts: tuple[str, ...]
    differs: bool


@dataclass(frozen=True)
class RunHeader:
    """`more` counts the fields that differ too and are left out: the specs show them."""

    columns: tuple[RunColumn, ...]
    rows: tuple[HeaderRow, ...]
    more: int


def run_header(
    comparison: Comparison,
    chosen: CompareQuery,
    stream: str,
    progress: Mapping[str, Progress],
    live: Mapping[str, Live],
) -> RunHeader:
    """`progress` by id of those runs that are not over, `live` of those that are measured."""
    columns = tuple(
        _column(comparison, chosen, run, stream, (progress.get(run.id), live.get(run.id)))
        for run in comparison.runs
    )
    rows = (
        *_configurations(comparison),
        *_differing(comparison),
        *_duration(comparison.runs, stream),
        *_causes(comparison.runs),
    )
    differing = len(comparison.differences) + len(comparison.environment)
    return RunHeader(columns, rows, max(0, differing - MOST_ROWS))


def _column(
    comparison: Comparison,
    chosen: CompareQuery,
    run: Run,
    stream: str,
    now: Now,
) -> RunColumn:
    progress, live = now
    return RunColumn(
        label=comparison.label(run.id),
        run=run,
        rate=_rate(run, stream, live),
        outcome=comparison.outcome(run),
        note=_note(run, progress, live),
        done=round(100 * progress.share) if progress else None,
        is_baseline=run.id == comparison.baseline,
        baseline_url=chosen.against(run.id),
        remove_url=chosen.without(run.id),
    )


def _rate(run: Run, stream: str, live: Live | None) -> str:
    """Of a run that is measured now, the rate so far."""
    summary = stream_of(run, stream)
    if summary is not None:
        return figures(summary.throughput_per_s)
    rates = [one.throughput_per_s for one in live.streams if one.name == stream] if live else []
    return figures(rates[0]) if rates and rates[0] is not None else NONE


def _note(run: Run, progress: Progress | None, live: Live | None) -> str:
    if progress is not None:
        words = phase_words(run.spec, progress, live)
        left = progress.remaining_s
        return words if left is None else f"{words}, {about(left)} left"
    if run.state is not State.FINISHED:
        return run.reason or ""
    fired = [row for row in gate_rows(run.validity, run.spec) if row.level != "ok"]
    worst = sorted(fired, key=lambda row: row.level != "invalid")
    return f"{_lowered(worst[0].label)} {worst[0].value}" if worst else ""


def _configurations(comparison: Comparison) -> Iterator[HeaderRow]:
    """Where they have one name for all, it stands above. Bold where their settings differ."""
    first, *others = (run.spec.target for run in comparison.runs)
    differs = any(other != first for other in others)
    if len(set(comparison.configurations)) > 1:
        yield HeaderRow("Configuration", comparison.configurations, differs=differs)


def _differing(comparison: Comparison) -> Iterator[HeaderRow]:
    order = [run.id for run in comparison.runs]
    for one in (*comparison.environment, *comparison.differences)[:MOST_ROWS]:
        texts = tuple(one.texts.get(run_id, NONE) for run_id in order)
        yield HeaderRow(one.label, texts, differs=True)


def _duration(runs: Sequence[Run], stream: str) -> Iterator[HeaderRow]:
    """How long one trial took, where all runs stop after the same number of requests."""
    stops = {one.stop for run in runs for one in run.spec.workload.streams if one.name == stream}
    requests = stops.pop().requests if len(stops) == 1 else None
    if requests is not None:
        texts = tuple(_trial_seconds(run, stream) for run in runs)
        yield HeaderRow(f"{count(requests)} requests in", texts, differs=False)


def _trial_seconds(run: Run, stream: str) -> str:
    summary = stream_of(run, stream)
    if summary is None or not run.trials:
        return NONE
    return seconds(summary.duration_s / len(run.trials))


def _causes(runs: Sequence[Run]) -> Iterator[HeaderRow]:
    """What held each run back, where anything was found."""
    texts = tuple(_cause(run) for run in runs)
    if any(one.found for run in runs for one in run.causes):
        yield HeaderRow("Cause", texts, differs=False)


def _cause(run: Run) -> str:
    found = [one for one in run.causes if one.found]
    if not found:
        return _without(run)
    words = CAUSES[found[0].cause]
    return f"{words.short}, {words.value(found[0].evidence)}"


def _without(run: Run) -> str:
    if any(one.found is None for one in run.causes):
        return "not decided"
    return "none found" if run.causes else NONE


def _lowered(label: str) -> str:
    return label[:1].lower() + label[1:]
