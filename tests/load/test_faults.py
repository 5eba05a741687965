"""What a server or the system does wrong, and the class that every strategy gives it."""

import asyncio
import errno
from collections import Counter

import pytest

from control_plane.domain.record import StreamRecord
from control_plane.load.faults import classify
from tests.load.hostile import hostile_server
from tests.load.workers import completed, plan_of, record_of

STRATEGIES = ("async", "threaded", "raw")
REQUESTS = 2
AT_ONCE = 4
LIMIT_BYTES = 1_000_000
MEMORY_BYTES = 150_000_000

# None: completed.
EXPECTED = {
    "ok": None,
    "until-close": None,
    "no-content": None,
    "gzip-bomb": None,
    "empty": "disconnected",
    "cut-status": "disconnected",
    "cut-headers": "disconnected",
    "truncated": "truncated",
    "truncated-chunk": "truncated",
    "missing-chunk": "truncated",
    "bad-chunk": "protocol",
    "two-lengths": "protocol",
    "not-http": "protocol",
    "long-header": "protocol",
    "many-headers": "protocol",
    "early-hints": "timeout",
    "slow-headers": "timeout",
    "slow-body": "timeout",
    "silence": "timeout",
    "reset": "reset",
    "reset-in-body": "reset",
    "huge-body": "body_too_large",
    "endless-chunks": "body_too_large",
    "redirect": "redirect",
    "server-error": "status",
}
# http.client ends a head where the connection ends, and takes any 1xx but 100 for the answer.
EXCEPTIONS = {
    ("cut-headers", "threaded"): None,
    ("early-hints", "threaded"): "status",
}
CASES = [(fault, strategy) for fault in EXPECTED for strategy in STRATEGIES]

Records = dict[tuple[str, str], StreamRecord]


@pytest.fixture(scope="module")
def records() -> Records:
    """Every fault with every strategy, a few at a time."""
    return asyncio.run(_all_records())


async def _all_records() -> Records:
    places = asyncio.Semaphore(AT_ONCE)
    with hostile_server() as server:

        async def record(fault: str, strategy: str) -> StreamRecord:
            client = {"strategy": strategy, "max_body_bytes": LIMIT_BYTES}
            stop = {"requests": REQUESTS}
            async with places:
                return await record_of(
                    plan_of(server.url, f"/{fault}", client=client, stop=stop, timeout_s=0.3)
                )

        found = await asyncio.gather(*(record(*case) for case in CASES))
    return dict(zip(CASES, found, strict=True))


@pytest.mark.parametrize(("fault", "strategy"), CASES)
def test_the_same_fault_has_the_same_class(records: Records, fault: str, strategy: str) -> None:
    record = records[fault, strategy]
    expected = EXCEPTIONS.get((fault, strategy), EXPECTED[fault])
    assert record.errors == ({expected: REQUESTS} if expected else {})
    assert completed(record) == (0 if expected else REQUESTS)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("fault", ["huge-body", "endless-chunks", "gzip-bomb"])
def test_bodies_cost_no_memory(records: Records, fault: str, strategy: str) -> None:
    assert records[fault, strategy].peak_memory_bytes < MEMORY_BYTES


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("fault", ["slow-headers", "slow-body", "silence"])
def test_the_deadline_is_kept_to_the_point(records: Records, fault: str, strategy: str) -> None:
    """In requests too, which knows no deadline for a whole request."""
    duration_s = records[fault, strategy].duration_ns / 1e9
    assert 0.3 * REQUESTS <= duration_s < 0.3 * REQUESTS + 0.5


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_statuses_are_those_of_whole_answers(records: Records, strategy: str) -> None:
    assert records["server-error", strategy].statuses == {"500": REQUESTS}
    assert records["redirect", strategy].statuses == {"302": REQUESTS}
    assert records["truncated", strategy].statuses == {}


@pytest.mark.parametrize(
    ("strategy", "users"), [("blocking", 1), ("threaded", 8), ("async", 8), ("raw", 8)]
)
async def test_no_fault_spoils_the_next_request(server, strategy: str, users: int) -> None:
    """All faults in one load, whose users share connections: each request gets its own answer."""
    plan = plan_of(
        server.url,
        requests=[{"path": f"/{fault}"} for fault in EXPECTED],
        client={"strategy": strategy, "session": "shared", "max_body_bytes": LIMIT_BYTES},
        load={"model": "closed", "concurrency": users},
        stop={"requests": 50 if users == 1 else 150},
        timeout_s=0.5,
    )
    record = await record_of(plan)
    expected: Counter[str] = Counter()
    for fault, name in EXPECTED.items():
        rule = "threaded" if strategy == "blocking" else strategy
        expected[EXCEPTIONS.get((fault, rule), name) or "completed"] += server.requests[fault]
    assert {**record.errors, "completed": completed(record)} == expected
    assert record.peak_memory_bytes < MEMORY_BYTES


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_nobody_listens(server, strategy: str) -> None:
    server.close()
    record = await record_of(
        plan_of(server.url, client={"strategy": strategy}, stop={"requests": 3})
    )
    assert record.errors == {"refused": 3}
    assert record.connections == 0


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (errno.EADDRNOTAVAIL, "no_local_port"),
        (errno.EMFILE, "no_files"),
        (errno.ENFILE, "no_files"),
        (errno.ECONNREFUSED, "refused"),
        (errno.ECONNRESET, "reset"),
        (errno.EPIPE, "reset"),
        (errno.ETIMEDOUT, "timeout"),
    ],
)
def test_the_system_says_it_first(number: int, name: str) -> None:
    """Wherever in the chain of wrapped errors it stands."""
    cause = OSError(number, "as the system says")
    wrapped = RuntimeError("of a library", RuntimeError(cause))
    chained = RuntimeError("of another")
    chained.__cause__ = cause
    for error in (cause, wrapped, chained):
        assert classify(error, [(RuntimeError, "truncated")]) == name


def test_types_are_tried_in_their_order() -> None:
    types = [(KeyError, "truncated"), (LookupError, "disconnected")]
    assert classify(KeyError(), types) == "truncated"
    assert classify(IndexError(), types) == "disconnected"
    assert classify(ValueError("what is this"), types) == "protocol"


def test_an_error_that_is_its_own_cause_ends() -> None:
    error = ValueError("round")
    error.__cause__ = error
    assert classify(error, []) == "protocol"
