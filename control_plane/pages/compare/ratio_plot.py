"""Ratios to the baseline on one log scale, where right is always better. Drawn by the server."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from control_plane.analysis.comparison import (
    Comparison,
    IntervalVerdict,
    MetricComparison,
    Trust,
)
from control_plane.analysis.deciding.effects import Interval
from control_plane.analysis.deciding.judged_experiment import JudgedPrediction
from control_plane.analysis.prose.comparison_sentences import MARGIN
from control_plane.analysis.prose.experiment_sentences import (
    prediction_numbers,
    ratio_with_interval,
)
from control_plane.analysis.run_labels import RunLabel
from control_plane.domain.metrics_and_objectives import METRIC
from control_plane.domain.run import Run
from control_plane.domain.units import NONE, ratio
from control_plane.pages.compare.numbers_table import FIRST_BYTE, ratio_trust, shown_ratio
from control_plane.pages.run.run_numbers import AxisTick

PLOTTED = (
    "throughput_per_s",
    "response_time_s.p99",
    "response_time_s.p50",
    FIRST_BYTE,
    "cpu_s_per_request",
    "peak_memory_bytes",
)
"""Metrics of the plot, the most telling first; all others stand in its table."""

STEPS = (1.03, 1.1, 1.3, 2.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 10_000.0, 100_000.0)
WIDENED = 1.15
NARROWEST = math.log(1.1)
TICK_GAP = 11.0
"""Per cent between ticks: the width of their text."""


VERDICT_WORDS = {
    "better": "better",
    "worse": "worse",
    "small_but_real": "small but real",
    "equivalent": "equivalent",
    "likely_better": "likely better",
    "likely_worse": "likely worse",
    "inconclusive": "inconclusive",
    "no_verdict": "no verdict",
    "held": "held",
    "broken": "broken",
    "undecided": "undecided",
}


@dataclass(frozen=True)
class CloseUp:
    """A mark on a scale of 10 % to either side, in per cent; `at` None: the ratio lies beyond."""

    at: float | None
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether the whole interval is there."""
        return self.low > 0 and self.high < 100


@dataclass(frozen=True)
class EffectMark:
    """One contender on the scale of its metric: `at`, `low` and `high` in per cent, 50 is same.

    `at` None: there is no interval, and `text` says why. An end at 0 or 100 lies beyond the scale.
    `near` shows it close up.
    """

    label: RunLabel
    at: float | None
    low: float
    high: float
    text: str
    interval: str
    values: str
    verdict: str
    word: str
    more: int | None
    near: CloseUp | None = None

    @property
    def decided(self) -> bool:
        """Whether its mark is filled: the interval says something."""
        return self.verdict not in {"inconclusive", "no_verdict", "undecided"}


@dataclass(frozen=True)
class EffectGroup:
    """One metric; `leads`: it stands in view, while others are folded.

    `margin` is half the width of its band on the scale, `near_margin` close up, in per cent.
    `under_way`: each mark keeps its row, so that nothing moves when a number comes.
    """

    label: str
    note: str
    margin: float
    leads: bool
    marks: tuple[EffectMark, ...]
    near_margin: float = 0.0
    under_way: bool = False

    @property
    def nothing(self) -> str:
        """What stands in the place of all marks, where they all lack an interval for one reason."""
        said = {(mark.at, mark.text, mark.verdict) for mark in self.marks}
        first = self.marks[0]
        alike = len(said) == 1 and first.at is None and len(self.marks) > 1
        return first.text if alike and not self.under_way else ""


@dataclass(frozen=True)
class RatioMark:
    """The ratio of one run, as a mark on its line.

    `at` in per cent, 50 is the baseline; None: no ratio, and `text` says so.

    `outcome` is that of the run, `level` how far the ratio may be believed.
    """

    label: RunLabel
    at: float | None
    text: str
    outcome: str | None
    level: Trust


@dataclass(frozen=True)
class MetricGroup:
    metric: str
    label: str
    note: str
    marks: tuple[RatioMark, ...]


@dataclass(frozen=True)
class RatioPlot:
    """The marks of each metric on one log scale.

    `margin` is the half width, in per cent, of the band in which a difference is small.
    """

    baseline: RunLabel
    ticks: tuple[AxisTick, ...]
    margin: float
    groups: tuple[MetricGroup, ...]


@dataclass(frozen=True)
class PredictionLine:
    """A claim, what became of it, and its place on a scale in per cent, 50 is same or as claimed.

    `claim` is the range that it allows; `at` None: there is no number yet.
    """

    text: str
    outcome: str
    expected: str
    measured: str
    claim: tuple[float, float]
    at: float | None
    reach: tuple[float, float]

    @property
    def icon(self) -> str:
        return {"as predicted": "as-predicted"}.get(self.outcome, self.outcome)


def ratio_plot(comparison: Comparison, stream: str, metric: str | None = None) -> RatioPlot | None:
    """Return the plot of one stream; None where nothing can be set against the baseline.

    Of one `metric` alone where it is named.
    """
    plotted = (metric,) if metric else PLOTTED
    early = metric == FIRST_BYTE or comparison.begins_early(stream)
    shown = [name for name in plotted if name != FIRST_BYTE or early]
    rows = [comparison.row(stream, metric) for metric in shown]
    ratios = [shown_ratio(comparison, row, run_id) for row in rows for run_id in row.ratios]
    sizes = [abs(math.log(value)) for value in ratios if value]
    if not sizes:
        return None
    half = max(WIDENED * max(sizes), NARROWEST)
    groups = [_group(comparison, row, half) for row in rows]
    return RatioPlot(
        baseline=comparison.label(comparison.baseline),
        ticks=tuple(ratio_ticks(half)),
        margin=round(50 * MARGIN / half, 2),
        groups=tuple(group for group in groups if any(mark.at is not None for mark in group.marks)),
    )


def _group(comparison: Comparison, row: MetricComparison, half: float) -> MetricGroup:
    metric = METRIC[row.metric]
    others = [
        run for run in comparison.runs if run.id != comparison.baseline and not run.resultless
    ]
    marks = [_mark(comparison, row, run, half) for run in others]
    best_first = sorted(marks, key=lambda mark: -(mark.at if mark.at is not None else -1.0))
    note = "target, all processes" if metric.unit in {"bytes", "s_per_request"} else ""
    return MetricGroup(metric.name, metric.label, note, tuple(best_first))


def _mark(comparison: Comparison, row: MetricComparison, run: Run, half: float) -> RatioMark:
    label = comparison.label(run.id)
    outcome = comparison.outcome(run)
    value = shown_ratio(comparison, row, run.id)
    if not value:
        return RatioMark(label, None, "no ratio", outcome, "hidden")
    better = -math.log(value) if row.less_is_better else math.log(value)
    at = round(50 + 50 * better / half, 2)
    return RatioMark(label, at, ratio(value), outcome, ratio_trust(comparison, row, run.id))


@dataclass(frozen=True)
class SessionPlot:
    """What sessions decide, each metric with its intervals on one log scale."""

    baseline: RunLabel
    ticks: tuple[AxisTick, ...]
    groups: tuple[EffectGroup, ...]
    family: int


def session_plot(comparison: Comparison, stream: str) -> SessionPlot | None:
    """Return the plot of one stream over sessions; None where there are too few."""
    rows = [row for row in comparison.rows if row.stream == stream and row.verdicts]
    decided = sorted(
        (row for row in rows if row.metric in PLOTTED), key=lambda row: PLOTTED.index(row.metric)
    )
    if not decided:
        return None
    bounds = [bound for row in decided for found in row.verdicts.values() for bound in _ends(found)]
    half = scale_half(bounds, MARGIN)
    base, margin = comparison.label(comparison.baseline), round(50 * MARGIN / half, 2)
    groups = tuple(
        EffectGroup(
            METRIC[row.metric].label,
            _role(row),
            margin,
            leads=True,
            marks=tuple(
                _session_mark(
                    comparison.label(run_id), found, half, less_is_better=bool(row.less_is_better)
                )
                for run_id, found in row.verdicts.items()
            ),
        )
        for row in decided
    )
    family = max(found.family for row in decided for found in row.verdicts.values())
    return SessionPlot(base, tuple(ratio_ticks(half)), groups, family)


def _role(row: MetricComparison) -> str:
    first = next(iter(row.verdicts.values()))
    return "decides" if first.role == "primary" else first.role


def _ends(found: IntervalVerdict) -> tuple[float, ...]:
    return found.ratio, found.low, found.high


def _session_mark(
    label: RunLabel, found: IntervalVerdict, half: float, *, less_is_better: bool
) -> EffectMark:
    at, *ends = (placed(value, half, less_is_better=less_is_better) for value in _ends(found))
    text, interval = ratio_with_interval(found.ratio, Interval(found.low, found.high))
    over = found.over.removeprefix("over ")
    return EffectMark(
        label,
        at,
        min(ends),
        max(ends),
        text,
        interval,
        over,
        found.verdict,
        VERDICT_WORDS[found.verdict],
        None,
    )


def awaited_group(label: str, contenders: Sequence[RunLabel]) -> EffectGroup:
    """Return the rows of a metric that leads and has no number yet, one for each contender."""
    marks = (
        EffectMark(each, None, 50, 50, NONE, "", "", "no_verdict", "no number yet", None)
        for each in contenders
    )
    return EffectGroup(label, "", 0, leads=True, marks=tuple(marks), under_way=True)


def prediction_lines(judged: Sequence[JudgedPrediction]) -> Iterator[PredictionLine]:
    """Yield each claim on one scale of ratios; a value is set against the middle of its claim."""
    claims = [(each, _middle(each)) for each in judged]
    sizes = [
        abs(math.log(value / middle))
        for each, middle in claims
        for value in (*each.expected, *_found(each))
        if 0 < value < math.inf
    ]
    half = min(max([WIDENED * max(sizes, default=0), NARROWEST]), math.log(1_000))

    def place(value: float, middle: float) -> float:
        return 100.0 if value == math.inf else placed(value / middle, half)

    for each, middle in claims:
        measured, _, expected = prediction_numbers(each).rpartition("expected ")
        value, low, high = _found(each) or (None, 0.0, math.inf)
        yield PredictionLine(
            each.prediction.text,
            each.outcome,
            expected,
            measured.rstrip(", "),
            (place(each.expected[0], middle), place(each.expected[1], middle)),
            None if value is None else place(value, middle),
            (place(low, middle), place(high, middle)),
        )


def _middle(judged: JudgedPrediction) -> float:
    """Return 1 for a ratio; for a value the middle of its claim, or the bound that it has."""
    low, high = judged.expected
    if judged.prediction.kind == "ratio":
        return 1.0
    return math.sqrt(low * high) if low and high < math.inf else low or high


def _found(judged: JudgedPrediction) -> tuple[float, float, float] | tuple[()]:
    if judged.found is None:
        return ()
    value, interval = judged.found
    return value, interval.low, interval.high


def scale_half(ratios: Sequence[float], margin: float) -> float:
    """Return the logarithm that a scale of ratios reaches to either side.

    One wide interval must not make all others points.
    """
    sizes = [abs(math.log(value)) for value in ratios if 0 < value < math.inf]
    return min(max(WIDENED * max(sizes, default=0), NARROWEST, 2 * margin), math.log(1_000))


def placed(value: float, half: float, *, less_is_better: bool = False) -> float:
    """Return the place of a ratio in per cent, 50 is same and right is better; cut at the ends."""
    size = math.log(max(value, 1e-9)) * (-1 if less_is_better else 1)
    return round(min(100.0, max(0.0, 50 + 50 * size / half)), 2)


def close_up(ratio: float, interval: Interval, *, less_is_better: bool) -> CloseUp:
    """Return a ratio with its interval on a scale of 10 % to either side."""
    at, *ends = (
        placed(value, NARROWEST, less_is_better=less_is_better)
        for value in (ratio, interval.low, interval.high)
    )
    return CloseUp(at if 0 < at < 100 else None, min(ends), max(ends))


def needs_close_up(groups: Sequence[EffectGroup], half: float) -> bool:
    """Return whether a scale is so wide that an interval close to the baseline is but a point."""
    marks = (mark for group in groups if group.leads for mark in group.marks)
    return half > math.log(2) and any(mark.near is not None and mark.near.inside for mark in marks)


def ratio_ticks(half: float) -> Iterator[AxisTick]:
    """Return ticks at both sides, from the middle outwards, none closer than `TICK_GAP`.

    `half` is the logarithm that the scale reaches to either side.
    """
    last = 0.0
    for step in STEPS:
        away = 50 * math.log(step) / half
        if last + TICK_GAP <= away <= 50:
            last = away
            yield AxisTick(round(50 - away, 2), _times(step))
            yield AxisTick(round(50 + away, 2), _times(step))


def _times(step: float) -> str:
    return f"×{step:,g}"
