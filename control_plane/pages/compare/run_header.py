"""The header of a comparison: its runs, and what differs between them. The legend of its page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from control_plane.analysis.causes import CAUSES
from control_plane.analysis.comparison import Comparison, stream_of
from control_plane.analysis.differences import environment_fields, like_fields
from control_plane.analysis.prose.comparison_scope import own_commands
from control_plane.analysis.run_labels import RunLabel
from control_plane.analysis.validity.judged_run import gate_notes
from control_plane.domain.result import Progress, ValidityOutcome
from control_plane.domain.run import Live, Run, State
from control_plane.domain.units import NONE, about, count, figures, number_of, seconds
from control_plane.pages.compare_query import CompareQuery
from control_plane.pages.run_rows import phase_text
from control_plane.pages.site.templating import LONGEST_TEXT

MOST_ROWS = 12

Now = tuple[Progress | None, Live | None]


@dataclass(frozen=True)
class RunColumn:
    """One run in the header.

    `rate` is a number, the unit is /s. `done` in per cent, None when the run is over.

    `notes` are the reasons of the outcome, the worst first, or how far the run is. `hidden`: charts
    leave it out, which `turn_url` turns round.
    """

    label: RunLabel
    run: Run
    rate: str
    outcome: ValidityOutcome | None
    notes: tuple[str, ...]
    done: int | None
    is_baseline: bool
    baseline_url: str
    remove_url: str | None
    hidden: bool
    turn_url: str | None


@dataclass(frozen=True)
class HeaderRow:
    """One field by run, in the order of the columns; `differs` is set in bold."""

    label: str
    texts: tuple[str, ...]
    differs: bool

    @property
    def has_long(self) -> bool:
        """Whether a text is so long that its beginning unfolds it."""
        return max(map(len, self.texts)) > LONGEST_TEXT


@dataclass(frozen=True)
class RunHeader:
    """The runs side by side, and a row for each field that differs.

    `cut` tells how many rows are left out, and which stand first; empty where none is.
    """

    columns: tuple[RunColumn, ...]
    rows: tuple[HeaderRow, ...]
    cut: str


def run_header(
    comparison: Comparison,
    query: CompareQuery,
    stream: str,
    progress: Mapping[str, Progress],
    live: Mapping[str, Live],
) -> RunHeader:
    """Return the columns of the runs, and the rows of what differs between them.

    `progress` by id of those runs that are not over, `live` of those that are measured.
    """
    columns = tuple(
        _column(comparison, query, run, stream, (progress.get(run.id), live.get(run.id)))
        for run in comparison.runs
    )
    rows = (
        *_configurations(comparison),
        *_commands(comparison),
        *_differing(comparison),
        *_duration(comparison.runs, stream),
        *_causes(comparison.runs),
    )
    return RunHeader(columns, rows, _cut(comparison))


def _cut(comparison: Comparison) -> str:
    fields = len(like_fields(comparison.differences, comparison.environment))
    differing = len(comparison.differences) + len(comparison.environment)
    if differing <= MOST_ROWS:
        return ""
    shown = f"{MOST_ROWS} of {count(differing)} differences are shown:"
    if fields >= MOST_ROWS:
        return f"{shown} the first of {count(fields)} fields."
    first = f"{number_of(fields, 'field')} first, then " if fields else ""
    return f"{shown} {first}facts of the environment."


def all_rows(comparison: Comparison) -> tuple[HeaderRow, ...]:
    """Return a row for each field of the specs and each fact of the environments."""
    order = [run.id for run in comparison.measured_runs]
    return tuple(
        HeaderRow(
            field.label, tuple(field.texts.get(run_id, NONE) for run_id in order), field.differs
        )
        for field in (*comparison.fields, *environment_fields(comparison.measured_runs))
    )


def _column(
    comparison: Comparison,
    query: CompareQuery,
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
        notes=tuple(_notes(run, progress, live)),
        done=round(100 * progress.share) if progress else None,
        is_baseline=run.id == comparison.baseline,
        baseline_url=query.against(run.id),
        remove_url=query.without(run.id),
        hidden=run.id in query.hidden,
        turn_url=query.turning(run.id) if len(query.ids) > 1 else None,
    )


def _rate(run: Run, stream: str, live: Live | None) -> str:
    """Return the rate of a run, so far if it is measured now."""
    summary = stream_of(run, stream)
    if summary is not None:
        return figures(summary.throughput_per_s)
    streams = live.streams if live else ()
    rates = [found.throughput_per_s for found in streams if found.name == stream]
    return figures(rates[0]) if rates and rates[0] is not None else NONE


def _notes(run: Run, progress: Progress | None, live: Live | None) -> Iterator[str]:
    if progress is not None:
        phase = phase_text(run.spec, progress, live)
        left = progress.remaining_s
        yield phase if left is None else f"{phase}, {about(left)} left"
    elif run.state is not State.FINISHED:
        yield from filter(None, [run.reason])
    else:
        yield from gate_notes(run)


def _configurations(comparison: Comparison) -> Iterator[HeaderRow]:
    """Return the configurations, bold where settings differ; one name for all stands above."""
    first, *others = (run.spec.target for run in comparison.runs)
    differs = any(other != first for other in others)
    if len(set(comparison.configurations)) > 1:
        yield HeaderRow("Configuration", comparison.configurations, differs=differs)


def _commands(comparison: Comparison) -> Iterator[HeaderRow]:
    """Return the command lines of own commands, where those differ."""
    commands = own_commands(comparison.runs)
    if any(commands):
        yield HeaderRow("Command", tuple(command or NONE for command in commands), differs=True)


def _differing(comparison: Comparison) -> Iterator[HeaderRow]:
    order = [run.id for run in comparison.runs]
    first = like_fields(comparison.differences, comparison.environment)
    others = (*comparison.environment, *comparison.differences)
    for field in [*first, *(other for other in others if other not in first)][:MOST_ROWS]:
        texts = tuple(field.texts.get(run_id, NONE) for run_id in order)
        yield HeaderRow(field.label, texts, differs=True)


def _duration(runs: Sequence[Run], stream: str) -> Iterator[HeaderRow]:
    """Return how long one trial took, where all runs stop after the same number of requests."""
    specs = (spec for run in runs for spec in run.spec.workload.streams if spec.name == stream)
    stops = {spec.stop for spec in specs}
    requests = stops.pop().requests if len(stops) == 1 else None
    if requests is not None:
        texts = tuple(_trial_seconds(run, stream) for run in runs)
        yield HeaderRow(f"{number_of(requests, 'request')} in", texts, differs=False)


def _trial_seconds(run: Run, stream: str) -> str:
    summary = stream_of(run, stream)
    if summary is None or not run.trials:
        return NONE
    return seconds(summary.duration_s / len(run.trials))


def _causes(runs: Sequence[Run]) -> Iterator[HeaderRow]:
    """Return what held each run back, where anything was found."""
    texts = tuple(_cause(run) for run in runs)
    if any(cause.found for run in runs for cause in run.causes):
        yield HeaderRow("Cause", texts, differs=False)


def _cause(run: Run) -> str:
    found = next((cause for cause in run.causes if cause.found), None)
    if found is not None:
        rule = CAUSES[found.cause]
        return f"{rule.short}, {rule.value(found.evidence)}"
    if any(cause.found is None for cause in run.causes):
        return "not decided"
    return "none found" if run.causes else NONE
