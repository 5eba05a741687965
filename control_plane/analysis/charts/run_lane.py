"""One run of a comparison over time: its seconds, and how near to its limits it was in each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from control_plane.analysis.charts.curve import FADED
from control_plane.analysis.charts.trial_axis import (
    TrialSegment,
    average,
    maxima,
    mean,
    per_second,
    role_cpu,
    scaled,
)
from control_plane.analysis.comparison import invalid
from control_plane.analysis.run_labels import RunLabel
from control_plane.domain.limits import BLOCKED_LOOP_S, BUSY_SHARE
from control_plane.domain.result import Gauges
from control_plane.domain.run import RunDetail
from control_plane.domain.units import count, seconds, share

BLOCKED_SHARE = 0.05
"""A loop is called blocked where its lag is over the limit in so many of the seconds."""


@dataclass(frozen=True)
class UtilizationStrip:
    """How near one part was to its limit in each second of a trial.

    `values` in the unit of `head`; `loads` as parts of the limit, from 0.

    `shown` stands for the whole trial; `limit` says that this is at the limit, else it is empty.
    """

    name: str
    head: str
    values: list[float | None]
    loads: list[float | None]
    shown: str
    limit: str

    @property
    def text(self) -> str:
        return f"{self.name} {self.shown}{self.limit}"

    @property
    def short(self) -> str:
        name = self.name.removesuffix(" CPU").removeprefix("loop ")
        return f"{name} {self.shown.removeprefix('up to ')}"


@dataclass(frozen=True)
class RunLane:
    """One run in a stack of timelines, with strips of its use below its response times."""

    label: RunLabel
    title: str
    segment: TrialSegment
    strips: tuple[UtilizationStrip, ...]
    believed: bool = True

    @property
    def segments(self) -> list[TrialSegment]:
        return [self.segment]

    @property
    def opacity(self) -> float:
        return 1.0 if self.believed else FADED

    @property
    def text_colour(self) -> str:
        return self.label.text_colour if self.believed else "$ink-3"


def run_lanes(
    details: Sequence[RunDetail], labels: Sequence[RunLabel], stream: str, trial: int
) -> list[RunLane]:
    """Return a lane for each run that has that trial.

    Warm-up is left out: it has no part in a comparison.
    """
    return [
        _lane(detail, label, stream, trial)
        for detail, label in zip(details, labels, strict=True)
        if len(detail.timelines.get(stream, ())) >= trial
    ]


def _lane(detail: RunDetail, label: RunLabel, stream: str, trial: int) -> RunLane:
    timeline = replace(detail.timelines[stream][trial - 1], warmup=None)
    slices = detail.slices.get(stream, ())
    segment = TrialSegment(0.0, timeline, slices[trial - 1] if len(slices) >= trial else None)
    doubt = ", invalid" if invalid(detail.run) else ""
    done = count(sum(timeline.completed))
    return RunLane(
        label,
        f"{label.text}{doubt}: {done} requests in {seconds(segment.length_s)}",
        segment,
        _strips(detail, trial, ceil(round(segment.end_s, 6))),
        believed=not doubt,
    )


def _strips(detail: RunDetail, trial: int, length: int) -> tuple[UtilizationStrip, ...]:
    """A target of several workers may use several cores; each load worker has one.

    A server that runs already has an unknown number of workers: no limit is named for it.
    """
    if len(detail.gauges) < trial:
        return ()
    gauges, target = detail.gauges[trial - 1], detail.run.spec.target
    workers = target.workers
    lag = _lag_strip(gauges, length)
    return (
        _cpu_strip("client", gauges, length, 1),
        _cpu_strip("target", gauges, length, workers),
        *((lag,) if lag else ()),
    )


def _cpu_strip(role: str, gauges: Gauges, length: int, cores: int | None) -> UtilizationStrip:
    used = per_second(role_cpu(gauges, role), gauges.interval_s, length, average)
    typical = mean(used)
    full = typical is not None and cores is not None and typical / cores >= BUSY_SHARE
    return UtilizationStrip(
        name=f"{role} CPU",
        head=f"{role} CPU, %",
        values=scaled(used, 100),
        loads=scaled(used, 1 / (cores or 1)),
        shown=share(typical),
        limit=", the limit" if full else "",
    )


def _lag_strip(gauges: Gauges, length: int) -> UtilizationStrip | None:
    """None where nobody looked inside."""
    lags = per_second(
        maxima([worker.loop_lag_s for worker in gauges.workers]), gauges.interval_s, length, max
    )
    known = [value for value in lags if value is not None]
    if not known:
        return None
    over = sum(value >= BLOCKED_LOOP_S for value in known)
    return UtilizationStrip(
        name="loop lag",
        head="longest loop lag, ms",
        values=scaled(lags, 1e3),
        loads=scaled(lags, 1 / BLOCKED_LOOP_S),
        shown=f"up to {seconds(max(known))}",
        limit=", blocked" if over >= BLOCKED_SHARE * len(known) else "",
    )
