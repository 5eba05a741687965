"""A ratio of throughputs in words: who may stand in the sentence, and how it is said."""

import math

from control_plane.analysis.comparison import Comparison, Row, invalid
from control_plane.analysis.labels import RunLabel
from control_plane.analysis.prose.sentence import Sentence, sentence, times_word

MARGIN = math.log(1.03)
"""Ratios whose logarithm is closer to 0 are of no account."""


def contenders(comparison: Comparison, row: Row) -> list[tuple[RunLabel, float]]:
    """Runs with a ratio to the baseline that may stand in the sentence, the largest ratio first."""
    if invalid(comparison.run(comparison.baseline)):
        return []
    found = [
        (comparison.label(run.id), ratio)
        for run in comparison.runs
        if run.id != comparison.baseline
        and (ratio := row.ratios[run.id]) is not None
        and not invalid(run)
    ]
    return sorted(found, key=lambda one: -one[1])


def clause(contender: RunLabel, ratio: float, requests: str, base: RunLabel) -> Sentence:
    """`requests` are `requests per second`, or those of a stream."""
    if 0.995 <= ratio < 1.005:
        return sentence(contender, f" served as many {requests} as ", base, " here")
    if ratio < 0.5:
        fewer = times_word(1 / ratio)
        return sentence(contender, " served ", fewer, f" fewer {requests} than ", base, " here")
    return sentence(contender, " served ", times_word(ratio), f" the {requests} of ", base, " here")


def briefly(contender: RunLabel, ratio: float, base: RunLabel) -> Sentence:
    """After a clause."""
    if 0.995 <= ratio < 1.005:
        return sentence(contender, " as many as ", base)
    if ratio < 0.5:
        return sentence(contender, " ", times_word(1 / ratio), " fewer")
    return sentence(contender, " ", times_word(ratio))


def requests_of(comparison: Comparison, stream: str) -> str:
    """`requests`; with the name of the stream where there are several."""
    return f"{stream} requests" if len(comparison.streams) > 1 else "requests"
