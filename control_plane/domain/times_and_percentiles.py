"""How long requests took: percentiles, how far each may be believed, and how they are written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from control_plane.domain.units import NONE, part_of, seconds, share

if TYPE_CHECKING:
    from control_plane.domain.histogram import Histogram

PERCENTILES: dict[str, float] = {
    "p50": 0.5,
    "p90": 0.9,
    "p95": 0.95,
    "p99": 0.99,
    "p999": 0.999,
}


@dataclass(frozen=True)
class Unanswered:
    """Requests without an answer. `share`: of these and the completed ones together.

    No request is waited for longer than `deadline_s`. Of `waited` of them it is known how long they
    were waited for: `mean_wait_s` on average and `max_wait_s` at most.
    """

    count: int = 0
    share: float = 0.0
    deadline_s: float | None = None
    waited: int = 0
    mean_wait_s: float | None = None
    max_wait_s: float | None = None


@dataclass(frozen=True)
class Times:
    """How long requests took, on one clock. Percentiles are those of completed ones, nearest rank.

    `support` counts the samples beyond each percentile. A percentile is None where it lies beyond
    the share of requests that had an answer. Names in `at_least` are lower bounds: they count a
    request without an answer with the time for which it was waited; those of the completed requests
    alone are `completed_mean` and `completed_max` then. `unanswered` None: nobody looked.
    """

    min: float
    mean: float
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p999: float | None
    max: float
    support: Mapping[str, int]
    unanswered: Unanswered | None = None
    at_least: tuple[str, ...] = ()
    completed_mean: float | None = None
    completed_max: float | None = None

    @property
    def mean_of_completed(self) -> float:
        """The mean of the completed requests alone."""
        return self.mean if self.completed_mean is None else self.completed_mean

    @property
    def longest_completed(self) -> float:
        """The time of the slowest completed request."""
        return self.max if self.completed_max is None else self.completed_max

    def percentile(self, name: str) -> float | None:
        """Return a percentile by its name."""
        value: float | None = getattr(self, name)
        return value


FULL, GREYED = 100, 10
"""Samples beyond from which a percentile stands in full, and from which it stands at all."""

SupportLevel = Literal["full", "greyed", "hidden"]

TAILS = (("p99", "one in a hundred"), ("p95", "one in twenty"), ("p90", "one in ten"))


def support_level(beyond: int) -> SupportLevel:
    """Return full from 100 samples beyond, greyed from 10, hidden below."""
    if beyond >= FULL:
        return "full"
    return "greyed" if beyond >= GREYED else "hidden"


def needed_samples(percentile: str) -> int:
    """Return how many samples the percentile needs to be shown at all (`p999`: 10,000)."""
    return round(GREYED / (1 - PERCENTILES[percentile]))


def far_percentile(times: Times) -> tuple[str, str] | None:
    """Return the furthest of p99, p95 and p90 with full support and its share in words, or None."""
    return next((tail for tail in TAILS if percentile_level(times, tail[0]) == "full"), None)


def percentile_level(times: Times | None, name: str) -> SupportLevel:
    """Return how far a percentile may be believed; hidden where it is not known, too."""
    if times is None or times.percentile(name) is None:
        return "hidden"
    return support_level(times.support.get(name, 0))


def furthest_share(samples: "Histogram", beyond: int) -> float:
    """Return the share up to which at least `beyond` samples lie beyond; 0 of too few samples."""
    return max(0.0, 1 - beyond / samples.total) if samples.total else 0.0


NO_ANSWER = "no answer"
"""In a cell that has no room for more."""

AT_LEAST = "≥ "

AT_LEAST_NOTE = (
    f"{AT_LEAST.strip()}: at least so much, because requests without an answer count with the time "
    f"for which they were waited. “{NO_ANSWER}”: so many had none that nothing is known so far out."
)


def cut_off(times: Times | None) -> bool:
    """Whether a percentile is missing because requests had no answer."""
    if times is None or times.unanswered is None or not times.unanswered.count:
        return False
    return any(times.percentile(name) is None for name in PERCENTILES)


def lost(times: Times | None, name: str) -> bool:
    """Whether this percentile is missing because requests had no answer."""
    if times is None or name not in PERCENTILES:
        return False
    return cut_off(times) and times.percentile(name) is None


def bounded(times: Times | None, name: str) -> bool:
    """Whether this number of the times is a lower bound."""
    return times is not None and name in times.at_least


def no_answer_text(found: Unanswered) -> str:
    """Return `no answer within 2 s for 0.8 %`; of few requests `for 1 of 3`."""
    return f"no answer{_until(found)} for {_part(found)}"


def unanswered_clause(found: Unanswered) -> str:
    """Return `0.8 % had no answer within 2 s`; of few requests `1 of 3 had …`."""
    return f"{_part(found)} had no answer{_until(found)}"


def _part(found: Unanswered) -> str:
    return part_of(found.count, round(found.count / found.share)) if found.share else share(0.0)


def _until(found: Unanswered) -> str:
    """Return how long was waited for, where all agree or the deadline passed."""
    waited_s, deadline_s = found.max_wait_s or 0.0, found.deadline_s
    if deadline_s and waited_s >= deadline_s:
        return f" within {seconds(deadline_s)}"
    return " by the end of the window" if found.waited == found.count and found.waited else ""


FIRST_BYTE_APART, FIRST_BYTE_APART_S = 1.1, 0.001
"""From this ratio of the medians and this difference on, the first byte is another moment than the
end: less is the time in which a client reads a short answer."""


def begins_early(first_byte_s: float | None, service_s: float | None) -> bool:
    """Whether answers begin so long before their end that both are shown, by their medians.

    Where none ended, the beginning is all there is.
    """
    if first_byte_s is None:
        return False
    return service_s is None or (
        service_s >= FIRST_BYTE_APART * first_byte_s
        and service_s - first_byte_s >= FIRST_BYTE_APART_S
    )


def written_time(times: Times | None, name: str) -> str:
    """Return a number of the times as text: `1.20 ms`, `≥ 2.00 s`, `no answer`; a dash for none."""
    if lost(times, name):
        return NO_ANSWER
    value = getattr(times, name, None)
    sign = AT_LEAST if bounded(times, name) else ""
    return NONE if value is None else f"{sign}{seconds(value)}"


def furthest_known(times: Times) -> str | None:
    """Return the last percentile that is known, as it is written; None where not even p50 is."""
    known = [name for name in PERCENTILES if times.percentile(name) is not None]
    return known[-1].replace("p999", "p99.9") if known else None
