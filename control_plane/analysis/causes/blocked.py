"""The event loop stood still: one call held it, and every other request waited."""

from control_plane.analysis.causes.evidence import Evidence, Finding, Worker
from control_plane.analysis.causes.frames import Hold, hold, waits
from control_plane.domain.loads import Open, concurrency_of
from control_plane.domain.result import Stall

BLOCKED_SHARE = 0.05
"""From this share of the window on, more than one arrival in twenty finds the loop blocked: p95."""

STALL_S = 0.1
"""asyncio's own debug mode calls a step slow from 0.1 s on (`loop.slow_callback_duration`)."""

FEW_STACKS = 3
"""So many tell one place from chance."""

SHORT_STEP_S = 0.001
"""Handlers below this block nobody by themselves; many of them in a row are a busy server."""


def loop_blocked(evidence: Evidence) -> Finding | None:
    """None where no lag was seen from inside, or where it may be that of a busy machine."""
    workers = [one for one in evidence.workers if _lags(one)]
    if not workers:
        return None
    floor_s = stall_floor_s(evidence)
    share = sum(blocked_s(one, floor_s) for one in workers) / sum(one.window_s for one in workers)
    stalls = [stall for one in workers for stall in held(one, floor_s)]
    place = hold([one for one in stalls if one.stack], evidence.source)
    if share >= BLOCKED_SHARE and evidence.disturbed and not _one_place(place):
        return None
    facts = {
        "blocked_share": share,
        "longest_s": max(longest_s(one, floor_s) for one in workers),
        "stalls": sum(_number(one, floor_s) for one in workers),
        "stacks": place.of,
        "stacks_there": place.count,
        "frame": place.where,
        "workers": evidence.worker_count,
    }
    return Finding("loop_blocked", share >= BLOCKED_SHARE, facts)


def _one_place(place: Hold) -> bool:
    """A process that is kept from running stands still anywhere; code that blocks, in one place."""
    return place.where is not None and place.of >= FEW_STACKS


def stall_floor_s(evidence: Evidence) -> float:
    """How late a loop must be to count as blocked.

    A loop that serves many short requests in turn is as late as one round of them takes; the
    factor two leaves room for rounds that are not even.
    """
    step_s = evidence.streams[0].cpu_s_per_request if evidence.streams else None
    if step_s is None or step_s >= SHORT_STEP_S:
        return STALL_S
    return max(STALL_S, 2 * _users(evidence) * step_s / evidence.worker_count)


def blocked_s(worker: Worker, floor_s: float) -> float:
    """Time inside the window in which the loop of `worker` stood still."""
    if worker.stalls:
        known_s = sum(_inside_s(one, worker) for one in held(worker, floor_s))
        return min(worker.window_s, known_s + _left_out(worker, floor_s)[1])
    late = [min(lag, worker.interval_s) for lag in _lags(worker) if lag >= floor_s]
    return min(worker.window_s, sum(late))


def held(worker: Worker, floor_s: float) -> list[Stall]:
    """Stalls that count: long enough, and not with the loop itself on top of the stack."""
    return [one for one in worker.stalls if one.duration_s >= floor_s and not waits(one.stack)]


def _number(worker: Worker, floor_s: float) -> int:
    return len(held(worker, floor_s)) + _left_out(worker, floor_s)[0]


def _left_out(worker: Worker, floor_s: float) -> tuple[int, float]:
    """Number and seconds of the shorter stalls, of which no stack was kept; they have no other
    floor than the probe's.
    """
    if floor_s > STALL_S:
        return 0, 0.0
    number = worker.series.stalls - len(worker.stalls)
    lasted_s = worker.series.stalled_s - sum(one.duration_s for one in worker.stalls)
    return (number, max(0.0, lasted_s)) if number > 0 else (0, 0.0)


def longest_s(worker: Worker, floor_s: float) -> float:
    """The longest stall that counts; where none does, the longest lag."""
    stalls = [one.duration_s for one in held(worker, floor_s)]
    return max(stalls) if stalls else max(_lags(worker), default=0.0)


def _users(evidence: Evidence) -> int:
    """Requests that can be in flight at once; an open load bounds them too far up to say so."""
    loads = [one.load for one in evidence.spec.workload.streams]
    seen = [number or 0 for one in evidence.workers for number in one.series.in_flight]
    given = sum(concurrency_of(one) for one in loads if not isinstance(one, Open))
    return given + (max(seen, default=0) if any(isinstance(one, Open) for one in loads) else 0)


def _lags(worker: Worker) -> list[float]:
    return [lag for lag in worker.series.loop_lag_s if lag is not None]


def _inside_s(stall: Stall, worker: Worker) -> float:
    end_s = min(stall.at_s + stall.duration_s, worker.window_s)
    return max(0.0, end_s - max(stall.at_s, 0.0))
