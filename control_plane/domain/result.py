"""What a run found. Times are in seconds, sizes in bytes; None means not measured, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from control_plane.domain.stream_record import FailedResponse
from control_plane.domain.times_and_percentiles import Times, begins_early


@dataclass(frozen=True)
class Censored:
    """Requests in flight when the window ended, with their ages from the intended start.

    `unserved`: those that were in flight during the whole window; None where it was not counted.
    `awaited_s`: for so long after the window they were still awaited, which their ages hold too.
    `unanswered`: how many count as requests without an answer, of the mean age
    `unanswered_age_s`; None where their ages were not kept.
    """

    count: int = 0
    mean_age_s: float | None = None
    max_age_s: float | None = None
    unserved: int | None = None
    awaited_s: float = 0.0
    unanswered: int | None = None
    unanswered_age_s: float | None = None


@dataclass(frozen=True)
class EarlyRequests:
    """What ended before the window, in ramp-up and warm-up; nothing else counts these requests."""

    requests: int
    errors: Mapping[str, int]


@dataclass(frozen=True)
class BegunAnswers:
    """Answers of which a byte came: `count` of the requests that ended, however they did.

    Those of `timeouts` had no end by their deadline, those of `in_flight` none when the window
    ended; the latter are among the `unanswered` of what was censored. `open_ends`: the media types
    of those that told no end when they began, by the place of their request class.
    """

    count: int = 0
    timeouts: int = 0
    in_flight: int = 0
    open_ends: Mapping[str, str] = field(default_factory=dict)

    @property
    def unfinished(self) -> int:
        """How many began and had no end."""
        return self.timeouts + self.in_flight


@dataclass(frozen=True)
class SendLag:
    """Actual minus intended start; only where a schedule set the intended start."""

    p50: float
    p99: float
    max: float


@dataclass(frozen=True)
class Summary:
    """One stream over one window, or over the merged windows of a run's trials.

    `drift_share`: how much the one-second medians of the response time rose over the window, as a
    share of their median; None for merged trials and for short windows.
    `silent_s`: for so many whole seconds before the end of the window requests waited and none was
    answered, in the worst trial; None where it was not kept.
    `failed_share`: errors, requests without an answer when the window ended and those never sent,
    of these and the completed ones; None of none.
    `bytes_received_per_request`: the mean size of the bodies of all answers. `before_window` None:
    not counted. `first_byte_time_s` holds all answers that began; it and `begun` are None in runs
    from before they were measured.
    """

    name: str
    requests: int
    completed: int
    errors: Mapping[str, int]
    statuses: Mapping[str, int]
    censored: Censored
    intended: int
    sent: int
    not_sent: int
    send_lag_s: SendLag | None
    duration_s: float
    throughput_per_s: float
    error_share: float | None
    bytes_sent: int
    bytes_received: int
    service_time_s: Times | None
    response_time_s: Times | None
    cpu_s_per_request: float | None = None
    peak_memory_bytes: int | None = None
    drift_share: float | None = None
    bytes_received_per_request: float | None = None
    before_window: EarlyRequests | None = None
    silent_s: float | None = None
    first_byte_time_s: Times | None = None
    begun: BegunAnswers | None = None
    failed_share: float | None = None

    @property
    def failed(self) -> int:
        """How many requests had an error, no answer when the window ended, or were never sent."""
        unanswered = self.censored.unanswered or 0
        return sum(self.errors.values()) + unanswered + max(0, self.not_sent)

    @property
    def begins_early(self) -> bool:
        """Whether its answers begin so long before their end that both are shown."""
        first, whole = self.first_byte_time_s, self.service_time_s
        return begins_early(first.p50 if first else None, whole.p50 if whole else None)


@dataclass(frozen=True)
class SecondColumns:
    """The requests that ended in each of some seconds: one value of a column for each second.

    The percentiles are those of the response time, None where nothing completed or where they lie
    beyond the share that had an answer. `body_bytes`: the mean size of an answer's body, None
    without one; empty in runs whose seconds had no sizes.
    """

    completed: tuple[int, ...]
    errors: tuple[int, ...]
    p50: tuple[float | None, ...]
    p95: tuple[float | None, ...]
    p99: tuple[float | None, ...]
    body_bytes: tuple[float | None, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class WarmUp(SecondColumns):
    """The seconds before the window, which opens where the last one ends.

    `length_s` is that of all of them: the first may be shorter. While a warm-up is under way its
    last seconds, `to_come`, have no values yet. No number of the window counts these requests.
    """

    length_s: float
    to_come: int = 0


@dataclass(frozen=True)
class Timeline(SecondColumns):
    """The seconds of the window.

    The last second may be shorter: `last_s` is its length.
    `warmup` is None where the load before the window was another one, or none. `opens_s`: how long
    after the first window of its trial this one opened.
    """

    last_s: float
    warmup: WarmUp | None = None
    opens_s: float = 0.0


@dataclass(frozen=True)
class Throttling:
    """How the kernel held back a group of processes that may use `quota_cores` on average.

    In `throttled` of the `periods` of the window the group had spent its time early and stood
    still, `throttled_s` in all; with several cores at once this may exceed the window.
    """

    quota_cores: float
    periods: int
    throttled: int
    throttled_s: float

    @property
    def share(self) -> float:
        """The share of the periods in which the group stood still."""
        return self.throttled / self.periods if self.periods else 0.0


@dataclass(frozen=True)
class MachineUse:
    """What the machine did beside target and client in one trial, from opening to closing.

    Cores: `programs` the busiest others by name, `stolen_cores` what the host gave away,
    `control_cores` Looplab's pages. `overheated`: slowdowns for heat; `frequency_hz`: mean at end.
    """

    programs: Mapping[str, float] = field(default_factory=dict)
    stolen_cores: float | None = None
    overheated: int | None = None
    frequency_hz: float | None = None
    control_cores: float | None = None


@dataclass(frozen=True)
class TargetUse:
    """What the target did in one trial.

    `restarts`: workers that ended since it was ready, replaced or not; of these `recycled` had
    reached the number of requests after which their server ends a worker (None: not watched).
    `cpu_s` was used within `watched_s`, from the first window's start to the last one's end.
    `delayed_ack_s`: how much longer responses took whose head was acknowledged late, as is usual,
    than those whose head was acknowledged at once, before any load.
    `killed_after_s`: how long it had to end after its trial; None where it ended by then.
    `host` is the Host that requests carried; None in runs from before it was kept. `code`: commit
    and digest of changes, None where not known. A target of others has address and host only.
    """

    address: str
    host: str | None = None
    ready_s: float | None = None
    workers: int | None = None
    restarts: int | None = None
    recycled: int | None = None
    cpu_s: float | None = None
    watched_s: float | None = None
    cores: tuple[int, ...] | None = None
    log: tuple[str, ...] = ()
    delayed_ack_s: float | None = None
    throttling: Throttling | None = None
    killed_after_s: float | None = None
    code: str | None = None


@dataclass(frozen=True)
class ClientUse:
    """What the load workers did in one trial.

    `busiest_cpu_share`: CPU time over window of the busiest load worker, spinning excluded.
    `connections`: for each stream the most that were open or being made at once,
    `new_connections` those established in its window, `sent_again` the requests that went out a
    second time because their kept connection was closed, `read_enough` those whose connection the
    client closed because it had read enough; all are empty in runs from before they were counted.
    `in_flight`: for each stream the mean number of requests in flight over its window.
    `other_cpu`: cores used outside our processes. `little_ratio`: for each closed stream that
    stops by duration, the sum of times in the system inside the window over window times users,
    those who think not counted. `requests_before`: how many were sent before the load, which are in
    no other number.
    """

    busiest_cpu_share: float
    cpu_s: float
    peak_memory_bytes: int
    connections: Mapping[str, int]
    new_connections: Mapping[str, int] = field(default_factory=dict)
    sent_again: Mapping[str, int] = field(default_factory=dict)
    read_enough: Mapping[str, int] = field(default_factory=dict)
    in_flight: Mapping[str, float] = field(default_factory=dict)
    other_cpu: float | None = None
    little_ratio: Mapping[str, float] = field(default_factory=dict)
    cores: tuple[int, ...] | None = None
    priority: str | None = None
    throttling: Throttling | None = None
    requests_before: int = 0


@dataclass(frozen=True)
class Trial:
    """One freshly started target, one warm-up, one window, and the first of what failed in it."""

    block: int
    started_at: str
    streams: tuple[Summary, ...]
    target: TargetUse
    client: ClientUse
    machine: MachineUse | None = None
    failures: tuple[FailedResponse, ...] = ()


@dataclass(frozen=True)
class Reason:
    """What a gate found. `level` ok means that it is silent."""

    gate: str
    level: Literal["ok", "suspect", "invalid"]
    text: str
    value: float | None
    limit: float | None


ValidityOutcome = Literal["valid", "suspect", "invalid"]
OUTCOMES: tuple[ValidityOutcome, ...] = get_args(ValidityOutcome)


@dataclass(frozen=True)
class Validity:
    """What the gates found. `reasons` holds those that fired, worst first.

    `outcome` None: no gate was judged.
    """

    outcome: ValidityOutcome | None
    reasons: tuple[Reason, ...] = ()
    judged: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Cause:
    """What explains the times of a run, or was ruled out (`found` False), or neither (None).

    `text` is one sentence with its number. `evidence` holds the numbers by name.
    """

    cause: str
    text: str
    evidence: Mapping[str, int | float | str | None]
    found: bool | None = True


@dataclass(frozen=True)
class Progress:
    """Where an unfinished run stands: `share` from 0 to 1 of the run, `remaining_s` estimated.

    `awaited`: open requests without an answer after the window.
    """

    phase: str
    trial: int
    trials: int
    share: float
    remaining_s: float | None
    queue_position: int | None
    awaited: int = 0


Environment = Mapping[str, Any]
"""Facts about machine and versions, by name; a value is text, a number or a list of them."""
