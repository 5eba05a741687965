"""How long a run will take: told before it starts, and the base of its progress bar."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.spec import Spec, Stream
from control_plane.domain.units import SPACE

START_S = 1.2
"""A bundled target and its load workers until both are ready."""

REACH_S = 0.5
"""The load workers alone, for a target that runs already."""


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
        """Return `start 1.2 s, warm-up 1 s, measure 5 s`."""
        named = (
            ("start", self.start_s),
            ("warm-up", self.warmup_s),
            ("measure", self.measure_s),
        )
        return ", ".join(f"{name} {_seconds(value)}" for name, value in named if value)


def seconds(spec: Spec, rate_per_s: float | None) -> float:
    """Return how long all trials of the run take; `rate_per_s` as in `phases`."""
    return spec.trials * phases(spec, rate_per_s).trial_s


def experiment_seconds(arms: Sequence[Spec], expected_seconds: Callable[[Spec], float]) -> float:
    """Return how long the blocks of these arms take, and the burnt trial before them.

    `expected_seconds` of a spec is how long all its trials take.
    """
    each = [expected_seconds(spec) for spec in arms]
    return sum(each) + max(each) / arms[0].trials


def phases(spec: Spec, rate_per_s: float | None) -> Phases:
    """Return the expected phases of one trial.

    `rate_per_s` is the throughput of the last run of this kind, None where there is none.
    """
    rate = rate_per_s or STRATEGIES[spec.client.strategy].usual_per_s
    ramps = [stream.load.ramp_up_s for stream in spec.workload.streams]
    return Phases(
        start_s=START_S if spec.target.started else REACH_S,
        warmup_s=spec.warmup_s + max(ramps),
        measure_s=max(_window_s(stream, rate) for stream in spec.workload.streams),
    )


def _window_s(stream: Stream, rate_per_s: float) -> float:
    if stream.stop.duration_s is not None:
        return stream.start_after_s + stream.stop.duration_s
    requests = stream.stop.requests or 0
    return stream.start_after_s + max(requests / rate_per_s, stream.load.least_s(requests))


def _seconds(value_s: float) -> str:
    tenths = f"{value_s:,.1f}" if value_s < 10 else f"{value_s:,.0f}"
    return f"{tenths.removesuffix('.0')}{SPACE}s"
