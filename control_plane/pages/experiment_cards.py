"""Answers of experiments: on cards with what they teach and take, and beside another machine's."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from threading import Lock
from typing import Annotated

from fastapi import Depends, Request

from control_plane.analysis.deciding import validity_so_far
from control_plane.analysis.deciding.effects import geometric_mean
from control_plane.analysis.deciding.judged_experiment import (
    JudgedExperiment,
    JudgedMetric,
    block_values,
)
from control_plane.analysis.prose import Sentence
from control_plane.analysis.prose.experiment_sentences import (
    REASONS,
    ExperimentHeadline,
    clearest_first,
    experiment_headline,
    failures_text,
    findings_sentence,
    ratio_with_interval,
)
from control_plane.analysis.run_labels import RunLabel, arm_labels
from control_plane.analysis.validity import their_validity
from control_plane.domain.errors import InvalidInput
from control_plane.domain.experiment import Experiment
from control_plane.domain.ids import experiment_address
from control_plane.domain.metrics_and_objectives import METRIC
from control_plane.domain.run import State
from control_plane.domain.spec_json import adapter
from control_plane.domain.units import WRITTEN, about
from control_plane.experiments.experiment_file import (
    BLOCKS,
    BundledExperiment,
    Variant,
    bundled_experiments,
    seconds_of_variants,
)
from control_plane.jobs.experiment_job import judged_now
from control_plane.jobs.run_service import RunService
from control_plane.pages.site import PageMemory
from control_plane.pages.urls import compare_url
from control_plane.store.store import Store

VariantDurations = tuple[tuple[Variant, str], ...]
"""How long each variant takes, in words."""


@dataclass(frozen=True)
class ArmBar:
    """One arm: the geometric mean of its blocks in the metric that decides, of the largest."""

    label: RunLabel
    text: str
    share: float
    outcome: str | None


@dataclass(frozen=True)
class ExperimentAnswer:
    """What an experiment says so far. `badges`: how many arms are valid, and which are not.

    `finding`: the verdict that its sentence tells, where it was judged for this.
    """

    experiment: Experiment
    href: str
    state: State
    sentence: Sentence
    rest: Sentence
    bars: tuple[ArmBar, ...]
    badges: tuple[tuple[str, str], ...]
    at: datetime
    finding: str = ""

    @property
    def over(self) -> bool:
        return self.state.terminal

    @property
    def arm_ids(self) -> str:
        """The runs of its arms, without those that were deleted."""
        return " ".join(arm.run_id for arm in self.experiment.arms if arm.run_id)

    @property
    def arm_names(self) -> str:
        """What these arms are called, a line for each."""
        return "\n".join(arm.name for arm in self.experiment.arms if arm.run_id)


@dataclass(frozen=True)
class ExperimentCard:
    """An experiment that comes with Looplab. `durations` by variant, `answer` the last one here.

    `refusal`: why it cannot be measured here, or empty. `key`: sent with its form, which starts it
    once.
    """

    slug: str
    question: str
    teaches: str
    arms: tuple[str, ...]
    claim: str
    durations: VariantDurations
    refusal: str
    answer: ExperimentAnswer | None
    key: str


MOST_ANSWERS = 500


class ExperimentAnswers:
    """Gives the answer of an experiment; those that are over are judged once.

    And how long the bundled ones take, which is estimated anew once one was measured again.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._over: dict[object, ExperimentAnswer] = {}
        self._durations: dict[str, tuple[str, VariantDurations]] = {}

    def durations(
        self, latest: Sequence[tuple[BundledExperiment, str]], service: RunService
    ) -> list[tuple[VariantDurations, str]]:
        """Return how long the variants of each take, or why it cannot be measured here.

        Beside each stands the id of the last one here.
        """
        with self._lock:
            known = dict(self._durations)
        new = [each for each, last in latest if known.get(each.slug, ("-", ()))[0] != last]
        found = seconds_of_variants(new, service.seconds_of_experiments) if new else []
        seconds = dict(zip((each.slug for each in new), found, strict=True))
        told: list[tuple[VariantDurations, str]] = []
        for each, last in latest:
            taken = seconds.get(each.slug)
            if isinstance(taken, InvalidInput):
                told.append(((), taken.first))
                continue
            if taken is not None:
                written = tuple((variant, about(taken[variant])) for variant in BLOCKS)
                known[each.slug] = last, written
            told.append((known[each.slug][1], ""))
        with self._lock:
            self._durations |= known
        return told

    def listed(self, experiment: Experiment, store: Store) -> ExperimentAnswer:
        """Return what lists show of it, without bars: what was kept when it finished.

        Where nothing that can be read was, or an arm was deleted since, it is judged as in
        `answer`.
        """
        if experiment.headline and all(arm.run_id for arm in experiment.arms):
            with suppress(ValueError):
                return _kept_answer(experiment, experiment.headline)
        return self.answer(experiment, store)

    def answer(self, experiment: Experiment, store: Store) -> ExperimentAnswer:
        """Return what it says now; an arm that was deleted since makes another answer."""
        key = (experiment.id, experiment.arms)
        with self._lock:
            known = self._over.get(key)
        if known is not None:
            return known
        answer = experiment_answer(judged_now(store, experiment.id))
        if answer.over:
            with self._lock:
                self._over[key] = answer
                while len(self._over) > MOST_ANSWERS:
                    del self._over[next(iter(self._over))]
        return answer


async def _answers(request: Request) -> ExperimentAnswers:
    memory: PageMemory = request.state.page_memory
    return memory.of(ExperimentAnswers)


AnswersDep = Annotated[ExperimentAnswers, Depends(_answers)]


def experiment_answer(judged: JudgedExperiment) -> ExperimentAnswer:
    """Return what the cards and lists show of an experiment."""
    experiment = judged.experiment
    labels = arm_labels(experiment)
    sentence, rest = experiment_headline(judged, labels)
    return ExperimentAnswer(
        experiment=experiment,
        href=experiment_address(experiment.id),
        state=judged.state,
        sentence=sentence,
        rest=rest,
        bars=tuple(_bars(judged, labels)),
        badges=tuple(validity_badges(judged, labels)),
        at=experiment.created_at,
        finding=next((each.verdict.finding for each in clearest_first(judged)), ""),
    )


def _kept_answer(experiment: Experiment, headline: str) -> ExperimentAnswer:
    """Return what lists show. Raises ValueError where the headline is something else."""
    kept = _read_headline(headline)
    return ExperimentAnswer(
        experiment=experiment,
        href=experiment_address(experiment.id),
        state=State.FINISHED,
        sentence=kept.sentence,
        rest=(),
        bars=(),
        badges=tuple(_badges(kept.outcomes, arm_labels(experiment))),
        at=experiment.created_at,
    )


@lru_cache(MOST_ANSWERS)
def _read_headline(headline: str) -> ExperimentHeadline:
    return adapter(ExperimentHeadline).validate_json(headline)


def experiment_cards(
    store: Store, service: RunService, answers: ExperimentAnswers, most: int | None = None
) -> tuple[ExperimentCard, ...]:
    """Return a card for each experiment that comes with Looplab, at most so many."""
    latest = store.latest_experiments()
    shown = list(bundled_experiments().values())[:most]
    lasts = [latest.get(bundled.slug) for bundled in shown]
    named = [(each, last.id if last else "") for each, last in zip(shown, lasts, strict=True)]
    return tuple(
        ExperimentCard(
            slug=bundled.slug,
            question=bundled.question,
            teaches=bundled.teaches,
            arms=bundled.arms,
            claim=bundled.predictions[0],
            durations=durations,
            refusal=refusal,
            answer=answers.answer(last, store) if last else None,
            key=secrets.token_urlsafe(12),
        )
        for bundled, last, (durations, refusal) in zip(
            shown, lasts, answers.durations(named, service), strict=True
        )
    )


def validity_badges(
    judged: JudgedExperiment, labels: Sequence[RunLabel]
) -> Iterator[tuple[str, str]]:
    """Yield each outcome with how many arms have it; of those in doubt which they are."""
    return _badges([validity_so_far(run).outcome if run else None for run in judged.runs], labels)


def _badges(
    outcomes: Sequence[str | None], labels: Sequence[RunLabel]
) -> Iterator[tuple[str, str]]:
    for outcome in ("valid", "suspect", "invalid"):
        found = [
            label.letter for label, each in zip(labels, outcomes, strict=True) if each == outcome
        ]
        if found:
            which = "" if outcome == "valid" else f": {', '.join(found)}"
            yield outcome, f"{len(found)} {outcome}{which}"


def _bars(judged: JudgedExperiment, labels: Sequence[RunLabel]) -> Iterator[ArmBar]:
    metric = METRIC[judged.experiment.design.metric]
    control = judged.experiment.design.control
    means = [geometric_mean(list(row.values())) for row in block_values(judged, metric)]
    most = max((mean for mean in means if mean), default=0.0)
    arms = list(zip(labels, judged.runs, means, strict=True))
    for label, run, mean in arms[:-1] if control else arms:
        outcome = validity_so_far(run).outcome if run else None
        share = mean / most if mean and most else 0.0
        yield ArmBar(label, WRITTEN[metric.unit](mean), share, outcome)


@dataclass(frozen=True)
class VerdictPair:
    """A metric that decides or guards, of one arm: the verdict here, and that of elsewhere.

    `curves` sets the arm beside theirs, "" where one was deleted.
    """

    metric: str
    arm: str
    here: str
    there: str
    curves: str


@dataclass(frozen=True)
class BesideTheirs:
    """What another Looplab found on its machine, beside the verdicts of this one.

    `doubts` say which of its arms were not valid there, and why.
    """

    href: str
    machine: str
    sentence: str
    doubts: tuple[str, ...]
    pairs: tuple[VerdictPair, ...]


def beside_theirs(judged: JudgedExperiment, theirs: JudgedExperiment) -> BesideTheirs:
    """Return the verdicts of two machines; each compares arms of one machine alone."""
    measured = [run for run in theirs.runs if run]
    arms = zip(theirs.experiment.arms, theirs.runs, strict=False)
    found = [their_validity(arm.name, run) for arm, run in arms if run]
    return BesideTheirs(
        href=experiment_address(theirs.experiment.id),
        machine=next((run.origin.machine for run in measured if run.origin), "another machine"),
        sentence=findings_sentence(theirs),
        doubts=tuple(each.text for each in found if each.outcome != "valid"),
        pairs=tuple(_pairs(judged, theirs)),
    )


def _pairs(judged: JudgedExperiment, theirs: JudgedExperiment) -> Iterator[VerdictPair]:
    found = {(each.metric.name, each.contender): each for each in theirs.metrics}
    runs = [
        {arm.name: arm.run_id for arm in side.experiment.arms if arm.run_id}
        for side in (theirs, judged)
    ]
    for metric in judged.metrics:
        if metric.role == "exploratory":
            continue
        arm = metric.contender
        other = found.get((metric.metric.name, arm))
        ids = [side[arm] for side in runs if arm in side]
        yield VerdictPair(
            metric=metric.metric.label,
            arm=arm,
            here=_told(metric),
            there=_told(other) if other else "not measured",
            curves=compare_url(ids) if len(ids) > 1 else "",
        )


def _told(metric: JudgedMetric) -> str:
    """Return `better, ×1.5 [1.4, 1.6]`; where nothing is decided, why."""
    verdict = metric.verdict
    word = (metric.held or verdict.finding).replace("_", " ")
    within = verdict.within_90 if metric.role == "guardrail" else verdict.within_95
    if verdict.effect is None or within is None:
        why = REASONS[verdict.reason] if verdict.reason else failures_text(metric)
        return f"{word}: {why}" if why else word
    return f"{word}, {' '.join(ratio_with_interval(verdict.effect.ratio, within))}"
