"""The trend of a spec: its points, its steps as people left them, and what changed between runs."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, lru_cache
from itertools import chain, pairwise
from math import exp, log, log1p
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from control_plane.analysis.deciding.effects import LEAST_VARIANCE, log_values, paired_effect
from control_plane.analysis.differences import (
    EnvironmentChange,
    MeasuredCommit,
    environment_changes,
    measured_commit,
)
from control_plane.analysis.trend_steps import FoundStep, find_steps, matched_marks
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.ids import new_id
from control_plane.domain.metrics_and_objectives import SHARE_MARGIN, Metric
from control_plane.domain.trend_runs import (
    ADDED,
    LEAST_TREND_POINTS,
    TREND_METRICS,
    Blocks,
    StepChange,
    StepMark,
    TrendAxis,
    TrendRun,
    TrendRuns,
)
from control_plane.domain.units import SPACE, number_of, percents, share

StepVerdict = Literal["better", "worse", "within margin", "changed"]
StepOrigin = Literal["found", "moved", "added"]


@dataclass(frozen=True)
class TrendPoint:
    """A run with its number; where that is a ratio to the baseline, with its 95 % interval."""

    run: TrendRun
    value: float
    low: float | None
    high: float | None
    commit: MeasuredCommit | None


@dataclass(frozen=True)
class TrendStep:
    """A lasting change before the point `at`, somewhere between the points `first - 1` and `last`.

    `before` and `after` are the levels on its sides, `change` their ratio less 1, or for shares
    their difference. `p_value` None: nobody but a person sees it there.
    """

    at: int
    first: int
    last: int
    before: float
    after: float
    change: float
    verdict: StepVerdict
    origin: StepOrigin
    p_value: float | None
    mark: StepMark | None


@dataclass(frozen=True)
class Trend:
    """The points of a trend in their order, and what lies between them.

    `rejected` steps were found and do not stand. `without_number`: so many runs are no points.
    `levels`: the first point of each with its height; `_inner_edges` says where they end.
    """

    runs: TrendRuns
    axis: TrendAxis
    margin: float
    points: tuple[TrendPoint, ...]
    steps: tuple[TrendStep, ...]
    rejected: tuple[TrendStep, ...]
    changes: tuple[EnvironmentChange, ...]
    without_number: int
    levels: tuple[tuple[int, float], ...]

    @property
    def metric(self) -> Metric:
        """What is followed."""
        return TREND_METRICS[self.runs.key.metric]

    @property
    def enough(self) -> bool:
        """Whether there are points enough to look for steps."""
        return len(self.points) >= LEAST_TREND_POINTS

    @cached_property
    def suspect(self) -> int:
        """How many points are suspect runs."""
        return sum(point.run.outcome == "suspect" for point in self.points)

    @property
    def doubt(self) -> str:
        """How many points are suspect, or how many suspect runs were left out; "" for none."""
        if self.runs.doubted:
            return f"{number_of(self.runs.doubted, 'suspect run')} left out"
        verb = "is" if self.suspect == 1 else "are"
        runs = number_of(len(self.points), "run")
        return f"{self.suspect:,} of {runs} {verb} suspect" if self.suspect else ""

    @property
    def newest(self) -> TrendStep | None:
        """The last step that was found, though somebody moved it; the last added one of no such."""
        last = self.steps[-1] if self.steps else None
        return next((step for step in self.steps[::-1] if step.origin != "added"), last)

    @property
    def alarm(self) -> TrendStep | None:
        """The last found step where it is worse beyond the margin and was not told yet."""
        step = self.newest
        if step is None or step.origin == "added" or step.verdict != "worse":
            return None
        return None if step.mark and step.mark.told_at else step

    @cached_property
    def against(self) -> str:
        """The name of the pinned baseline that the points are ratios to; "" of plain numbers."""
        spec = self.runs.key.baseline
        return next((each.name for each in self.runs.baselines if each.spec == spec), spec)

    @property
    def stream(self) -> str:
        """The name of the stream that is followed."""
        return self.runs.key.stream or self.runs.spec.workload.streams[0].name

    @property
    def title(self) -> str:
        """`p50 response time`, `p50 response time against release 2.3`."""
        return self.metric.label + (f" against {self.against}" if self.against else "")

    @property
    def sentence(self) -> str:
        """What is seen: the newest step, that there is none, or that there are too few points."""
        what = self.title
        if not self.enough and not self.steps:
            points = number_of(len(self.points), "point")
            return f"{points} of {what}: a trend needs {LEAST_TREND_POINTS}"
        if self.newest is None:
            return f"No step in {what} over {number_of(len(self.points), 'run')}"
        told = f"{what} {moved_by(self.newest, self.metric)}, {self._judgement(self.newest)}"
        return f"{told}: {ADDED}" if self.newest.origin == "added" else told

    def _judgement(self, step: TrendStep) -> str:
        if step.verdict == "within margin":
            margin = SHARE_MARGIN if self.metric.unit == "share" else self.margin
            return f"within the margin of {share(margin)}"
        return "which is neither" if step.verdict == "changed" else f"which is {step.verdict}"

    def commits(self, step: TrendStep) -> tuple[MeasuredCommit, ...]:
        """Return the commits measured from one end of the range of a step to the other."""
        ranged = (point.commit for point in self.points[step.first - 1 : step.last + 1])
        return tuple(dict.fromkeys(commit for commit in ranged if commit))


def moved_by(step: TrendStep, metric: Metric) -> str:
    """Return `rose by 12 %`; of shares `fell by 0.40 percentage points`."""
    way = "rose" if step.change >= 0 else "fell"
    unit = " percentage points" if metric.unit == "share" else f"{SPACE}%"
    return f"{way} by {percents(step.change)}{unit}"


def trend_of(runs: TrendRuns, *, axis: TrendAxis, margin: float) -> Trend:
    """Return the trend of runs, with the steps that are found and those that people set.

    By commit, runs stand in the order in which their commits were measured first; those without
    one are left out.
    """
    metric, application = TREND_METRICS[runs.key.metric], runs.spec.target.application
    known = list(_points(runs))
    points = _by_commit(known) if axis == "commit" else known
    levels = _levels(points, metric)
    coarse = SHARE_MARGIN**2 / 1_000 if metric.unit == "share" else LEAST_VARIANCE / 2
    able = levels if len(points) >= LEAST_TREND_POINTS else levels[:0]
    found = find_steps(tuple(able.tolist()), coarse)
    standing, rejected = _placed(found, runs.marks, _finder(points))
    edges = sorted({0, len(points), *_inner_edges(standing, rejected)})
    judge = _Judge(levels, metric, margin, edges)
    return Trend(
        runs=runs,
        axis=axis,
        margin=margin,
        points=tuple(points),
        steps=tuple(map(judge.step, standing)),
        rejected=tuple(map(judge.step, rejected)),
        changes=tuple(environment_changes([point.run for point in points], application)),
        without_number=len(runs.runs) - len(known),
        levels=tuple((begin, judge.mean(begin, end)) for begin, end in pairwise(edges)),
    )


def _points(runs: TrendRuns) -> Iterator[TrendPoint]:
    shared = {id(run.environment): run.environment for run in runs.runs}
    application = runs.spec.target.application
    commits = {which: measured_commit(facts, application) for which, facts in shared.items()}
    for run in runs.runs:
        commit = commits[id(run.environment)]
        if runs.key.baseline:
            if ratio := _ratio(run.blocks):
                yield TrendPoint(run, *ratio, commit)
        elif run.value is not None:
            yield TrendPoint(run, run.value, None, None, commit)


@lru_cache(maxsize=5_000)
def _ratio(blocks: Blocks) -> tuple[float, float, float] | None:
    """Return the ratio to the baseline with its interval; None with too few blocks or numbers."""
    if not blocks or any(value is None for pair in blocks for value in pair):
        return None
    baseline, contender = log_values(list(zip(*blocks, strict=True)))
    effect = paired_effect(baseline, contender)
    if effect is None:
        return None
    within = effect.interval(0.05)
    return effect.ratio, within.low, within.high


def _by_commit(points: Sequence[TrendPoint]) -> list[TrendPoint]:
    known: dict[str, list[TrendPoint]] = {}
    for point in points:
        if point.commit:
            known.setdefault(point.commit.text, []).append(point)
    return [point for of_commit in known.values() for point in of_commit]


def _levels(points: Sequence[TrendPoint], metric: Metric) -> NDArray[np.float64]:
    """Return what steps are looked for in: logarithms, and shares as they are."""
    values = [point.value for point in points]
    return np.array(values if metric.unit == "share" else [log(value) for value in values])


def _finder(points: Sequence[TrendPoint]) -> Callable[[int], int | None]:
    """Return what finds the point of a run, or of the next one where that is no point any more."""
    places = {point.run.seq: place for place, point in enumerate(points)}
    later = sorted(places)

    def find(seq: int) -> int | None:
        following = bisect_left(later, seq)
        return places[later[following]] if following < len(later) else None

    return find


@dataclass(frozen=True)
class _Place:
    at: int
    found: FoundStep | None
    mark: StepMark | None
    origin: StepOrigin


def _placed(
    found: Sequence[FoundStep], marks: Sequence[StepMark], find: Callable[[int], int | None]
) -> tuple[list[_Place], list[_Place]]:
    """Return the steps that stand, in their order, and those that somebody rejected.

    What somebody did stays where the step is no longer found, and beside one that is found there.
    """
    matched = matched_marks(found, marks, find)
    standing, rejected = [], []
    for step in found:
        mark = matched.get(step.at)
        moved_to = find(mark.place) if mark and mark.place not in {None, mark.found} else None
        if mark and mark.place is None:
            rejected.append(_Place(step.at, step, mark, "found"))
        elif moved_to:
            standing.append(_Place(moved_to, None, mark, "moved"))
        else:
            standing.append(_Place(step.at, step, mark, "found"))
    used = {mark.id for mark in matched.values()}
    for mark in marks:
        at = find(mark.place) if mark.place is not None and mark.made_by else None
        if at and mark.id not in used:
            standing.append(_Place(at, None, mark, "added"))
    return sorted(standing, key=lambda place: (place.at, place.origin == "found")), rejected


def _inner_edges(standing: Sequence[_Place], rejected: Sequence[_Place]) -> Iterator[int]:
    """Yield where levels end: at steps that stand, and at rejected ones that none replaces.

    An added step replaces the rejected one that it is beside, where no other step is nearer.
    """
    yield from (place.at for place in standing)
    kept = {place.at: place.found for place in rejected if place.found}
    others = [place.at for place in standing if place.origin != "added"]
    for added in (place.at for place in standing if place.origin == "added"):
        at = min((*others, *kept), key=lambda other: abs(other - added), default=0)
        if at in kept and kept[at].is_beside(added):
            del kept[at]
    yield from kept


@dataclass(frozen=True)
class _Judge:
    """Judges steps by the levels on their sides; at each of the `edges` a level ends.

    At a rejected step, too: it raises no alarm, and makes no rise of a fall behind it.
    """

    levels: NDArray[np.float64]
    metric: Metric
    margin: float
    edges: Sequence[int]

    def step(self, place: _Place) -> TrendStep:
        """Return a step with the levels on its sides."""
        begin = max(at for at in self.edges if at < place.at)
        end = min(at for at in self.edges if at > place.at)
        before, after = self.mean(begin, place.at), self.mean(place.at, end)
        is_share, found = self.metric.unit == "share", place.found
        return TrendStep(
            at=place.at,
            first=found.first if found else place.at,
            last=found.last if found else place.at,
            before=before,
            after=after,
            change=after - before if is_share else after / before - 1,
            verdict=self._verdict(after - before if is_share else log(after / before)),
            origin=place.origin,
            p_value=found.p_value if found else None,
            mark=place.mark,
        )

    def mean(self, begin: int, end: int) -> float:
        """Return the level between two points: of shares the mean, else the geometric one."""
        middle = float(self.levels[begin:end].mean())
        return middle if self.metric.unit == "share" else exp(middle)

    def _verdict(self, difference: float) -> StepVerdict:
        margin = SHARE_MARGIN if self.metric.unit == "share" and self.margin else log1p(self.margin)
        if abs(difference) <= margin:
            return "within margin"
        if self.metric.less_is_better is None:
            return "changed"
        return "worse" if (difference > 0) == self.metric.less_is_better else "better"


def mark_of(trend: Trend, step: TrendStep, now: datetime) -> StepMark:
    """Return what is kept of a step, or what is to be kept first: that it stands where it is."""
    seq = trend.points[step.at].run.seq
    return step.mark or StepMark(new_id(), seq, seq, now)


def changed_mark(trend: Trend, change: StepChange, now: datetime) -> StepMark:
    """Return what is kept of a step after a change. Raises InvalidInput at the field."""
    do, note = change.do, change.note.replace("\r\n", "\n")
    if do == "add":
        return StepMark(new_id(), None, _seq(trend, change), now, note)
    steps = (trend.steps, trend.rejected)
    step = _step(trend, steps[::-1] if do == "restore" else steps, change)
    mark = replace(mark_of(trend, step, now), changed_at=now)
    if do == "move":
        return replace(mark, place=_seq(trend, change, step))
    if do == "note":
        return replace(mark, note=note)
    places = {"reject": None, "restore": mark.found, "forget": mark.found}
    if do not in places:
        raise _wrong("do", "Add, move, reject, note, restore or forget a step.")
    if (step.origin == "added") != (do == "forget"):
        who, instead = ("Nobody", "reject") if do == "forget" else ("Somebody", "forget")
        raise _wrong("do", f"{who} added this step: {instead} it.")
    return replace(mark, place=places[do])


def _step(trend: Trend, steps: Sequence[Sequence[TrendStep]], change: StepChange) -> TrendStep:
    run_id, origin = change.run, change.origin
    for step in chain.from_iterable(steps):
        if trend.points[step.at].run.id == run_id and origin in {"", step.origin}:
            return step
    raise _wrong("run", f"No step stands before run {run_id[:20]!r} any more.")


def _seq(trend: Trend, change: StepChange, moved: TrendStep | None = None) -> int:
    """Return the run that a step is to stand before: not the first, and where no other stands."""
    run_id = change.to
    others = {step.at for step in trend.steps if step != moved}
    for at, point in enumerate(trend.points[1:], start=1):
        if point.run.id == run_id and at in others:
            raise _wrong("to", f"A step stands before run {run_id} already.")
        if point.run.id == run_id:
            return point.run.seq
    raise _wrong("to", f"Run {run_id[:20]!r} is no point of this trend behind the first.")


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, (FieldError(field, message),))
