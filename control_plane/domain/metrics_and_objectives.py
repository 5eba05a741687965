"""The metrics that runs are compared by, and what is asked of them: objectives, predictions."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from control_plane.domain.errors import FieldError
from control_plane.domain.limits import Checked, bounded, bounded_text, counted
from control_plane.domain.times_and_percentiles import GREYED, PERCENTILES
from control_plane.domain.units import WRITTEN

Unit = Literal["s", "per_s", "share", "bytes", "s_per_request"]


@dataclass(frozen=True)
class Metric:
    """A number of a stream. `name` as in the API; `label` and `meaning` as people read them.

    `less_is_better` None: neither more nor less is.
    """

    name: str
    unit: Unit
    less_is_better: bool | None
    label: str
    meaning: str


def _time(kind: Literal["service", "response"], key: str, label: str, share: str) -> Metric:
    since = "it was sent" if kind == "service" else "it was meant to start"
    return Metric(
        f"{kind}_time_s.{key}",
        "s",
        less_is_better=True,
        label=f"{label} {kind} time",
        meaning=f"{share.format('completed requests')} from the moment {since} to the end of its "
        "answer.",
    )


def _first_byte(key: str, label: str, share: str) -> Metric:
    return Metric(
        f"first_byte_time_s.{key}",
        "s",
        less_is_better=True,
        label=f"{label} time to first byte",
        meaning=f"{share.format('requests whose answer began')} from the moment it was sent to the "
        "first byte of its answer.",
    )


_POINTS = (
    ("mean", "mean", "The mean of all {},"),
    ("p50", "p50", "Half of the {} took this long or less,"),
    ("p90", "p90", "90 % of the {} took this long or less,"),
    ("p95", "p95", "95 % of the {} took this long or less,"),
    ("p99", "p99", "99 % of the {} took this long or less,"),
    ("max", "maximum", "The slowest of the {},"),
)

METRICS: tuple[Metric, ...] = (
    Metric(
        "throughput_per_s",
        "per_s",
        less_is_better=False,
        label="Throughput",
        meaning="Completed requests for each second of the window.",
    ),
    *(_time("response", key, label, share) for key, label, share in _POINTS),
    *(_time("service", key, label, share) for key, label, share in _POINTS),
    *(_first_byte(key, label, share) for key, label, share in _POINTS),
    Metric(
        "duration_s",
        "s",
        less_is_better=True,
        label="Duration",
        meaning="The length of the window: the measured part of a trial.",
    ),
    Metric(
        "error_share",
        "share",
        less_is_better=True,
        label="Errors",
        meaning="Requests without a valid answer, of all that ended.",
    ),
    Metric(
        "bytes_received_per_request",
        "bytes",
        less_is_better=None,
        label="Answer size",
        meaning="The mean size of an answer’s body, of those that were errors too.",
    ),
    Metric(
        "cpu_s_per_request",
        "s_per_request",
        less_is_better=True,
        label="CPU per request",
        meaning="Processor time of all processes of the target for each completed request.",
    ),
    Metric(
        "peak_memory_bytes",
        "bytes",
        less_is_better=True,
        label="Peak memory",
        meaning="The most resident memory that all processes of the target held together.",
    ),
)

START_TIME = Metric(
    "ready_s",
    "s",
    less_is_better=True,
    label="Start time",
    meaning="From the start of the server to its first whole response, the median of the trials.",
)
"""Followed by trends alone: it is a number of trials, and of no stream."""

DEFAULT_MARGIN = 0.03
"""A change of a metric that nobody cares about, as a share, unless somebody says another."""

SHARE_MARGIN = 0.001
"""The same of a share, 0.1 percentage points: by so much more a contender may fail."""

METRIC: dict[str, Metric] = {metric.name: metric for metric in METRICS}
DIRECTED = tuple(name for name in METRIC if METRIC[name].less_is_better is not None)
ERROR_SHARE = "error_share"

ERRORS_OR_NO_ANSWER = "Errors or no answer"
JUDGED_METRIC: dict[str, Metric] = METRIC | {
    "error_share": replace(
        METRIC["error_share"],
        label=ERRORS_OR_NO_ANSWER,
        meaning="Errors, requests without an answer at the end of the window and those never sent, "
        "of these and the completed ones.",
    )
}
"""As experiments and objectives judge them: where nobody is answered, nothing is well."""


def stored_number(summary: Mapping[str, Any], metric: str) -> float | None:
    """Return a metric of a summary that is still the JSON which it is stored as.

    None where it is missing, 0 or a bound, or where too few samples say it.
    """
    name, _, part = metric.partition(".")
    value = summary.get(name)
    if part:
        value = _of_times(summary, value, part) if isinstance(value, Mapping) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if value > 0 or name == "error_share" else None


def _of_times(summary: Mapping[str, Any], times: Mapping[str, Any], part: str) -> Any:
    if part in (times.get("at_least") or ()):
        return None
    if part in PERCENTILES and (times.get("support") or {}).get(part, 0) < GREYED:
        return None
    # Older versions did not tell whether requests without an answer leave it.
    failed = summary.get("error_share") or (summary.get("censored") or {}).get("count")
    return None if times.get("unanswered") is None and failed else times.get(part)


ObjectiveOutcome = Literal["passed", "failed", "undecided"]
MOST_OBJECTIVES = 20
_LARGEST = 1e15


@dataclass(frozen=True)
class Objective(Checked):
    """A bound on a metric of a stream ("": of the first), in the unit of the metric."""

    metric: str
    at_most: float | None = None
    at_least: float | None = None
    stream: str = ""

    def wrong(self, field: str, streams: Collection[str]) -> Iterator[FieldError]:
        """Yield what is wrong with it, in a spec that has these streams."""
        yield from _unknown_metric(f"{field}.metric", self.metric)
        if self.stream and self.stream not in streams:
            yield FieldError(f"{field}.stream", f"There is no stream {self.stream[:40]}.")
        if self.at_most is None and self.at_least is None:
            yield FieldError(field, "Give at_most or at_least.")
        for name in ("at_most", "at_least"):
            if (bound := getattr(self, name)) is not None:
                yield from bounded(f"{field}.{name}", bound, 0, _LARGEST)
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            yield FieldError(f"{field}.at_least", "This is above at_most: nothing can meet both.")


def wrong_objectives(
    objectives: Sequence[Objective], streams: Collection[str]
) -> Iterator[FieldError]:
    """Yield what is wrong with the objectives of a spec that has these streams."""
    yield from counted("objectives", len(objectives), 0, MOST_OBJECTIVES, "objectives")
    for index, objective in enumerate(objectives):
        yield from objective.wrong(f"objectives.{index}", streams)


@dataclass(frozen=True)
class ArmObjective(Objective):
    """An objective of one arm of an experiment; of every contender where none is named."""

    arm: str = ""


@dataclass(frozen=True, kw_only=True)
class JudgedObjective:
    """An objective with its outcome, by the interval from `low` to `high` around `value`.

    `reason`: why it is undecided; None where the interval alone says so.
    """

    metric: str
    stream: str
    at_most: float | None
    at_least: float | None
    outcome: ObjectiveOutcome
    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: Literal["too_few_trials", "no_number", "invalid"] | None = None
    arm: str | None = None

    @property
    def text(self) -> str:
        """`p99 response time of new at most 50 ms: 61 ms (95 % interval 58 ms to 64 ms)`."""
        metric = JUDGED_METRIC[self.metric]
        written = WRITTEN[metric.unit]
        bounds = (("at least", self.at_least), ("at most", self.at_most))
        asked = " and ".join(f"{word} {written(x)}" for word, x in bounds if x is not None)
        of = ", ".join(name for name in (self.arm, self.stream) if name)
        told = f"{metric.label}{' of ' if of else ''}{of} {asked}"
        if self.value is None:
            return f"{told}: {_REASONS[self.reason or 'no_number']}"
        told = f"{told}: {written(self.value)}"
        if self.low is None:
            return told
        return f"{told} (95 % interval {written(self.low)} to {written(self.high)})"


_REASONS = {
    "too_few_trials": "at least three trials are needed",
    "no_number": "a trial has no number that can be believed",
    "invalid": "what is invalid passes nothing",
}


def outcome_of_all(judged: Collection[JudgedObjective]) -> ObjectiveOutcome | None:
    """Return failed where one failed, passed where all passed; None of none."""
    outcomes = {objective.outcome for objective in judged}
    worst: tuple[ObjectiveOutcome, ...] = ("failed", "undecided", "passed")
    return next((outcome for outcome in worst if outcome in outcomes), None)


Word = Literal["the same", "better", "worse", "faster", "slower"]


@dataclass(frozen=True, kw_only=True)
class Prediction(Checked):
    """A claim about one arm, written down before: its ratio to the baseline, or its value.

    What is expected is said in one way: `about` a number (within a quarter), a `word`, or from
    `low` to `high`, of which one may be left out. `metric` "": that which decides. Faster is better
    and slower is worse, by more than the margin; the same is within it.
    """

    text: str
    arm: str
    metric: str = ""
    stream: str = ""
    kind: Literal["ratio", "value"] = "ratio"
    about: float | None = None
    word: Word | None = None
    low: float | None = None
    high: float | None = None

    def wrong(self, field: str, arms: Collection[str]) -> Iterator[FieldError]:
        """Yield what is wrong with it, in an experiment that has these arms, the baseline first."""
        yield from bounded_text(f"{field}.text", self.text, 300, empty=False)
        if self.metric:
            yield from _unknown_metric(f"{field}.metric", self.metric)
        if self.arm not in arms:
            yield FieldError(f"{field}.arm", f"There is no arm {self.arm[:60]}.")
        elif self.kind == "ratio" and self.arm == next(iter(arms)):
            yield FieldError(f"{field}.arm", "The baseline has no ratio to itself.")
        if self.kind == "ratio" and self.metric == "error_share":
            yield FieldError(f"{field}.metric", "A share of errors has no ratio.")
        yield from self._wrong_range(field)

    def _wrong_range(self, field: str) -> Iterator[FieldError]:
        ways = (self.about, self.word, self.low if self.low is not None else self.high)
        if sum(way is not None for way in ways) != 1:
            yield FieldError(field, "Give one of about, word, or low and high.")
        elif self.word is not None and self.kind == "value":
            yield FieldError(f"{field}.word", "A value needs a number: about, low or high.")
        for name in ("about", "low", "high"):
            if (bound := getattr(self, name)) is not None:
                # About 0 is no range.
                yield from bounded(f"{field}.{name}", bound, _LEAST_ABOUT[name], _LARGEST)
        if self.low is not None and self.high is not None and self.low > self.high:
            yield FieldError(f"{field}.low", "This is above high.")


_LEAST_ABOUT = {"about": 1e-12, "low": 0.0, "high": 0.0}


def _unknown_metric(field: str, metric: str) -> Iterator[FieldError]:
    if metric not in METRIC:
        yield FieldError(field, f"{metric[:60]} is no metric.")
