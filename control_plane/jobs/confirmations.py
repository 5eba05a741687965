"""Confirmations: an experiment that is over is measured anew, on fresh blocks that alone decide."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from control_plane.analysis.deciding.judged_experiment import JudgedExperiment, JudgedMetric
from control_plane.domain.errors import Conflict
from control_plane.domain.experiment import (
    MOST_WHOLE_SQUARE,
    Experiment,
    rounded_blocks,
)
from control_plane.domain.ids import new_id
from control_plane.domain.spec_json import Document
from control_plane.experiments.experiment_file import stored_document
from control_plane.jobs.experiment_job import judged_now
from control_plane.jobs.run_service import RunService
from control_plane.store.store import Store

MANY_ARMS = 6
"""The best of more arms than these may owe it to chance: it is measured anew with the baseline."""
_OPEN = {"likely_better", "likely_worse", "inconclusive"}


@dataclass(frozen=True)
class Confirmation:
    """What is measured anew: arms by name, the baseline first, and the declared maximum of blocks.

    `winner`: the only contender, of more than six arms; None where all arms are measured.
    """

    arms: tuple[str, ...]
    blocks: int
    winner: str | None


def offered_confirmation(judged: JudgedExperiment, most_blocks: int) -> Confirmation | None:
    """Return what would settle an experiment that is over; None where nothing is open.

    Offered for verdicts that are open, and for the winner of many arms.
    """
    if not judged.state.terminal:
        return None
    is_open = any(metric.verdict.finding in _OPEN for metric in judged.primary)
    if not is_open and _winner(judged) is None:
        return None
    try:
        return _confirmation(judged, most_blocks)
    except Conflict:
        return None


def confirm_experiment(
    store: Store,
    service: RunService,
    experiment_id: str,
    blocks: int | None = None,
    key: str | None = None,
) -> Experiment:
    """Queue an experiment that measures another anew, with draws of its own, and return it.

    `blocks`: its maximum; as many as would settle it where None. The same `key` gives the same one.
    Raises Conflict where it is not over or an arm is missing, InvalidInput and QueueFull as for any
    experiment.
    """
    key = f"{experiment_id}.{key or new_id()}"
    document = confirmation_document(store, service, experiment_id, blocks)
    seed = Random(f"{document['seed']}.{key}").randrange(2**32)
    return service.submit_experiment({**document, "seed": seed}, key=key)


def confirmation_document(
    store: Store, service: RunService, experiment_id: str, blocks: int | None = None
) -> Document:
    """Return what `confirm_experiment` would queue, but with the seed of the first experiment."""
    judged = judged_now(store, experiment_id)
    chosen = _confirmation(judged, service.limits.max_trials - 1)
    document = _document(judged, chosen) | {"seed": judged.experiment.design.seed}
    return document | {"blocks": chosen.blocks if blocks is None else blocks}


def _confirmation(judged: JudgedExperiment, most_blocks: int) -> Confirmation:
    """Return what is to be measured anew. Raises Conflict where that cannot be."""
    experiment = judged.experiment
    if not judged.state.terminal:
        raise Conflict(f"Experiment {experiment.id} is not over: it can be confirmed when it is.")
    winner = _winner(judged)
    handed_in = [experiment.arms[0].name, *(arm.name for arm in experiment.contenders)]
    present = {
        arm.name for arm, run in zip(experiment.arms, judged.runs, strict=True) if run is not None
    }
    arms = tuple(
        name
        for place, name in enumerate(handed_in)
        if name in present and (winner is None or not place or name == winner)
    )
    if len(arms) < 2 or arms[0] != handed_in[0]:
        raise Conflict(
            f"The baseline or all contenders of experiment {experiment.id} were deleted: "
            "there is nothing to confirm."
        )
    needed = experiment.design.blocks if winner else _blocks_to_settle(judged, most_blocks)
    trials = len(arms) + experiment.design.control
    return Confirmation(arms, _whole_blocks(trials, needed, most_blocks), winner)


def _winner(judged: JudgedExperiment) -> str | None:
    """Return the contender with the largest effect of those that are better; of many arms alone."""
    if len(judged.experiment.contenders) + 1 <= MANY_ARMS:
        return None
    broken = {metric.contender for metric in judged.broken}
    better = [
        metric
        for metric in judged.primary
        if metric.verdict.finding == "better" and metric.contender not in broken
    ]
    return max(better, key=_size).contender if better else None


def _size(metric: JudgedMetric) -> float:
    return abs(metric.verdict.effect.log_ratio) if metric.verdict.effect else 0.0


def _blocks_to_settle(judged: JudgedExperiment, most_blocks: int) -> int:
    """Return how many blocks settle what is open, if effects and spread stay."""
    needed = [
        judged.blocks + metric.verdict.more_blocks if metric.verdict.more_blocks else most_blocks
        for metric in judged.primary
        if metric.verdict.finding in _OPEN
    ]
    return max([judged.experiment.design.blocks, *needed])


def _whole_blocks(arms: int, needed: int, most_blocks: int) -> int:
    """Return so many blocks in whole squares, no more than are allowed."""
    blocks = min(needed, most_blocks)
    if rounded_blocks(arms, blocks) > most_blocks and arms <= MOST_WHOLE_SQUARE:
        return most_blocks // arms * arms
    return rounded_blocks(arms, blocks)


def _document(judged: JudgedExperiment, chosen: Confirmation) -> Document:
    """Return the document of the experiment with the arms that are chosen, and their claims."""
    experiment = judged.experiment
    document = stored_document(experiment, judged.runs) or {}
    known = {attempt.id for attempt in experiment.attempts}
    first = experiment.design.confirms
    claims: Document = {
        name: list(_of_arms(document[name], chosen.arms))
        for name in ("objectives", "predictions")
        if name in document
    }
    arms = [arm for arm in document["arms"] if arm["name"] in chosen.arms]
    return {
        **document,
        **claims,
        "arms": arms,
        "confirms": first if first in known else experiment.id,
    }


def _of_arms(claims: list[Document], arms: tuple[str, ...]) -> Iterator[Document]:
    return (claim for claim in claims if claim.get("arm") in {None, *arms})
