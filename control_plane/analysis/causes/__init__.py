"""The causes of a run: what explains its times, in words, and what would test it.

One pure function judges each cause, in the modules beside this one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from control_plane.analysis.causes.blocked_loop import LOOP_BLOCKED
from control_plane.analysis.causes.connections import CONNECTIONS_ENDED, NEVER_SERVED
from control_plane.analysis.causes.evidence import Evidence
from control_plane.analysis.causes.processor_time import (
    CLIENT_LIMITED,
    GARBAGE_COLLECTION,
    HELD_BACK,
    SERVER_CPU,
)
from control_plane.analysis.causes.workers_and_threads import (
    POOL_EXHAUSTED,
    WORKERS_FULL,
    WORKERS_RECYCLED,
    WORKERS_UNEVEN,
)
from control_plane.analysis.prose import joined
from control_plane.domain.limits import Limits
from control_plane.domain.result import Cause
from control_plane.domain.spec import BUNDLED, RequestClass, Spec, Target
from control_plane.domain.spec_rules import wrong_fields

_IN_ORDER = (
    HELD_BACK,
    LOOP_BLOCKED,
    POOL_EXHAUSTED,
    WORKERS_FULL,
    WORKERS_UNEVEN,
    WORKERS_RECYCLED,
    GARBAGE_COLLECTION,
    SERVER_CPU,
    CLIENT_LIMITED,
    NEVER_SERVED,
    CONNECTIONS_ENDED,
)

CAUSES = {rule.id: rule for rule in _IN_ORDER}
"""Every cause by its id, in the order in which they explain: a blocked loop also leaves
connections unserved."""


def diagnose(evidence: Evidence) -> tuple[Cause, ...]:
    """Return each cause that could be judged: those found, those not decided, those ruled out.

    Empty for a run without trials.
    """
    if not evidence.trials or not evidence.streams:
        return ()
    causes = [cause for rule in _IN_ORDER if (cause := rule.cause(evidence)) is not None]
    server_full = any(cause.found and cause.cause == SERVER_CPU.id for cause in causes)

    def place(cause: Cause) -> tuple[int, bool]:
        # Threads wait for a full processor, and requests for the threads.
        follows = server_full and cause.cause in {POOL_EXHAUSTED.id, WORKERS_FULL.id}
        return (True, None, False).index(cause.found), follows

    return tuple(sorted(causes, key=place))


def cause_clause(cause: Cause) -> str:
    """Return what was found, to stand in a sentence: `the event loop was blocked 53 % of …`."""
    return CAUSES[cause.cause].found(cause.evidence)


def none_found(causes: Sequence[Cause]) -> str:
    """Return that nothing was at its limit, and what was not watched.

    Empty where a cause was found, or one could not be decided.
    """
    if any(cause.found is not False for cause in causes):
        return ""
    judged = {cause.cause for cause in causes}
    unseen = [rule.watched for rule in _IN_ORDER if rule.watched and rule.id not in judged]
    if not unseen:
        return "Nothing that was watched was at its limit."
    return f"Nothing that was watched was at its limit. Not watched: {joined(unseen)}."


THREAD, AWAITED, PROCESS = "in a thread", "awaited", "in another process"

Siblings = Mapping[str, Mapping[str, str]]
"""The path of an endpoint that does the same in another way, by the path and that way."""

UNBLOCKED: Siblings = {
    "/movies/sync/": {THREAD: "/movies/thread/", AWAITED: "/movies/"},
    "/sync-movie/": {THREAD: "/movies/thread/", AWAITED: "/movies/"},
    "/blocking-delay/": {THREAD: "/sync-delay/", AWAITED: "/async-delay/"},
    "/users/blocking/": {THREAD: "/users/thread/", AWAITED: "/users/"},
    "/payloads/model": {THREAD: "/payloads/thread", "read in chunks": "/payloads/stream"},
    "/process-data/loop/": {THREAD: "/process-data/", PROCESS: "/process-data/process/"},
    "/process-data/inline/": {PROCESS: "/process-data/process/"},
    "/e1/p2": {AWAITED: "/e1/p3"},
    "/e2/p2": {THREAD: "/e2/p1", AWAITED: "/e2/p3"},
}
UNPOOLED: Siblings = {
    "/movies/thread/": {AWAITED: "/movies/"},
    "/movies/with-blocking-log/": {AWAITED: "/movies/with-log/"},
    "/sync-delay/": {AWAITED: "/async-delay/"},
    "/users/thread/": {AWAITED: "/users/"},
    "/performance/sync": {AWAITED: "/performance/async"},
    "/e2/p1": {AWAITED: "/e2/p3"},
}
LIGHTER_CLIENT = {"blocking": "async", "threaded": "async", "httpx": "async", "async": "raw"}


@dataclass(frozen=True)
class Remedy:
    """A spec that would test a cause.

    `key` names it in an address; `label` in a link: `4 workers`, `awaited`.
    """

    key: str
    label: str
    spec: Spec


def remedies(spec: Spec, causes: Sequence[Cause], limits: Limits) -> tuple[Remedy, ...]:
    """Return the remedies of the causes that were found, each once.

    Without those that server or client cannot have, or that are beyond the limits.
    """
    found = {cause.cause for cause in causes if cause.found}
    started = spec.target.started
    every = [
        *_at_sibling_endpoints(spec, UNBLOCKED if "loop_blocked" in found else {}),
        *_at_sibling_endpoints(spec, UNPOOLED if "pool_exhausted" in found else {}),
        *(_with_server_settings(spec, started, found) if started else ()),
        *(_with_client(spec) if "client_limited" in found else ()),
    ]
    wrong = _wrong(spec, limits)
    possible = [remedy for remedy in every if wrong.issuperset(_wrong(remedy.spec, limits))]
    return tuple({remedy.key: remedy for remedy in possible}.values())


def _wrong(spec: Spec, limits: Limits) -> set[str]:
    return {error.field for error in wrong_fields(spec, limits)}


def _at_sibling_endpoints(spec: Spec, siblings: Siblings) -> Iterator[Remedy]:
    """Return the spec with each sibling of its endpoints, which the bundled application alone has.

    Every request class moves that has one.
    """
    if spec.target.application != BUNDLED:
        return
    paths = [request.path for stream in spec.workload.streams for request in stream.requests]
    for start, ways in siblings.items():
        if any(path.startswith(start) for path in paths):
            for way, instead in ways.items():
                key = "path-" + way.replace(" ", "-")
                yield Remedy(key, way, _with_path(spec, start, instead))


def _with_path(spec: Spec, start: str, instead: str) -> Spec:
    def redirected(request: RequestClass) -> RequestClass:
        if not request.path.startswith(start):
            return request
        return replace(request, path=instead + request.path.removeprefix(start))

    streams = tuple(
        replace(stream, requests=tuple(map(redirected, stream.requests)))
        for stream in spec.workload.streams
    )
    return replace(spec, workload=replace(spec.workload, streams=streams))


def _with_server_settings(spec: Spec, target: Target, found: set[str]) -> Iterator[Remedy]:
    """Return other settings of a server that we start; None marks what it does not have."""

    def with_target(key: str, label: str, **change: Any) -> Remedy:
        return Remedy(key, label, replace(spec, target=replace(target, **change)))

    workers, threads = target.workers, target.threads
    # More threads do not help where the processor is full.
    if found & {"pool_exhausted", "workers_full"} and "server_cpu" not in found and threads:
        yield with_target("threads", f"{4 * threads} threads", threads=4 * threads)
    if found & {"loop_blocked", "server_cpu", "workers_full"} and workers is not None:
        yield with_target("workers", f"{2 * workers} workers", workers=2 * workers)
    if "workers_uneven" in found and target.reuse_port:
        yield with_target("reuse-port", "without reuse port", reuse_port=False)
    if "never_served" in found and target.loop == "uvloop":
        yield with_target("loop", "asyncio in place of uvloop", loop="asyncio")


def _with_client(spec: Spec) -> Iterator[Remedy]:
    if not spec.client.reuse_connections:
        reusing = replace(spec, client=replace(spec.client, reuse_connections=True))
        yield Remedy("reuse", "reused connections", reusing)
    lighter = LIGHTER_CLIENT.get(spec.client.strategy)
    if lighter:
        changed = replace(spec, client=replace(spec.client, strategy=lighter))
        yield Remedy("strategy", f"client {lighter}", changed)
    processes = 2 * spec.client.processes
    divided = replace(spec, client=replace(spec.client, processes=processes))
    yield Remedy("processes", f"{processes} client processes", divided)


@dataclass(frozen=True)
class Advice:
    """Where blocking code stands. `place` is where the loop stood, empty where no stack told;
    `path` is empty where a load has several request classes.
    """

    place: str
    path: str


def advice(spec: Spec, causes: Sequence[Cause]) -> Advice | None:
    """Return where the code stands that blocked the loop.

    None where it was not blocked, or another endpoint does the same without that.
    """
    blocked = [cause for cause in causes if cause.found and cause.cause == "loop_blocked"]
    if not blocked or spec.target.started is None:
        return None
    paths = [request.path for stream in spec.workload.streams for request in stream.requests]
    if spec.target.application == BUNDLED and any(
        path.startswith(tuple(UNBLOCKED)) for path in paths
    ):
        return None
    place = str(blocked[0].evidence.get("frame") or "")
    return Advice(place, paths[0] if len(paths) == 1 else "")
