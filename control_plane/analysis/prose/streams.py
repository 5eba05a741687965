"""What the streams of a comparison add to its sentence, which speaks of one of them."""

import math
from collections.abc import Iterator

from control_plane.analysis.aligned import with_result
from control_plane.analysis.comparison import PRIMARY, Comparison, Row
from control_plane.analysis.labels import RunLabel
from control_plane.analysis.prose.ratio import MARGIN, clause, contenders, requests_of
from control_plane.analysis.prose.sentence import Sentence, sentence, together
from control_plane.domain.loads import Open

MOST = 2
"""More clauses than this make no sentence; more names explain nothing."""


def other_requests(comparison: Comparison) -> Sentence:
    """Where runs are compared whose only streams have different names and requests."""
    able = [run for run in with_result(comparison.given) if run.id in comparison.lone]
    named: dict[str, list[RunLabel]] = {}
    for run in able:
        named.setdefault(comparison.lone[run.id], []).append(comparison.label(run.id))
    asked = [run.spec.workload.streams[0].requests for run in able]
    if len(named) < 2 or all(one == asked[0] for one in asked):
        return ()
    if len(named) > MOST + 1:
        return sentence("Different requests are compared, as the names of their streams say.")
    parts = [sentence(f"{name} in ", together(labels)) for name, labels in named.items()]
    spaced = [sentence(", ", one) if index else one for index, one in enumerate(parts)]
    return sentence("Different requests are compared: ", *spaced, ".")


def disagreement(comparison: Comparison, row: Row) -> Sentence:
    """Other streams in which a run of the sentence does not fare as in that of `row`."""
    found = list(_turned(comparison, row))
    if not found:
        return ()
    base = comparison.label(comparison.baseline)
    clauses = [
        clause(label, ratio, f"{requests_of(comparison, stream)} per second", base)
        for stream, label, ratio in found[:MOST]
    ]
    spaced = [sentence("; ", one) if index else one for index, one in enumerate(clauses)]
    left = len(found) - MOST
    more = f"; {left} more differ{'s' if left == 1 else ''}" if left > 0 else ""
    return sentence("Streams disagree: ", *spaced, f"{more}.")


def _turned(comparison: Comparison, row: Row) -> Iterator[tuple[str, RunLabel, float]]:
    """For each stream the first run that fares otherwise."""
    spoken = contenders(comparison, row)
    for stream in comparison.streams:
        ratios = comparison.row(stream, PRIMARY).ratios
        for label, ratio in {one[0].id: one for one in (spoken[0], spoken[-1])}.values():
            other = ratios[label.id]
            if other is None or _planned(comparison, label, stream, other):
                continue
            if _way(other) != _way(ratio):
                yield stream, label, other
                break


def _way(ratio: float) -> int:
    """1 for more, -1 for less, 0 for as good as the same."""
    size = math.log(ratio)
    return 0 if abs(size) <= MARGIN else int(math.copysign(1, size))


def _planned(comparison: Comparison, label: RunLabel, stream: str, ratio: float) -> bool:
    """Both sides follow a schedule, and kept it: their rates say nothing."""
    loads = [
        one.load
        for run_id in (label.id, comparison.baseline)
        for one in comparison.run(run_id).spec.workload.streams
        if one.name == stream
    ]
    return _way(ratio) == 0 and all(isinstance(load, Open) for load in loads)
