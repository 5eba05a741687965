"""One distribution in a figure, of a run or of a stream of one run, and its percentile axis."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from control_plane.analysis.charts.figure import (
    FIRST,
    PERCENTILE_TICKS,
    Floats,
    Plot,
    x_axis,
)
from control_plane.analysis.charts.timeline_series import Span
from control_plane.analysis.comparison import invalid
from control_plane.analysis.deciding import summary_of
from control_plane.analysis.run_labels import RunLabel
from control_plane.domain.experiment import Experiment
from control_plane.domain.histogram import Histogram, merge, middle_ns
from control_plane.domain.run import Run, RunDetail, StreamResult
from control_plane.domain.spec import Spec
from control_plane.domain.times_and_percentiles import PERCENTILES, Times, Unanswered
from control_plane.domain.unanswered import unanswered_of_all

STREAM_COLOURS = ("$run-1", "$run-6", "$run-3", "$run-2", "$run-4", "$run-5")
"""Streams of one run: A, F, then the others."""

FADED = 0.4
"""Opacity of a run whose numbers may not be believed."""

SHORT_NAME = 16
"""Letters of a name that stands before something else."""

TimeKind = Literal["response", "service", "first byte"]


@dataclass(frozen=True)
class Curve:
    """One line of a figure, with its name and look.

    `samples` are response times, or what another clock says of the same requests.
    `short` names it in titles; `id` is run or stream. `paired` are the clocks of one stream:
    the names tell them apart and stand whole, the doubt is told by the page. `unanswered` requests
    are not among the samples. `blocks` are the samples of each trial of an experiment, from which
    its band is made.
    """

    id: str
    name: str
    short: str
    colour: str
    text_colour: str
    symbol: str
    samples: Histogram
    dashed: bool = False
    believed: bool = True
    clock: TimeKind = "response"
    paired: bool = False
    unanswered: Unanswered = field(default_factory=Unanswered)
    blocks: tuple[Histogram, ...] = ()

    @property
    def opacity(self) -> float:
        return 1.0 if self.believed else FADED

    @property
    def text(self) -> str:
        return f"{self.name}{self._doubt}"

    @property
    def short_text(self) -> str:
        """Return the text cut to `SHORT_NAME` letters, its doubt whole."""
        return shortened(self.name, self._doubt)

    @property
    def _doubt(self) -> str:
        return "" if self.believed or self.paired else ", invalid"

    @cached_property
    def ticks(self) -> Mapping[str, float]:
        """Return seconds by tick of the percentile axis; NaN when nothing completed."""
        found = self.samples.quantiles_ns(np.array(list(PERCENTILE_TICKS.values()))) / 1e9
        return dict(zip(PERCENTILE_TICKS, found.tolist(), strict=True))


def shortened(name: str, doubt: str = "") -> str:
    """Return the name cut to `SHORT_NAME` letters; `doubt` stands whole behind it."""
    room = SHORT_NAME - len(doubt)
    return (name if len(name) <= room else f"{name[: room - 1].rstrip()}…") + doubt


def curve_of(label: RunLabel, samples: Histogram, *, believed: bool) -> Curve:
    """Return the curve of what has that label: a run, an arm, or a result of another tool."""
    return Curve(
        id=label.id,
        name=label.text,
        short=label.letter,
        colour=label.colour,
        text_colour=label.text_colour,
        symbol=label.symbol,
        samples=samples,
        dashed=label.hollow,
        believed=believed,
    )


def curves_of_runs(
    details: Sequence[RunDetail], labels: Sequence[RunLabel], stream: str
) -> tuple[Curve, ...]:
    """Return a curve of each run that has completed requests in the stream of that name."""
    return tuple(
        replace(
            curve_of(label, detail.streams[stream].response, believed=not invalid(detail.run)),
            unanswered=_unanswered(detail.streams[stream].summary.response_time_s),
        )
        for detail, label in zip(details, labels, strict=True)
        if stream in detail.streams and detail.streams[stream].response.total
    )


def within(detail: RunDetail, stream: str, span: Span) -> RunDetail:
    """Return the run with the response times of some seconds of its trials in the place of all.

    Those of one stream, to the precision of the histograms; none where no seconds were kept.
    """
    if stream not in detail.streams:
        return detail
    counts = np.zeros(0, np.int64)
    for timeline, slices in zip(
        detail.timelines.get(stream, ()), detail.slices.get(stream, ()), strict=False
    ):
        begins_s = slices.seconds + timeline.opens_s
        inside = (slices.seconds >= 0) & (begins_s + 1 > span[0]) & (begins_s < span[1])
        chosen = np.repeat(inside, slices.sizes)
        found = np.bincount(slices.indices[chosen], slices.counts[chosen], len(counts))
        found[: len(counts)] += counts
        counts = found.astype(np.int64)
    indices = np.flatnonzero(counts)
    middles, counts = middle_ns(indices), counts[indices]
    ends = (int(middles[0]), int(middles[-1])) if len(indices) else (0, 0)
    samples = Histogram(indices, counts, *ends, int((middles * counts).sum()))
    narrowed = replace(detail.streams[stream], response=samples)
    return replace(detail, streams={**detail.streams, stream: narrowed})


def curves_of_arms(
    runs: Sequence[Run | None],
    labels: Sequence[RunLabel],
    blocks: Sequence[Sequence[Histogram]],
    experiment: Experiment,
) -> tuple[Curve, ...]:
    """Return a curve of each arm of an experiment that has completed requests, with its blocks.

    Those that are set aside are in none of it.
    """
    return tuple(
        replace(
            curve_of(label, merge(list(found)), believed=not invalid(run)),
            unanswered=_of_blocks(run, experiment),
            blocks=tuple(found),
        )
        for run, label, found in zip(runs, labels, blocks, strict=True)
        if run is not None and any(samples.total for samples in found)
    )


def _of_blocks(run: Run, experiment: Experiment) -> Unanswered:
    kept = (trial for trial in run.trials if trial.block not in experiment.spoiled)
    trials = (summary_of(experiment.design.stream, trial) for trial in kept)
    return unanswered_of_all([trial for trial in trials if trial], run.spec.timeout_s)


def _unanswered(times: Times | None) -> Unanswered:
    return (times.unanswered if times else None) or Unanswered()


def curves_of_streams(detail: RunDetail) -> tuple[Curve, ...]:
    """Return a curve of each stream of one run that has completed requests."""
    drawn = [(name, stream) for name, stream in detail.streams.items() if stream.response.total]
    return tuple(
        Curve(
            id=name,
            name=name,
            short=name,
            colour=STREAM_COLOURS[index % 6],
            text_colour=f"{STREAM_COLOURS[index % 6]}-text",
            symbol="circle" if index == 0 else "hexagon",
            samples=stream.response,
            unanswered=_unanswered(stream.summary.response_time_s),
            dashed=index >= 6,
            believed=not invalid(detail.run),
        )
        for index, (name, stream) in enumerate(drawn)
    )


def with_other_clocks(curves: Sequence[Curve], detail: RunDetail) -> tuple[Curve, ...]:
    """Return the curves, and beside each those of the other clocks that say something else.

    The service time where requests waited to be sent, the first byte where answers began early.
    """
    found: list[Curve] = []
    for curve in curves:
        before = f"{curve.name} " if len(curves) > 1 else ""
        others = list(_other_clocks(curve, before, detail.streams[curve.id]))
        name = f"{before}response time"
        found += [replace(curve, name=name, paired=True) if others else curve, *others]
    return tuple(found)


def _other_clocks(curve: Curve, before: str, result: StreamResult) -> Iterator[Curve]:
    summary, beside = result.summary, replace(curve, dashed=True, paired=True)
    if times_differ(result):
        yield replace(
            beside,
            name=f"{before}service time",
            short=f"{before}service",
            samples=result.service,
            unanswered=_unanswered(summary.service_time_s),
            symbol=f"{curve.symbol}-open",
            clock="service",
        )
    if result.first_byte is not None and summary.begins_early:
        yield replace(
            beside,
            name=f"{before}first byte",
            short=f"{before}first byte",
            samples=result.first_byte,
            unanswered=_unanswered(summary.first_byte_time_s),
            symbol=f"{curve.symbol}-open-dot",
            clock="first byte",
        )


CLOCKS_DIFFER = 1.01
"""From this ratio at any percentile on, both times are worth a curve: one pixel on the axis."""

BOTH_NOTE = (
    "Response time runs from the moment a request was meant to start: what somebody who waits for "
    "it feels. Service time runs from the moment it was sent: what it takes once it is under way."
)
SCHEDULED_NOTE = "Response time runs from the moment a request was meant to start."
CLOSED_NOTE = (
    "Closed model: each user waits for the answer before the next request. So a stalled server "
    "also stops the requests that would have met the stall (coordinated omission), and this chart "
    "cannot show their waiting."
)
PERIODIC_NOTE = (
    "Periodic load: each user waits for its answer, so no time shows queueing. Response time is "
    "longer than service time only by what the client was late."
)

FIRST_BYTE_NOTE = (
    "First byte: from the moment a request was sent to the first byte of its answer, also of "
    "answers that were errors or had no end."
)


def times_differ(result: StreamResult) -> bool:
    """Whether response and service time differ so much that both are drawn."""
    if not result.service.total or result.service is result.response:
        return False
    shares = np.array(list(PERCENTILES.values()))
    service, response = (
        np.maximum(samples.quantiles_ns(shares), 1) for samples in (result.service, result.response)
    )
    return bool((response >= CLOCKS_DIFFER * service).any())


def time_base_note(spec: Spec, results: Iterable[StreamResult]) -> str:
    """Return what the times of a run mean, and what its load models cannot show."""
    loads, found = [stream.load for stream in spec.workload.streams], list(results)
    scheduled = BOTH_NOTE if any(map(times_differ, found)) else SCHEDULED_NOTE
    notes = {
        scheduled: any(load.shows_queueing for load in loads),
        CLOSED_NOTE: any(load.obeys_littles_law for load in loads),
        PERIODIC_NOTE: any(load.user_interval_s is not None for load in loads),
        FIRST_BYTE_NOTE: any(result.summary.begins_early for result in found),
    }
    return " ".join(note for note, applies in notes.items() if applies)


def nines(share: float) -> float:
    """Return the place of a share on the percentile axis: 1 for p90, 2 for p99, 3 for p99.9."""
    return -math.log10(1 - share) if share < 1 else math.inf


def shares(places: Floats) -> Floats:
    """Return the reverse of `nines`, shape kept."""
    found: Floats = 1 - 10**-places
    return found


def percentile_axis(end: float) -> Plot:
    """Return the axis from p50 to the place `end`, with a tick for each named percentile."""
    ticks = {name: nines(share) for name, share in PERCENTILE_TICKS.items()}
    return x_axis(
        range=[FIRST - 0.06, max(end, FIRST + 0.1) + 0.02],
        tickvals=[round(place, 4) for place in ticks.values()],
        ticktext=list(ticks),
        showgrid=True,
        showline=False,
        ticks="",
    )
