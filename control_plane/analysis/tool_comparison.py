"""Results of other tools and runs side by side: numbers, ratios where both are of one kind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from control_plane.analysis.differences import machine_mismatch, measured_elsewhere
from control_plane.analysis.run_labels import LETTERS, MARKERS, RunLabel
from control_plane.domain.errors import InvalidInput
from control_plane.domain.histogram import Histogram
from control_plane.domain.ids import run_address
from control_plane.domain.metrics_and_objectives import METRIC, Unit
from control_plane.domain.result import Summary, ValidityOutcome
from control_plane.domain.run import Run, RunDetail
from control_plane.domain.spec_json import Document
from control_plane.domain.times_and_percentiles import AT_LEAST, GREYED, PERCENTILES, Times
from control_plane.domain.tool_result import ToolClock, ToolResult, ToolStream, ToolTimes
from control_plane.domain.units import WRITTEN, count

COMPARED_PERCENTILES = (
    *("10", "25", "50", "66", "75", "80", "90", "95", "98", "99", "99.9", "99.99", "99.999"),
)
"""Those that stand in tables, where a side has them; the chart has all that are told."""

CLOCKS: Mapping[ToolClock, str] = {
    "service": "from when it was sent",
    "response": "from when it was meant to be sent",
    "unknown": "not told",
}


@dataclass(frozen=True)
class Measurement:
    """One side: what it is called, who measured it, and the numbers of one of its streams.

    `outcome` None: nobody judged it. Names in `at_least` are lower bounds. `others`: how many
    streams it has beside this one. `samples` None: percentiles are all that is known. `run` None:
    it is the result of a tool, and nothing is known of its machine.
    """

    label: RunLabel
    url: str
    judgement: str
    outcome: ValidityOutcome | None
    of_tool: bool
    clock: ToolClock
    stream: ToolStream
    samples: Histogram | None
    at_least: tuple[str, ...] = ()
    others: int = 0
    run: Run | None = None

    @property
    def all_failed(self) -> bool:
        """Whether every request failed, as far as is told: its times are those of failures."""
        return self.stream.error_share == 1


@dataclass(frozen=True)
class MeasuredMetric:
    """One number of each side in their order, and its ratio to the first; None: not known."""

    name: str
    label: str
    unit: Unit | None
    values: tuple[float | None, ...]
    ratios: tuple[float | None, ...]
    at_least: tuple[bool, ...] = field(default=())

    def text(self, place: int) -> str:
        """Return a value as it is written, a dash where it is not known."""
        value = self.values[place]
        sign = AT_LEAST if self.at_least and self.at_least[place] and value is not None else ""
        written = WRITTEN[self.unit] if self.unit else count
        return f"{sign}{written(value)}"


def measurement_of_tool(result: ToolResult, index: int) -> Measurement:
    """Return the first stream of a result as a side: that of all requests, where there is one."""
    return Measurement(
        label=_label(index, result.id, result.title),
        url=result.url,
        judgement=result.judgement,
        outcome=None,
        of_tool=True,
        clock=result.report.clock,
        stream=result.report.streams[0],
        samples=result.samples[0],
        others=len(result.report.streams) - 1,
    )


def measurement_of_run(detail: RunDetail, index: int, clock: ToolClock) -> Measurement | None:
    """Return the first stream of a run as a side, on that clock; None where it has no result."""
    run = detail.run
    if not run.streams:
        return None
    summary = run.streams[0]
    result = detail.streams[summary.name]
    samples = result.service if clock == "service" else result.response
    times = summary.service_time_s if clock == "service" else summary.response_time_s
    return Measurement(
        label=_label(index, run.id, run.title),
        url=run_address(run.id),
        judgement=_judgement(run),
        outcome=run.validity.outcome if run.validity else None,
        of_tool=False,
        clock="service" if clock == "service" else "response",
        stream=_stream(summary, times, samples),
        samples=samples,
        at_least=times.at_least if times else (),
        others=len(run.streams) - 1,
        run=run,
    )


def measured_sides(
    ids: Sequence[str], peers: Mapping[str, ToolResult], detail: Callable[[str], RunDetail]
) -> list[Measurement]:
    """Return runs and results of tools in the order of their ids, which are those of `peers`.

    Runs are told on the clock of the first tool whose file says its own. Raises what `detail` does,
    and InvalidInput for a run without a result.
    """
    clocks = [peers[side].report.clock for side in ids if side in peers]
    clock: ToolClock = next((found for found in clocks if found != "unknown"), "response")
    found: list[Measurement] = []
    for place, side in enumerate(ids):
        if side in peers:
            found.append(measurement_of_tool(peers[side], place))
            continue
        measured = measurement_of_run(detail(side), place, clock)
        if measured is None:
            raise InvalidInput(f"Run {side} has no result.")
        found.append(measured)
    return found


def measured_document(sides: Sequence[Measurement], *, ratios: bool) -> Document:
    """Return runs and results of tools side by side as the API gives them; ratios are to the first.

    `note` says why there are none, or what they suppose.
    """
    results = [
        {
            "id": side.label.id,
            "title": side.label.name,
            "url": side.url,
            "judgement": side.judgement,
            "clock": side.clock,
            "stream": side.stream.name,
            "has_samples": side.samples is not None,
        }
        for side in sides
    ]
    ids = [side.label.id for side in sides]
    rows = [
        {
            "metric": metric.name,
            "label": metric.label,
            "unit": metric.unit,
            "values": dict(zip(ids, metric.values, strict=True)),
            "ratios": dict(zip(ids, metric.ratios, strict=True)),
            "texts": {side: metric.text(place) for place, side in enumerate(ids)},
        }
        for metric in compared_metrics(sides, ratios=ratios)
    ]
    return {"results": results, "rows": rows, "note": ratio_note(sides, ratios=ratios)}


def _label(index: int, result_id: str, title: str) -> RunLabel:
    name = title if len(title) <= 40 else f"{title[:39].rstrip()}…"
    return RunLabel(index, result_id, LETTERS[index], name, MARKERS[index % 6], hollow=index >= 6)


def _judgement(run: Run) -> str:
    outcome = run.validity.outcome if run.validity else None
    return outcome or "not judged"


def _stream(summary: Summary, times: Times | None, samples: Histogram) -> ToolStream:
    failed = sum(summary.errors.values())
    return ToolStream(
        name=summary.name,
        requests=summary.completed + failed,
        failed=failed,
        times=_times(times, samples) if times else ToolTimes(),
        errors=summary.errors,
        statuses=summary.statuses,
        duration_s=summary.duration_s,
        throughput_per_s=summary.throughput_per_s,
        bytes_received=summary.bytes_received,
    )


def _times(times: Times, samples: Histogram) -> ToolTimes:
    """Return the numbers of a run's times that may be shown: with ten samples beyond, at least."""
    own = {f"{100 * share:g}": name for name, share in PERCENTILES.items()}
    all_answered = not (times.unanswered and times.unanswered.count)
    found: dict[str, float] = {}
    for percent in COMPARED_PERCENTILES:
        share = float(percent) / 100
        value = times.percentile(own[percent]) if percent in own else None
        if percent not in own and all_answered:
            value = samples.quantile_ns(share) / 1e9
        if value is not None and samples.beyond(share) >= GREYED:
            found[percent] = value
    return ToolTimes(times.min, times.mean, times.max, found)


def compared_metrics(sides: Sequence[Measurement], *, ratios: bool) -> tuple[MeasuredMetric, ...]:
    """Return the metrics that any side has, with ratios to the first side where they are asked for.

    A ratio needs both numbers, no bound, no side that is invalid or failed whole, for times the
    same clock, and runs of one machine.
    """
    streams = [side.stream for side in sides]
    told = {f"{100 * share:g}" for share in PERCENTILES.values()}
    told |= {name for side in sides if side.of_tool for name in side.stream.times.percentiles}
    columns: list[tuple[str, str, Unit | None, list[float | None]]] = [
        ("throughput_per_s", "Throughput", "per_s", [s.throughput_per_s for s in streams]),
        ("requests", "Requests", None, [s.requests for s in streams]),
        ("failed", "Failed requests", None, [s.failed for s in streams]),
        ("error_share", METRIC["error_share"].label, "share", [s.error_share for s in streams]),
        ("duration_s", METRIC["duration_s"].label, "s", [s.duration_s for s in streams]),
        ("min", "Minimum", "s", [s.times.min for s in streams]),
        ("mean", "Mean", "s", [s.times.mean for s in streams]),
    ]
    columns += [
        (f"p{percent}", f"p{percent}", "s", [s.times.percentiles.get(percent) for s in streams])
        for percent in COMPARED_PERCENTILES
        if percent in told
    ]
    columns.append(("max", "Maximum", "s", [s.times.max for s in streams]))
    return tuple(
        _metric(sides, column, with_ratios=ratios)
        for column in columns
        if any(value is not None for value in column[3])
    )


_NO_RATIO = {"requests", "failed", "error_share", "duration_s"}
_TIMES = {"min", "mean", "max"}


def _metric(
    sides: Sequence[Measurement],
    column: tuple[str, str, Unit | None, list[float | None]],
    *,
    with_ratios: bool,
) -> MeasuredMetric:
    name, label, unit, values = column
    is_time = name in _TIMES or name.startswith("p")
    bounds = tuple(name in side.at_least for side in sides)
    found: list[float | None] = []
    for side, value, is_bound in zip(sides, values, bounds, strict=True):
        able = with_ratios and name not in _NO_RATIO and not (is_bound or bounds[0])
        able = able and (not is_time or _same_clock(sides[0], side))
        able = able and side is not sides[0] and not any(map(_unfit, (side, sides[0])))
        able = able and not _apart(sides[0], side)
        found.append(value / values[0] if able and value and values[0] else None)
    return MeasuredMetric(name, label, unit, tuple(values), tuple(found), bounds)


def _unfit(side: Measurement) -> bool:
    """Whether nothing is set against a side: it is invalid, or all of its requests failed."""
    return side.outcome == "invalid" or side.all_failed


def _apart(first: Measurement, other: Measurement) -> str | None:
    """Return how the machines differ where another Looplab measured one of two runs, else None."""
    if first.run is None or other.run is None:
        return None
    return measured_elsewhere(first.run, other.run)


def _same_clock(first: Measurement, other: Measurement) -> bool:
    return first.clock == other.clock != "unknown"


def other_machine(sides: Sequence[Measurement]) -> str:
    """Return which run another machine measured than the first run, and how they differ; or ""."""
    first, *others = [side for side in sides if not side.of_tool] or [sides[0]]
    found = (
        (side, _apart(first, side) or machine_mismatch(first.run.environment, side.run.environment))
        for side in others
        if first.run and side.run
    )
    told = (
        f"{side.label.letter} was measured in another environment than {first.label.letter}: {how}"
        for side, how in found
        if how
    )
    return next(told, "")


def ratio_note(sides: Sequence[Measurement], *, ratios: bool) -> str:
    """Return why there are no ratios, or what those that are given suppose."""
    told = [other_machine(sides)]
    if any(side.of_tool for side in sides):
        told.append("files of other tools do not say on which machine they were measured")
    why = "; ".join(filter(None, told))
    failed = [
        f"All requests of {side.label.letter} failed, so it has no ratio."
        for side in sides
        if side.all_failed
    ]
    if not ratios:
        return " ".join([*([f"No ratios: {why}."] if why else []), *failed])
    first = sides[0].label.letter
    supposed = [f"Ratios to {first} hold if one machine measured all: {why}."] if why else []
    never = [
        f"{side.label.letter} has none: another Looplab measured it on another machine."
        for side in sides
        if _apart(sides[0], side)
    ]
    return " ".join([*supposed, *never, *failed])
