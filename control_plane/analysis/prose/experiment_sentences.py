"""An experiment in words: the sentence that leads its page, and its document for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isinf

from control_plane.analysis.deciding import validity_so_far
from control_plane.analysis.deciding.effects import Interval
from control_plane.analysis.deciding.judged_experiment import (
    JudgedExperiment,
    JudgedMetric,
    JudgedPrediction,
)
from control_plane.analysis.deciding.verdicts import Verdict
from control_plane.analysis.prose import Sentence, joined, number, sentence
from control_plane.analysis.run_labels import RunLabel, arm_labels
from control_plane.analysis.validity.judged_run import GATES
from control_plane.domain.experiment import FIRST_LOOK, Experiment
from control_plane.domain.run import State
from control_plane.domain.units import WRITTEN, figures, is_turned, number_of, ratio, share

REASONS = {
    "machine_moved": "the machine itself changed while it was measured",
    "control_gone": "the second run of the baseline is gone, so a changed machine would not show",
    "changed_in_pause": "what was measured, or the machine, changed while it was paused",
    "not_interleaved": "the runs were not interleaved",
    "invalid_side": "a side is invalid",
    "failed_side": "a side failed",
    "deleted_side": "a side was deleted",
    "no_number": "a trial of one side has no number that can be believed",
    "too_few_blocks": f"at least {FIRST_LOOK} complete blocks are needed",
    "other_baseline": "their experiment sets its arms against its own baseline alone",
    "not_judged": "their experiment does not judge this stream",
    "not_precise": "the interval is not as narrow yet as the rule of this experiment asks",
}
"""Why there is no verdict."""


def experiment_sentence(judged: JudgedExperiment) -> str:
    """Return what is found of the metric that decides, and which arms are suspect, of what."""
    return " ".join((findings_sentence(judged), *_suspect_arms(judged)))


def findings_sentence(judged: JudgedExperiment) -> str:
    """Return what is found of the metric that decides, where doubts of arms stand beside it."""
    if not judged.blocks or (judged.blocks < FIRST_LOOK and not judged.state.terminal):
        return " ".join((_waiting(judged), *_failures(judged)))
    return " ".join((*_told(judged), *_failures(judged)))


def _suspect_arms(judged: JudgedExperiment) -> Iterator[str]:
    """Yield `A and B are suspect: client busy.`, those with the same doubts together."""
    by_doubts: dict[str, list[str]] = {}
    for arm, run in zip(judged.experiment.arms, judged.runs, strict=True):
        worth = validity_so_far(run) if run else None
        if worth and worth.outcome == "suspect":
            doubts = [GATES[reason.gate].headline for reason in worth.reasons]
            by_doubts.setdefault(f": {joined(doubts)}" if doubts else "", []).append(arm.name)
    for told, names in by_doubts.items():
        yield f"{joined(names)} {'is' if len(names) == 1 else 'are'} suspect{told}."


def _waiting(judged: JudgedExperiment) -> str:
    if judged.state is State.QUEUED:
        return "It waits for the machine."
    if not judged.state.terminal:
        verb = "is" if judged.blocks == 1 else "are"
        paused = "It is paused. " if judged.state is State.PAUSED else ""
        blocks = number_of(judged.experiment.design.blocks, "block")
        return (
            f"{paused}{judged.blocks} of {blocks} {verb} measured. "
            f"Nothing is said before {FIRST_LOOK}."
        )
    return "There is nothing to decide on: no block is complete."


def _told(judged: JudgedExperiment) -> Iterator[str]:
    baseline = judged.experiment.arms[0].name
    for metric in sorted(judged.primary, key=lambda found: found.verdict.finding in _OPEN_LAST):
        yield verdict_sentence(metric, baseline, judged.experiment.design.margin)
    yield from _broken_and_failed(judged)


def _broken_and_failed(judged: JudgedExperiment) -> Iterator[str]:
    broken: dict[str, list[str]] = {}
    for guardrail in judged.broken:
        broken.setdefault(guardrail.metric.label, []).append(guardrail.contender)
    for metric, contenders in broken.items():
        yield f"Guardrail broken: {metric} of {joined(contenders)} got worse."
    for objective in judged.objectives:
        if objective.outcome == "failed":
            yield f"Objective failed: {objective.text}."


def _failures(judged: JudgedExperiment) -> Iterator[str]:
    for arm, run in zip(judged.experiment.arms, judged.runs, strict=True):
        if run is not None and run.state is State.FAILED:
            yield f"{arm.name} failed: {(run.reason or 'no reason is known').rstrip('.')}."


def sentences_with_all(judged: JudgedExperiment) -> Iterator[str]:
    """Return what would be found if no block was set aside; nothing where none was."""
    baseline, margin = judged.experiment.arms[0].name, judged.experiment.design.margin
    return (verdict_sentence(each, baseline, margin) for each in judged.with_all)


_OPEN_LAST = {"likely_better", "likely_worse", "inconclusive", "no_verdict"}
"""What is settled is told first."""


def verdict_sentence(judged: JudgedMetric, baseline: str, margin: float) -> str:
    """Return what is found of one metric of one contender."""
    verdict, name = judged.verdict, _metric_name(judged)
    if verdict.finding == "no_verdict":
        why = REASONS[verdict.reason or "too_few_blocks"]
        return f"No verdict on {judged.contender} against {baseline}: {why}."
    told = interval_text(verdict)
    within = f"±{share(margin)}"
    return {
        "better": f"{judged.contender} is better than {baseline}: its {name} is {told}.",
        "worse": f"{judged.contender} is worse than {baseline}: its {name} is {told}.",
        "equivalent": f"{judged.contender} and {baseline} are equivalent: the {name} is {told}, "
        f"within {within}.",
        "small_but_real": f"{judged.contender} differs from {baseline} by less than {within}: its "
        f"{name} is {told}, which is small but real.",
        "likely_better": f"{judged.contender} is probably better than {baseline}: its {name} is "
        f"{told}. How much is not settled{_more(verdict)}.",
        "likely_worse": f"{judged.contender} is probably worse than {baseline}: its {name} is "
        f"{told}. How much is not settled{_more(verdict)}.",
        "inconclusive": f"Whether {judged.contender} differs from {baseline} is not known yet: its "
        f"{name} is {told}{_more(verdict)}.",
    }[verdict.finding]


def failures_text(judged: JudgedMetric) -> str:
    """Return what two shares of failures tell beside their values, and why they decide nothing.

    `none failed on either side`; "" where there is nothing to add, and of other metrics.
    """
    if judged.gaps is None:
        return ""
    none = judged.values == (0, 0)
    told = "none failed on either side" if none else ""
    if judged.held != "undecided":
        return told
    bound, margin = share(judged.gaps[1].high), share(judged.margin)
    if none:
        return f"{told}; so few requests leave up to {bound}, margin {margin}"
    return f"the trials leave up to {bound} of requests more, margin {margin}"


_FARTHEST = 1_000.0
"""An interval that reaches further says nothing."""


def turned(value: float, interval: Interval) -> tuple[float, Interval, bool]:
    """Return a ratio with its interval, turned as `units.ratio` does; then whether it is."""
    if value >= 1 or interval.low <= 0:
        return value, interval, False
    other = Interval(1 / interval.high, 1 / interval.low)
    return (1 / value, other, True) if is_turned(value) else (1 / value, interval, False)


def _ends(interval: Interval, *, lower: bool) -> tuple[str, str]:
    """Return the ends of a turned interval; where it holds both signs each end has its own.

    Of `÷1.13` the interval from 0.444 to 1.77 is `÷2.25` to `×1.77`, not 0.566 to 2.25.
    """
    if lower and interval.low < 1:
        return f"÷{figures(interval.high)}", f"×{figures(1 / interval.low)}"
    return figures(interval.low), figures(interval.high)


def says_nothing(interval: Interval) -> bool:
    """Return whether an interval is too wide to be written out."""
    return interval.high > _FARTHEST or interval.low < 1 / _FARTHEST


def interval_text(verdict: Verdict) -> str:
    """Return the ratio with its 95 % interval: `1.12 times as much (95 % interval 1.08 to 1.16)`.

    Below 1 turned: `lower by a factor of 8 (95 % interval 7 to 9.1)`.
    """
    if verdict.effect is None or verdict.within_95 is None:
        return "not known"
    ratio, interval, lower = turned(verdict.effect.ratio, verdict.within_95)
    told = _times(ratio, lower=lower)
    if says_nothing(interval):
        return f"{told}, with an interval that is too wide to say anything"
    return f"{told} (95 % interval {' to '.join(_ends(interval, lower=lower))})"


def _times(ratio: float, *, lower: bool) -> str:
    """Return `1.12 times as much`; of a ratio that was turned `lower by a factor of 8`."""
    return f"lower by a factor of {figures(ratio)}" if lower else f"{figures(ratio)} times as much"


def _more(verdict: Verdict) -> str:
    if verdict.more_blocks is None:
        return ""
    if verdict.more_blocks == 1:
        return "; about one more block would settle it"
    return f"; about {verdict.more_blocks} more blocks would settle it"


def ratio_with_interval(value: float, interval: Interval) -> tuple[str, str]:
    """Return `×1.12` and `[1.08, 1.16]`; below 1 turned: `÷8` `[7, 9.1]`."""
    value, interval, lower = turned(value, interval)
    text = f"{'÷' if lower else '×'}{figures(value)}"
    if says_nothing(interval):
        return text, "[too wide]"
    return text, f"[{', '.join(_ends(interval, lower=lower))}]"


def prediction_numbers(judged: JudgedPrediction) -> str:
    """Return `×3.7 [3.5, 3.9], expected ×2.9 to ×4.5`; where nothing is known what was expected."""
    is_value = judged.prediction.kind == "value"
    written = WRITTEN[judged.metric.unit] if is_value else ratio
    low, high = judged.expected
    turns = not is_value and is_turned(high)
    if isinf(high):
        expected = f"at least {written(low)}"
    elif not low:
        expected = f"{written(high)} or more" if turns else f"at most {written(high)}"
    else:
        ends = (high, low) if turns else (low, high)
        expected = " to ".join(map(written, ends))
    if judged.found is None:
        return f"expected {expected}"
    value, interval = judged.found
    found, within = ratio_with_interval(value, interval)
    if is_value:
        found, within = written(value), f"[{written(interval.low)}, {written(interval.high)}]"
    return f"{found} {within}, expected {expected}"


def attempt_sentence(experiment: Experiment) -> str:
    """Return which attempt it is, and of the first what the newest found; "" for the only one."""
    ids = [attempt.id for attempt in experiment.confirmations]
    if experiment.design.confirms:
        of = f" {ids.index(experiment.id) + 1} of {len(ids)}" if experiment.id in ids else ""
        return f"Attempt{of} to confirm {experiment.design.confirms}; these blocks alone decide."
    if not ids:
        return ""
    times = "once" if len(ids) == 1 else f"{len(ids)} times"
    newest = next((each for each in experiment.confirmations[::-1] if each.sentence), None)
    told = f" {newest.id} found: {newest.sentence}" if newest else " Nothing is found yet."
    told = "" if newest and not newest.id else told
    return f"It was measured anew {times}, on fresh blocks that alone decide.{told}"


def experiment_headline(
    judged: JudgedExperiment, labels: Sequence[RunLabel]
) -> tuple[Sentence, Sentence]:
    """Return what leads the page, of the contender with the clearest effect, and then all others.

    The second is empty where there is nothing else to say.
    """
    if not judged.blocks or (judged.blocks < FIRST_LOOK and not judged.state.terminal):
        failures = " ".join(_failures(judged))
        return sentence(_waiting(judged)), sentence(failures) if failures else ()
    by_name = {label.name: label for label in labels}
    first, *others = clearest_first(judged)
    lead = _headline(first, by_name[first.contender], labels[0], judged.experiment.design.margin)
    if _all_suspect(judged) and first.verdict.finding != "no_verdict":
        lead = sentence(lead, " Every arm is suspect.")
    more = [part for other in others for part in _further(other, by_name[other.contender])]
    return lead, sentence(*more, " ".join([*_broken_and_failed(judged), *_failures(judged)]))


def _all_suspect(judged: JudgedExperiment) -> bool:
    """Whether no arm is beyond doubt: then there is no side to believe."""
    worth = [run.validity.outcome for run in judged.runs if run and run.validity]
    return bool(worth) and all(outcome == "suspect" for outcome in worth)


@dataclass(frozen=True)
class ExperimentHeadline:
    """What lists show of an experiment that finished; `outcomes`: what each arm is worth."""

    sentence: Sentence
    outcomes: tuple[str | None, ...]


def kept_headline(judged: JudgedExperiment) -> ExperimentHeadline:
    """Return what leads the page, kept so that no list has to judge it anew."""
    lead, _ = experiment_headline(judged, arm_labels(judged.experiment))
    outcomes = (validity_so_far(run).outcome if run else None for run in judged.runs)
    return ExperimentHeadline(lead, tuple(outcomes))


def clearest_first(judged: JudgedExperiment) -> list[JudgedMetric]:
    """Return what decides of each contender, in the order in which the sentences tell it."""
    return sorted(judged.primary, key=_clearness)


def _clearness(judged: JudgedMetric) -> tuple[bool, float]:
    """Return what sorts the settled and then the largest effects first."""
    effect = judged.verdict.effect
    return judged.verdict.finding in _OPEN_LAST, -abs(effect.log_ratio) if effect else 0.0


def _headline(
    judged: JudgedMetric, contender: RunLabel, baseline: RunLabel, margin: float
) -> Sentence:
    verdict, name = judged.verdict, _metric_name(judged)
    before, after = (WRITTEN[judged.metric.unit](value) for value in judged.values)
    factor = _factor(verdict)
    if verdict.finding == "no_verdict":
        why = REASONS[verdict.reason or "too_few_blocks"]
        return sentence("No verdict on ", contender, " against ", baseline, f": {why}.")
    if verdict.finding == "equivalent":
        tail = sentence(f": {name} ", *factor, f", margin ±{share(margin)}.")
        return sentence(contender, " and ", baseline, " are equivalent", tail)
    if verdict.finding == "inconclusive":
        tail = sentence(f" is not decided: {name} ", *factor, f"{_more(verdict)}.")
        return sentence("Whether ", contender, " differs from ", baseline, tail)
    brings = {"likely_better": " probably brings", "likely_worse": " probably brings"}.get(
        verdict.finding, " brings"
    )
    steps = sentence(" from ", number(before), " of ", baseline, " to ", number(after), ", ")
    open_end = f"; how much is not settled{_more(verdict)}" if "likely" in verdict.finding else ""
    small = ", which is small but real" if verdict.finding == "small_but_real" else ""
    return sentence(contender, f"{brings} {name}", steps, factor, f"{small}{open_end}.")


def _further(judged: JudgedMetric, contender: RunLabel) -> Sentence:
    """Return `B async is worse: lower by a factor of 2.1 [2, 2.2]. `."""
    verdict = judged.verdict
    if verdict.finding == "no_verdict":
        return sentence(contender, f": no verdict, {REASONS[verdict.reason or 'too_few_blocks']}. ")
    word = verdict.finding.replace("_", " ").replace("likely", "probably")
    return sentence(contender, f" is {word}: ", _factor(verdict), f"{_more(verdict)}. ")


def _factor(verdict: Verdict) -> Sentence:
    """Return `lower by a factor of 2.1 [2, 2.2]`."""
    if verdict.effect is None or verdict.within_95 is None:
        return sentence("not known")
    ratio, interval, lower = turned(verdict.effect.ratio, verdict.within_95)
    told = number(_times(ratio, lower=lower))
    if says_nothing(interval):
        return sentence(told, ", with an interval that is too wide to say anything")
    return sentence(told, " ", number(f"[{', '.join(_ends(interval, lower=lower))}]"))


def _metric_name(judged: JudgedMetric) -> str:
    label = judged.metric.label
    return label[0].lower() + label[1:] if label[1:2].islower() else label
