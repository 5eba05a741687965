"""One to twelve runs side by side, as their page shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from control_plane.analysis.charts.curve import curves_of_runs
from control_plane.analysis.charts.distribution import distribution_chart
from control_plane.analysis.charts.figure import Figure
from control_plane.analysis.charts.metric_lines import metric_lines
from control_plane.analysis.charts.percentiles import percentile_chart
from control_plane.analysis.charts.run_timelines import run_timelines
from control_plane.analysis.charts.shift import shift_chart
from control_plane.analysis.charts.throughput import BarChart, stream_names, throughput_bars
from control_plane.analysis.compare_prose import catch, no_verdict, shared_cause, title
from control_plane.analysis.comparison import Comparison, compare
from control_plane.analysis.sentence import Sentence
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.result import Progress
from control_plane.domain.run import RunDetail
from control_plane.domain.units import count
from control_plane.pages.chosen import Chosen
from control_plane.pages.numbers_table import NumbersTable, numbers_table
from control_plane.pages.ratio_view import RatioView, ratio_view
from control_plane.pages.strip import Column, Strip, strip

OUTCOMES: tuple[Literal["valid", "suspect", "invalid"], ...] = ("valid", "suspect", "invalid")


@dataclass(frozen=True)
class Badge:
    """`text` is the count, with the letters of those that are in doubt: `1 suspect: B`."""

    outcome: Literal["valid", "suspect", "invalid"]
    text: str


@dataclass(frozen=True)
class ComparePage:
    """`stream` is the one drawn; `streams` those that could be. `waiting`: a run is not over.

    `refused` names both values where machines differ; `shared` why a ratio has several causes.
    """

    chosen: Chosen
    comparison: Comparison
    waiting: bool
    title: Sentence
    catch: Sentence
    badges: tuple[Badge, ...]
    facts: tuple[str, ...]
    stream: str
    streams: tuple[str, ...]
    strip: Strip
    refused: str | None
    shared: str | None
    errors: str
    ratios: RatioView | None
    figures: tuple[Figure, ...]
    metrics: Figure | None
    bars: BarChart | None
    timelines: tuple[Figure, ...]
    numbers: NumbersTable | None


def compare_page(
    details: Sequence[RunDetail], chosen: Chosen, progress: Mapping[str, Progress]
) -> ComparePage:
    """`progress` by id of the runs that are not over. Raises InvalidInput for another stream."""
    runs = [detail.run for detail in details]
    comparison = compare(runs, chosen.baseline, anyway=chosen.anyway)
    stream = drawn_stream(comparison, chosen.stream)
    drawn = stream in stream_names(comparison)
    columns = strip(comparison, chosen, stream, progress)
    return ComparePage(
        chosen=chosen,
        comparison=comparison,
        waiting=any(not run.state.terminal for run in runs),
        title=title(comparison),
        catch=catch(comparison),
        badges=_badges(columns.columns),
        facts=_facts(comparison),
        stream=stream,
        streams=comparison.streams,
        strip=columns,
        refused=_refused(comparison, chosen),
        shared=shared_cause(comparison),
        errors=_errors(comparison),
        ratios=ratio_view(comparison, stream),
        figures=curve_figures(details, comparison, stream),
        metrics=metric_lines(comparison, stream) if drawn and len(runs) > 2 else None,
        bars=throughput_bars(comparison, stream) if drawn else None,
        timelines=run_timelines(details, comparison.labels, stream) if drawn else (),
        numbers=numbers_table(comparison, stream) if drawn else None,
    )


def drawn_stream(comparison: Comparison, asked: str | None) -> str:
    """The stream that is asked for, or the first."""
    if asked is not None and asked not in comparison.streams:
        message = f"No run has a stream {asked[:40]!r}: there is {', '.join(comparison.streams)}."
        raise InvalidInput(message, (FieldError("stream", message),))
    return asked or comparison.streams[0]


def curve_figures(
    details: Sequence[RunDetail], comparison: Comparison, stream: str
) -> tuple[Figure, ...]:
    """Percentiles, the shift to the baseline, and the distribution for one and two runs."""
    curves = curves_of_runs(details, comparison.labels, stream)
    if not curves:
        return ()
    shift = shift_chart(curves, comparison.baseline)
    figures = [percentile_chart(curves)]
    if shift is not None:
        figures.append(shift)
    figures.append(distribution_chart(curves))
    return tuple(figures)


def _badges(columns: Sequence[Column]) -> tuple[Badge, ...]:
    badges = []
    for outcome in OUTCOMES:
        letters = [column.label.letter for column in columns if column.outcome == outcome]
        if letters:
            named = "" if outcome == "valid" else f": {', '.join(letters)}"
            badges.append(Badge(outcome, f"{len(letters)} {outcome}{named}"))
    return tuple(badges)


def _facts(comparison: Comparison) -> tuple[str, ...]:
    if len(comparison.runs) == 1:
        return ()
    trials = sorted({run.spec.trials for run in comparison.runs})
    each = f"{trials[0]}" if len(trials) == 1 else f"{trials[0]} to {trials[-1]}"
    plural = "" if trials == [1] else "s"
    return (f"{each} trial{plural} of each run, not interleaved", no_verdict(comparison))


def _refused(comparison: Comparison, chosen: Chosen) -> str | None:
    """Why ratios are held back: the machines, with both values."""
    if chosen.anyway:
        return None
    texts = [one.text for one in comparison.refusals.values() if one.kind == "machine"]
    return "; ".join(dict.fromkeys(texts)) or None


def _errors(comparison: Comparison) -> str:
    """Said also when it is nothing."""
    failed = {
        run.id: sum(sum(one.errors.values()) for one in run.streams)
        for run in comparison.runs
        if run.streams
    }
    if not failed:
        return ""
    if not any(failed.values()):
        return "No request failed in any run." if len(failed) > 1 else "No request failed."
    said = [
        f"{comparison.label(run_id).letter} {count(number)}"
        for run_id, number in failed.items()
        if number
    ]
    return f"Failed requests: {', '.join(said)}."
