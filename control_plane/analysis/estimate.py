"""How long a run will take: told before it starts, and the base of its progress bar."""

from dataclasses import dataclass

from control_plane.domain.spec import (
    Closed,
    Spec,
    StopDuration,
    Strategy,
    Stream,
    UrlTarget,
    concurrency_of,
)
from control_plane.domain.units import SPACE

START_S = 1.2
"""A bundled target and its load workers until both are ready."""

REACH_S = 0.5
"""The load workers alone, for a target that runs already."""

USUAL_PER_S: dict[Strategy, float] = {"async": 8_000, "threaded": 1_500, "blocking": 1_600}
"""Requests per second on one core each, while no run of the kind has finished here."""


@dataclass(frozen=True)
class Phases:
    """Expected seconds of one trial. The warm-up includes the longest ramp-up."""

    start_s: float
    warmup_s: float
    measure_s: float

    @property
    def trial_s(self) -> float:
        return self.start_s + self.warmup_s + self.measure_s

    @property
    def text(self) -> str:
        """`start 1.2 s, warm-up 1 s, measure 5 s`."""
        named = (
            ("start", self.start_s),
            ("warm-up", self.warmup_s),
            ("measure", self.measure_s),
        )
        return ", ".join(f"{name} {_seconds(value)}" for name, value in named if value)


def seconds(spec: Spec, rate_per_s: float | None) -> float:
    """All trials of the run; `rate_per_s` as in `phases`."""
    return spec.trials * phases(spec, rate_per_s).trial_s


def phases(spec: Spec, rate_per_s: float | None) -> Phases:
    """`rate_per_s` is the throughput of the last run of this kind, None where there is none."""
    rate = rate_per_s or USUAL_PER_S[spec.client.strategy]
    ramps = [
        stream.load.ramp_up_s for stream in spec.workload.streams if isinstance(stream.load, Closed)
    ]
    return Phases(
        start_s=REACH_S if isinstance(spec.target, UrlTarget) else START_S,
        warmup_s=spec.warmup_s + max(ramps, default=0.0),
        measure_s=max(_window_s(stream, rate) for stream in spec.workload.streams),
    )


def _window_s(stream: Stream, rate_per_s: float) -> float:
    if isinstance(stream.stop, StopDuration):
        return stream.start_after_s + stream.stop.duration_s
    load = stream.load
    if isinstance(load, Closed) and load.think_time_s:
        rate_per_s = min(rate_per_s, concurrency_of(load) / load.think_time_s)
    return stream.start_after_s + stream.stop.requests / rate_per_s


def _seconds(value_s: float) -> str:
    tenths = f"{value_s:,.1f}" if value_s < 10 else f"{value_s:,.0f}"
    return f"{tenths.removesuffix('.0')}{SPACE}s"
