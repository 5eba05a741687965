"""What the title of a comparison hides, in words: runs that take no part, answers that differ."""

from collections.abc import Iterator

from control_plane.analysis.comparison import Comparison, invalid, runs_with_result, stream_of
from control_plane.analysis.prose.sentence import Sentence, listed_runs, number, sentence
from control_plane.analysis.run_labels import RunLabel
from control_plane.domain.run import Run, State
from control_plane.domain.times_and_percentiles import cut_off, furthest_known, unanswered_clause
from control_plane.domain.units import count


def nothing_compared(comparison: Comparison) -> Sentence:
    """Return why no run has a ratio."""
    base = comparison.run(comparison.baseline)
    label = comparison.label(base.id)
    if all(run.resultless for run in comparison.runs):
        return sentence("Not compared: none of these runs left a result.")
    if invalid(base):
        return sentence(label, " is invalid, so nothing is set against it.")
    if base.resultless:
        ended = base.state.value if base.state is State.FAILED else f"was {base.state.value}"
        return sentence(label, f" {ended} and left no result: nothing is set against it.")
    return sentence("Not compared: ", _why_no_other(comparison, base))


def excluded_runs(comparison: Comparison) -> Iterator[Sentence]:
    """Return a sentence for each run that is not compared, with its reason."""
    for run in comparison.runs:
        label, refusal = comparison.label(run.id), comparison.refusals.get(run.id)
        if refusal and refusal.kind == "invalid":
            yield sentence(label, f" is invalid and takes no part: {refusal.text}")
        elif refusal:
            yield sentence(label, f" was measured in another environment: {refusal.text}.")
    yield from _resultless(comparison)


def ended_text(state: State, reason: str | None) -> str:
    """Return `failed: exit code 3`, `cancelled in trial 2 of 3`, without a point at the end."""
    why = (reason or "no reason is known").rstrip(".")
    return why if why.startswith(state.value) else f"{state.value}: {why}"


def _why_no_other(comparison: Comparison, base: Run) -> str | Sentence:
    kinds = {refusal.kind for refusal in comparison.refusals.values()}
    if "machine" in kinds:
        return "the environments differ."
    if "invalid" in kinds:
        return _listed_invalid(comparison)
    if all(run.resultless or run is base for run in comparison.runs):
        return "no other run left a result."
    names = [
        {stream.name for stream in run.spec.workload.streams}
        for run in runs_with_result(comparison.runs)
    ]
    if not set.intersection(*names):
        return "the runs have no stream of the same name. Give the streams one name and run again."
    return "no other run has finished."


def _listed_invalid(comparison: Comparison) -> Sentence:
    refused = [id_ for id_, refusal in comparison.refusals.items() if refusal.kind == "invalid"]
    labels = [comparison.label(run_id) for run_id in refused]
    return sentence(listed_runs(labels), " is invalid." if len(labels) == 1 else " are invalid.")


def _resultless(comparison: Comparison) -> Iterator[Sentence]:
    """Return a run without a result with its reason; of several the labels alone.

    The run header has the reasons of all.
    """
    ended = [run for run in comparison.runs if run.resultless]
    labels = [comparison.label(run.id) for run in ended]
    if len(ended) == 1:
        yield sentence(*labels, _alone(ended[0], comparison))
    elif ended and len(ended) < len(comparison.runs):
        yield sentence(listed_runs(labels), " left no result and take no part.")


def _alone(run: Run, comparison: Comparison) -> str:
    """Return how the run ended; of a baseline the title says that nothing is set against it."""
    why = ended_text(run.state, run.reason)
    if run.id == comparison.baseline:
        return f" {why}." if run.state is State.FAILED else f" was {why}."
    return f" left no result and takes no part ({why})."


ALIKE = 1.1
"""Up to this ratio answers are called equally large."""


def answer_sizes(comparison: Comparison, stream: str) -> Sentence:
    """Return whose answers are of another size than those of the baseline; () where none is.

    `B answers 27 bytes where A answers 20,000.`
    """
    sizes = {
        run.id: found.bytes_received_per_request
        for run in comparison.runs
        if not invalid(run) and (found := stream_of(run, stream))
    }
    base = sizes.pop(comparison.baseline, None)
    others = [
        (comparison.label(run_id), size)
        for run_id, size in sizes.items()
        if size is not None and base is not None and _apart(size, base)
    ]
    if base is None or not others:
        return ()
    first, *more = (
        sentence(label, " answers ", number(f"{count(size)} bytes")) for label, size in others[:2]
    )
    listed = [sentence(" and ", part) for part in more]
    label = comparison.label(comparison.baseline)
    return sentence(first, *listed, " where ", label, " answers ", number(count(base)), ".")


def _apart(size: float, base: float) -> bool:
    return max(size, base) > ALIKE * min(size, base)


def unlike_cores(comparison: Comparison) -> Sentence:
    """Return whose targets shared their cores with the client and whose did not; () where all are
    alike, or their specs say so.
    """
    runs = [run for run in runs_with_result(comparison.runs) if not invalid(run)]
    labels: dict[str, list[RunLabel]] = {"apart": [], "shared": []}
    for run in runs:
        policy = (run.environment or {}).get("core_policy")
        if policy in labels and run.spec.cores == "auto":
            labels[policy].append(comparison.label(run.id))
    if not all(labels.values()):
        return ()
    return sentence(
        "Their use of cores is not alike: target and client had cores of their own in ",
        listed_runs(labels["apart"]),
        " and shared all in ",
        listed_runs(labels["shared"]),
        ". Give all of them the same cores.",
    )


def unanswered_runs(comparison: Comparison, stream: str) -> Iterator[Sentence]:
    """Yield for each run that lacks answers how many, and how far it is compared."""
    for run in comparison.runs:
        found = stream_of(run, stream)
        times = found.response_time_s if found else None
        if times is None or times.unanswered is None or invalid(run) or not cut_off(times):
            continue
        known = furthest_known(times)
        so = f"nothing beyond {known} is" if known else "no time is"
        yield sentence(
            "In ",
            comparison.label(run.id),
            " ",
            number(unanswered_clause(times.unanswered)),
            f": {so} compared with it.",
        )
