"""An experiment: arms whose trials are interleaved in blocks, and what is to be decided of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from random import Random
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from control_plane.domain.errors import FieldError, InvalidInput, refuse
from control_plane.domain.limits import TEXT_LENGTHS, Checked, bounded, bounded_text, counted
from control_plane.domain.metrics_and_objectives import (
    DEFAULT_MARGIN,
    DIRECTED,
    ERROR_SHARE,
    METRIC,
    MOST_OBJECTIVES,
    ArmObjective,
    Prediction,
)
from control_plane.domain.run import State
from control_plane.domain.spec_json import adapter, field_error

MOST_ARMS = 64
MOST_BLOCKS = 99
"""With the burnt trial there are as many trials as a run may have."""
MOST_WHOLE_SQUARE = 6
"""Up to so many arms the blocks are rounded up to whole squares."""
MOST_BLOCK_ROWS = MOST_BLOCKS + MOST_WHOLE_SQUARE
DEFAULT_BLOCKS = 10
"""The declared maximum of blocks where none is named, as of runs that are decided over."""
FIRST_LOOK = 3
"""No look before so many blocks."""
FIRST_STOP = 6
"""An experiment that stops where its interval is precise has so many blocks at least."""
StoppingRule = Literal["spending", "precision"]


@dataclass(frozen=True)
class Guardrail(Checked):
    """A metric that must not get worse by more than its margin, a share of it."""

    metric: str
    margin: float = 0.1


@dataclass(frozen=True)
class SubmittedArm(Checked):
    """One arm as it is handed in: a spec, laid over that of the experiment."""

    name: str
    spec: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ExperimentDesign(Checked):
    """What is to be decided, and how.

    `slug` names the bundled experiment that it is one of, "" for another; `note` stands beside its
    result.

    `metric` of `stream` decides ("": of the first). `margin` is a difference that nobody cares
    about, `blocks` the declared maximum. `rule`: results are looked at after each block, or once,
    when the interval is precise enough. `seed` draws the order of the trials and the requests.
    `control`: the last arm is the baseline a second time, which shows what the machine alone makes
    differ; it is added to those that are handed in. `same_arms`: arms may be the same on purpose,
    which shows how much the machine differs from itself. `objectives` and `predictions` are judged
    by the same intervals. `confirms` is the id of the experiment that it measures anew, `repeats`
    that of one which another Looplab measured, "" for none.
    """

    slug: str = ""
    note: str = ""
    metric: str = "throughput_per_s"
    stream: str = ""
    guardrails: tuple[Guardrail, ...] = (
        Guardrail("response_time_s.p99"),
        Guardrail("peak_memory_bytes"),
    )
    margin: float = DEFAULT_MARGIN
    blocks: int = DEFAULT_BLOCKS
    rule: StoppingRule = "spending"
    seed: int = 1
    control: bool = False
    objectives: tuple[ArmObjective, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    same_arms: bool = False
    confirms: str = ""
    repeats: str = ""


@dataclass(frozen=True, kw_only=True)
class SubmittedExperiment(ExperimentDesign):
    """An experiment as it is handed in: the first arm is the baseline, `spec` common to all."""

    question: str
    arms: tuple[SubmittedArm, ...]
    spec: dict[str, Any] | None = None

    @property
    def design(self) -> ExperimentDesign:
        """What of it is kept beside the arms."""
        names = (field.name for field in fields(ExperimentDesign))
        return ExperimentDesign(**{name: getattr(self, name) for name in names})

    def named_streams(self) -> Iterator[tuple[str, str, str]]:
        """Yield each stream that a claim names, with its field and the arm ("": each)."""
        for name in ("objectives", "predictions"):
            for place, claim in enumerate(getattr(self, name)):
                if claim.stream:
                    yield f"{name}.{place}.stream", claim.arm, claim.stream


@dataclass(frozen=True)
class ExperimentArm:
    """One arm; its trials are those of a run, None where that was deleted."""

    name: str
    run_id: str | None


NotBelowZero = Annotated[float, Field(ge=0, allow_inf_nan=False)]
BlockOutcome = Literal["begun", "complete", "discarded", "spoiled", "incomplete"]


@dataclass(frozen=True)
class ExperimentBlock:
    """A block that was begun; `number` is that of its trials.

    `row`: which block of the design it is, from 0. A session lasts until the experiment pauses. A
    block that was in progress then is discarded: its row is measured again as another block. So is,
    at the end, that of one which something outside the targets spoiled, and which may lack trials.
    One in progress when no arm was left to go on is incomplete.
    """

    number: int
    row: int
    session: int
    outcome: BlockOutcome


@dataclass(frozen=True)
class Attempt:
    """An experiment, or one that measures it anew, as the others know it.

    `id` "": it is hidden. `blocks` is its declared maximum. `sentence`: what was found when it
    finished. `confirms`: it is not the first.
    """

    id: str
    created_at: datetime
    blocks: int
    sentence: str | None
    over: bool
    confirms: bool


@dataclass(frozen=True)
class BlockVariance:
    """How much the ratios of two arms vary from block to block, in one metric of one experiment.

    `variance` is that of ln(ratio), with its degrees of freedom. `kind` is that of its load.
    """

    machine: str
    kind: str
    metric: str
    variance: float
    df: float


@dataclass(frozen=True)
class MetricNoise:
    """What earlier experiments say of one metric: the noise floor, and the prior of its variance,
    that of ln(ratio) with its weight in degrees of freedom; None for no prior."""

    floor: NotBelowZero
    prior: tuple[NotBelowZero, NotBelowZero] | None = None


@dataclass(frozen=True)
class Findings:
    """What is kept when an experiment ends: the sentence, and what its blocks varied, if finished.

    `noise`: what earlier ones had said by metric. `verdicts` in the metric that decides, by arm.
    `headline`: JSON for lists.
    """

    sentence: str | None
    variances: Sequence[BlockVariance]
    noise: Mapping[str, MetricNoise]
    verdicts: Mapping[str, str]
    headline: str | None = None


@dataclass(frozen=True)
class Experiment:
    """An experiment that was handed in. The first arm is the baseline.

    `blocks`: all that were begun, in their order. `sessions`: how many began, each with a burnt
    trial. `sentence`: what was found when it finished; `noise`, `headline`: as in `Findings`.
    `attempts`: where it was measured anew, the first and all that confirm it, in their order.
    """

    id: str
    question: str
    design: ExperimentDesign
    arms: tuple[ExperimentArm, ...]
    created_at: datetime
    blocks: tuple[ExperimentBlock, ...] = ()
    sessions: int = 0
    sentence: str | None = None
    noise: Mapping[str, MetricNoise] | None = None
    attempts: tuple[Attempt, ...] = ()
    headline: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError where nobody could have handed it in, and nothing can judge it."""
        design, names = self.design, [arm.name for arm in (*self.arms[:1], *self.contenders)]
        deciding = [(design.metric, design.margin)]
        deciding += [(each.metric, each.margin) for each in design.guardrails]
        if not (
            len(self.arms) > design.control
            and 0 < design.blocks <= MOST_BLOCK_ROWS
            and all(0 <= block.row < MOST_BLOCK_ROWS for block in self.blocks)
            and all(metric in DIRECTED and 0 <= margin <= 10 for metric, margin in deciding)
            and all(each.metric in METRIC for each in design.objectives)
            and all(each.metric in {"", *METRIC} for each in design.predictions)
            and all(each.arm in names[each.kind == "ratio" :] for each in design.predictions)
        ):
            raise ValueError("nobody hands in an experiment with such arms, metrics or blocks")

    @property
    def confirmations(self) -> tuple[Attempt, ...]:
        """The attempts on fresh blocks: all but the first."""
        return tuple(attempt for attempt in self.attempts if attempt.confirms)

    @property
    def discarded(self) -> int:
        """How many blocks were in progress when it paused, and thrown away."""
        return sum(block.outcome == "discarded" for block in self.blocks)

    @property
    def spoiled(self) -> frozenset[int]:
        """The numbers of the blocks that are set aside."""
        return frozenset(block.number for block in self.blocks if block.outcome == "spoiled")

    @property
    def next_row(self) -> int | None:
        """Which block of the design is measured next, spoiled ones last; None after all."""
        rows = {
            outcome: {block.row for block in self.blocks if block.outcome == outcome}
            for outcome in ("complete", "spoiled")
        }
        left = (row for row in range(self.design.blocks) if row not in rows["complete"])
        return min(left, key=lambda row: (row in rows["spoiled"], row), default=None)

    def may_set_aside(self, row: int) -> bool:
        """Return whether a spoiled block of that row is set aside: once, and a few blocks only."""
        before = [block.row for block in self.blocks if block.outcome == "spoiled"]
        return row not in before and len(before) < spare_blocks(self.design.blocks)

    def as_attempt(self, states: Sequence[State]) -> Attempt:
        """Return it as the others know it; `states` are those of its arms."""
        over, confirms = all(state.terminal for state in states), bool(self.design.confirms)
        return Attempt(self.id, self.created_at, self.design.blocks, self.sentence, over, confirms)

    def asks_the_same(self, design: ExperimentDesign, arms: Sequence[str]) -> bool:
        """Return whether the design decides as this one, over some of its arms."""
        asked, again = ((each.metric, each.stream, each.margin) for each in (self.design, design))
        return asked == again and set(arms) <= {arm.name for arm in self.arms}

    @property
    def contenders(self) -> tuple[ExperimentArm, ...]:
        """The arms that are set against the baseline, without a negative control."""
        return self.arms[1:-1] if self.design.control else self.arms[1:]


def read_experiment(document: Mapping[str, Any]) -> SubmittedExperiment:
    """Return the experiment of a document. Raises InvalidInput with the wrong fields."""
    given = dict(document)
    try:
        submitted = adapter(SubmittedExperiment).validate_json(to_json(given))
    except PydanticSerializationError as error:
        raise InvalidInput(
            "This is no document: it is too deep, or holds no plain text."
        ) from error
    except ValidationError as error:
        refuse(field_error(detail, given) for detail in error.errors(include_url=False))
        raise
    refuse(_bounds(submitted))
    return submitted


def refuse_odd(experiment: Experiment) -> None:
    """Raise InvalidInput for an experiment of elsewhere that nobody could have handed in here."""
    design, arms = experiment.design, experiment.arms
    names = [arm.name for arm in arms]
    submitted = SubmittedExperiment(
        **{**vars(design), "blocks": min(design.blocks, MOST_BLOCKS)},
        question=experiment.question,
        # The last arm was added for the control.
        arms=tuple(SubmittedArm(name, {}) for name in (names[:-1] if design.control else names)),
    )
    refuse(_bounds(submitted))
    if len(set(names)) < len(arms):
        raise InvalidInput("Two of its arms have one name.")


def _bounds(submitted: SubmittedExperiment) -> Iterator[FieldError]:
    yield from bounded_text("question", submitted.question, 200, empty=False)
    yield from bounded_text("slug", submitted.slug, 40)
    yield from bounded_text("note", submitted.note, 200)
    yield from counted("arms", len(submitted.arms), 2, MOST_ARMS, "arms")
    names = [arm.name for arm in submitted.arms]
    for place, name in enumerate(names):
        yield from bounded_text(f"arms.{place}.name", name, TEXT_LENGTHS.arm_name, empty=False)
        if name in names[:place]:
            yield FieldError(f"arms.{place}.name", f"Another arm is called {name}.")
    yield from bounded("margin", submitted.margin, 0, 1)
    yield from bounded("blocks", submitted.blocks, 3, MOST_BLOCKS)
    yield from bounded("seed", submitted.seed, 0, 2**53)
    yield from bounded_text("confirms", submitted.confirms, 20)
    yield from bounded_text("repeats", submitted.repeats, 20)
    yield from _wrong_claims(submitted, names)
    yield from counted("guardrails", len(submitted.guardrails), 0, len(METRIC), "guardrails")
    metrics = [("metric", submitted.metric)]
    for place, guardrail in enumerate(submitted.guardrails):
        metrics.append((f"guardrails.{place}.metric", guardrail.metric))
        yield from bounded(f"guardrails.{place}.margin", guardrail.margin, 0, 10)
    if submitted.metric == ERROR_SHARE:
        yield FieldError("metric", "A share of errors has no ratio: it is a guardrail in any case.")
    known = ", ".join(DIRECTED)
    for place, (field, metric) in enumerate(metrics):
        if metric in [known for _, known in metrics[:place]]:
            yield FieldError(field, f"{metric[:60]} is named twice.")
        if metric not in DIRECTED:
            yield FieldError(field, f"{metric[:60]} is no metric that is better or worse: {known}.")


def _wrong_claims(submitted: SubmittedExperiment, arms: Sequence[str]) -> Iterator[FieldError]:
    for name in ("objectives", "predictions"):
        yield from counted(name, len(getattr(submitted, name)), 0, MOST_OBJECTIVES, name)
    for place, objective in enumerate(submitted.objectives):
        field = f"objectives.{place}"
        # Which streams an arm has is known when its spec is.
        yield from objective.wrong(field, [objective.stream])
        if objective.arm and objective.arm not in arms:
            yield FieldError(f"{field}.arm", f"There is no arm {objective.arm[:60]}.")
    for place, prediction in enumerate(submitted.predictions):
        yield from prediction.wrong(f"predictions.{place}", arms)


def williams_rows(arms: int) -> tuple[tuple[int, ...], ...]:
    """Return the rows of a Williams design: as many as `arms`, twice as many where that is odd."""
    zigzag = [place // 2 + 1 if place % 2 else -(place // 2) for place in range(arms)]
    square = [tuple((row + step) % arms for step in zigzag) for row in range(arms)]
    mirrored = [tuple(reversed(row)) for row in square] if arms % 2 else []
    return (*square, *mirrored)


def rounded_blocks(arms: int, blocks: int) -> int:
    """Return the declared maximum of blocks: whole squares of up to six arms.

    Rounded up, unless only that makes them too many.
    """
    if arms > MOST_WHOLE_SQUARE or arms < 2:
        return blocks
    up = -(-blocks // arms) * arms
    return up - arms if blocks <= MOST_BLOCKS < up else up


def trial_order(arms: int, blocks: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Return the arms of each block in the order of their trials; arms are numbered from 0.

    Each block has one trial of every arm. Two arms take turns in going first; more go through the
    rows of a Williams design, in which every arm stands at each place, and follows each other arm,
    equally often (E. J. Williams, "Experimental designs balanced for the estimation of residual
    effects of treatments", 1949).

    Which arm takes which place of the design, and the row that the first block takes, are drawn
    from the seed. More blocks of the same seed begin with the same ones.
    """
    chance = Random(seed)
    labels = chance.sample(range(arms), arms)
    rows = williams_rows(arms)
    # Of an odd number of arms a whole square and its mirror image follow each other.
    first = chance.randrange(0, len(rows), arms if arms % 2 else 1)
    return tuple(
        tuple(labels[place] for place in rows[(first + block) % len(rows)])
        for block in range(blocks)
    )


def spare_blocks(blocks: int) -> int:
    """Return how many blocks of a design may be set aside and measured again: a fifth, or one."""
    return max(1, int(0.2 * blocks))
