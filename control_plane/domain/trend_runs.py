"""The runs of one spec over time, as a trend reads them, and what is kept of its steps."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from control_plane.domain.api_documents import moment
from control_plane.domain.metrics_and_objectives import METRICS, START_TIME, Metric
from control_plane.domain.result import Environment
from control_plane.domain.spec import Spec
from control_plane.domain.spec_json import Document

Blocks = tuple[tuple[float | None, float | None], ...]
"""A metric of two runs that were measured in turns, in each block: first of the baseline."""

LEAST_TREND_POINTS = 10
"""Fewer points are no trend: nothing is said of steps among them."""

TREND_METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (*METRICS, START_TIME) if metric.name != "duration_s"
}
"""What a trend can follow; a duration is summed over the trials, of which runs have any number."""

TrendAxis = Literal["time", "commit"]
"""Along what a trend is drawn."""

ADDED = "added by hand"
"""What is told of a step of a trend that nobody but a person sees."""

AUTO_BASELINE = "auto"
"""Stands for the pinned baseline that most runs of a trend were measured in turns with."""


@dataclass(frozen=True)
class TrendKey:
    """What a trend follows: a metric of a stream of all runs of one spec on one machine.

    `spec` is a digest. `baseline` is that of the spec of a pinned baseline to which the numbers are
    ratios, "" for the numbers themselves, `AUTO_BASELINE` to choose it where runs enough have one.
    `machine` "": the last that measured it.
    """

    spec: str
    stream: str
    metric: str
    baseline: str = ""
    machine: str = ""


@dataclass(frozen=True)
class TrendRun:
    """A finished run as a trend reads it. `seq`: the order in which runs were handed in.

    `value`: its metric, None where it has none or a bound alone. `environment`: the facts that it
    was measured in. `blocks`: where the baseline of the trend was measured in turns with it, the
    metric of baseline and run in each block.
    """

    seq: int
    id: str
    at: datetime
    outcome: str
    environment: Environment
    value: float | None
    blocks: Blocks = ()


@dataclass(frozen=True)
class StepMark:
    """What is kept of a step of a trend: what somebody did to it, and whether it was told.

    A step is known by the `seq` of the first run after it. `found`: where it was found, None where
    somebody added it. `place`: where it stands, None where somebody rejected it. `made_by` "":
    nobody did anything, it was told by `looplab trend` alone.
    """

    id: str
    found: int | None
    place: int | None
    changed_at: datetime
    note: str = ""
    made_by: str = ""
    told_at: datetime | None = None


@dataclass(frozen=True)
class StepChange:
    """What is done to a step: add, move, reject or note; restore it, or forget one that was added.

    The step stands before `run`; `origin` tells it from another that does, where it is not empty.
    `to`: the run that an added or moved one is to stand before.
    """

    do: str
    run: str = ""
    origin: str = ""
    to: str = ""
    note: str = ""


@dataclass(frozen=True)
class TrendBaseline:
    """A pinned baseline: digest of its spec, name, and how many runs were measured beside it."""

    spec: str
    name: str
    runs: int


@dataclass(frozen=True)
class TrendRuns:
    """The finished runs of one spec that one machine measured here, the first handed in first.

    `spec` and `title` are those of the newest. `baselines`: those that were measured in turns with
    some of these runs. `machines`: all that measured the spec, the last first. `doubted` runs are
    left out because they are suspect.
    """

    key: TrendKey
    spec: Spec
    title: str
    runs: tuple[TrendRun, ...]
    marks: tuple[StepMark, ...]
    baselines: tuple[TrendBaseline, ...]
    machines: tuple[str, ...]
    doubted: int


@dataclass(frozen=True)
class LeftOutOfTrends:
    """How many runs make no trend: `suspect` ones of so many `specs`, and imported ones.

    A spec counts that has points enough with its suspect runs alone.
    """

    specs: int
    suspect: int
    imported: int


@dataclass(frozen=True)
class ListedTrend:
    """A trend with points enough. `numbers`: the p50 response times of its newest runs, in order.

    `title`, `application` and `at` are those of the newest run.
    """

    spec: str
    machine: str
    runs: int
    title: str
    application: str
    at: datetime
    numbers: tuple[float, ...]

    def document(self) -> Document:
        """Return it as the API sends it."""
        told = {**asdict(self), "at": moment(self.at), "url": f"/trends/{self.spec}"}
        return {name: value for name, value in told.items() if name != "numbers"}
