"""The metrics that runs are compared by."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from control_plane.domain.times_and_percentiles import GREYED, PERCENTILES

Unit = Literal["s", "per_s", "share", "bytes", "s_per_request"]


@dataclass(frozen=True)
class Metric:
    """A number of a stream. `name` as in the API; `label` and `meaning` as people read them.

    `less_is_better` None: neither more nor less is.
    """

    name: str
    unit: Unit
    less_is_better: bool | None
    label: str
    meaning: str


def _time(kind: Literal["service", "response"], key: str, label: str, share: str) -> Metric:
    since = "it was sent" if kind == "service" else "it was meant to start"
    return Metric(
        f"{kind}_time_s.{key}",
        "s",
        less_is_better=True,
        label=f"{label} {kind} time",
        meaning=f"{share.format('completed requests')} from the moment {since} to the end of its "
        "answer.",
    )


def _first_byte(key: str, label: str, share: str) -> Metric:
    return Metric(
        f"first_byte_time_s.{key}",
        "s",
        less_is_better=True,
        label=f"{label} time to first byte",
        meaning=f"{share.format('requests whose answer began')} from the moment it was sent to the "
        "first byte of its answer.",
    )


_POINTS = (
    ("mean", "mean", "The mean of all {},"),
    ("p50", "p50", "Half of the {} took this long or less,"),
    ("p90", "p90", "90 % of the {} took this long or less,"),
    ("p95", "p95", "95 % of the {} took this long or less,"),
    ("p99", "p99", "99 % of the {} took this long or less,"),
    ("max", "maximum", "The slowest of the {},"),
)

METRICS: tuple[Metric, ...] = (
    Metric(
        "throughput_per_s",
        "per_s",
        less_is_better=False,
        label="Throughput",
        meaning="Completed requests for each second of the window.",
    ),
    *(_time("response", key, label, share) for key, label, share in _POINTS),
    *(_time("service", key, label, share) for key, label, share in _POINTS),
    *(_first_byte(key, label, share) for key, label, share in _POINTS),
    Metric(
        "duration_s",
        "s",
        less_is_better=True,
        label="Duration",
        meaning="The length of the window: the measured part of a trial.",
    ),
    Metric(
        "error_share",
        "share",
        less_is_better=True,
        label="Errors",
        meaning="Requests without a valid answer, of all that ended.",
    ),
    Metric(
        "bytes_received_per_request",
        "bytes",
        less_is_better=None,
        label="Answer size",
        meaning="The mean size of an answer’s body, of those that were errors too.",
    ),
    Metric(
        "cpu_s_per_request",
        "s_per_request",
        less_is_better=True,
        label="CPU per request",
        meaning="Processor time of all processes of the target for each completed request.",
    ),
    Metric(
        "peak_memory_bytes",
        "bytes",
        less_is_better=True,
        label="Peak memory",
        meaning="The most resident memory that all processes of the target held together.",
    ),
)

START_TIME = Metric(
    "ready_s",
    "s",
    less_is_better=True,
    label="Start time",
    meaning="From the start of the server to its first whole response, the median of the trials.",
)
"""Followed by trends alone: it is a number of trials, and of no stream."""

TREND_METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (*METRICS, START_TIME) if metric.name != "duration_s"
}
"""What a trend can follow; a duration is summed over the trials, of which runs have any number."""

METRIC: dict[str, Metric] = {metric.name: metric for metric in METRICS}

ERRORS_OR_NO_ANSWER = "Errors or no answer"
JUDGED_METRIC: dict[str, Metric] = METRIC | {
    "error_share": replace(
        METRIC["error_share"],
        label=ERRORS_OR_NO_ANSWER,
        meaning="Errors, requests without an answer at the end of the window and those never sent, "
        "of these and the completed ones.",
    )
}
"""As experiments and objectives judge them: where nobody is answered, nothing is well."""


def stored_number(summary: Mapping[str, Any], metric: str) -> float | None:
    """Return a metric of a summary that is still the JSON which it is stored as.

    None where it is missing, 0 or a bound, or where too few samples say it.
    """
    name, _, part = metric.partition(".")
    value = summary.get(name)
    if part:
        value = _of_times(summary, value, part) if isinstance(value, Mapping) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if value > 0 or name == "error_share" else None


def _of_times(summary: Mapping[str, Any], times: Mapping[str, Any], part: str) -> Any:
    if part in (times.get("at_least") or ()):
        return None
    if part in PERCENTILES and (times.get("support") or {}).get(part, 0) < GREYED:
        return None
    # Older versions did not tell whether requests without an answer leave it.
    failed = summary.get("error_share") or (summary.get("censored") or {}).get("count")
    return None if times.get("unanswered") is None and failed else times.get(part)
