"""What a server or the system does wrong, and the class that every strategy gives it."""

import asyncio
import errno
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import Any

import pytest

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.stream_record import ERROR_CLASSES, StreamRecord
from control_plane.load.outcome import (
    classify,
    count_by_class,
    error_class,
    failure,
    response_outcome,
)
from tests.forked import FORKED
from tests.load.endings_table import ENDINGS, documented, row
from tests.load.fault_driver import (
    EXPECTING,
    LIMIT_BYTES,
    NO_FILES,
    REQUESTS,
    TIMEOUT_S,
    drive_each,
)
from tests.load.hostile import hostile_server
from tests.load.workers import completed, plan_of, record_of

MEMORY_BYTES = 200_000_000
"""A worker of the tests is forked from a process that has imported all of the product."""
PATIENCE_S = 60
DEADLINES_S = (1.0, 4.0, 16.0)
"""Of a load in which some requests wait for it: a busy machine is given longer."""
LATE_S = 8.0
"""On a busy machine; what the server sends lasts 20 s, or has no end."""

# None: completed.
EXPECTED = {
    "ok": None,
    "until-close": None,
    "no-content": None,
    "gzip-bomb": None,
    "surplus": None,
    "hints-first": None,
    "newlines-alone": None,
    "length-and-chunks": None,
    "spaced-name": None,
    "folded-header": None,
    "http-1-2": None,
    "http-2-0": None,
    "empty": "disconnected",
    "cut-status": "disconnected",
    "cut-headers": "disconnected",
    "truncated": "truncated",
    "truncated-chunk": "truncated",
    "missing-chunk": "truncated",
    "bad-chunk": "protocol",
    "two-lengths": "protocol",
    "signed-length": "protocol",
    "negative-length": "protocol",
    "same-length-twice": "protocol",
    "listed-length": "protocol",
    "empty-line": "protocol",
    "chunk-without-end": "protocol",
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
    "other-content": "content",
}
# http.client ends a head where the connection ends, and takes any 1xx but 100 for the answer; h11
# looks at a head when all of it came. llhttp, which aiohttp and httptools use, is stricter.
EXCEPTIONS = {
    ("cut-headers", "threaded"): None,
    ("cut-headers", "blocking"): None,
    ("early-hints", "threaded"): "status",
    ("early-hints", "blocking"): "status",
    ("not-http", "httpx"): "disconnected",
    ("surplus", "async"): "protocol",
    ("hints-first", "threaded"): "status",
    ("hints-first", "blocking"): "status",
    ("newlines-alone", "raw"): "protocol",
    ("length-and-chunks", "async"): "protocol",
    ("length-and-chunks", "raw"): "protocol",
    ("spaced-name", "httpx"): "protocol",
    ("spaced-name", "raw"): "protocol",
    ("folded-header", "raw"): "protocol",
    ("http-1-2", "async"): "protocol",
    ("http-1-2", "raw"): "protocol",
    ("http-2-0", "threaded"): "protocol",
    ("http-2-0", "blocking"): "protocol",
    ("same-length-twice", "httpx"): None,
    ("listed-length", "httpx"): None,
    ("empty-line", "async"): "timeout",
    ("empty-line", "raw"): "timeout",
    ("chunk-without-end", "threaded"): None,
    ("chunk-without-end", "blocking"): None,
}
CASES = [(fault, strategy) for fault in EXPECTED for strategy in STRATEGIES]

Found = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def found() -> Found:
    """By strategy and fault, what the driver tells; each strategy has a process of its own."""
    with hostile_server() as server, ExitStack() as stack:
        drivers = [stack.enter_context(_driver(strategy, server.url)) for strategy in STRATEGIES]
        told = [driver.recv() for driver in drivers if driver.poll(PATIENCE_S)]
    return dict(zip(STRATEGIES, told, strict=True))


@contextmanager
def _driver(strategy: str, url: str) -> Iterator[Connection]:
    """What it tells comes out of the connection."""
    told, telling = FORKED.Pipe(duplex=False)
    faults = (*EXPECTED, NO_FILES)
    process = FORKED.Process(target=drive_each, args=(strategy, url, faults, telling))
    with told:
        process.start()
        telling.close()
        try:
            yield told
            # It ends by itself: only then is told which lines of it were run.
            process.join(PATIENCE_S)
        finally:
            process.kill()
            process.join()


@pytest.mark.parametrize(("fault", "strategy"), CASES)
def test_the_same_fault_has_the_same_class(found: Found, fault: str, strategy: str) -> None:
    told = found[strategy][fault]
    expected = EXCEPTIONS.get((fault, strategy), EXPECTED[fault])
    assert told["errors"] == ({expected: REQUESTS} if expected else {})
    assert told["completed"] == (0 if expected else REQUESTS)


@pytest.mark.parametrize("fault", EXPECTED)
def test_the_document_says_how_it_is_classed(found: Found, fault: str) -> None:
    classes = {
        strategy: next(iter(told[fault]["errors"]), "completed") for strategy, told in found.items()
    }
    assert row(fault, classes) in documented()


def test_the_document_has_no_other_rows() -> None:
    assert len(documented()) == len(ENDINGS)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_bodies_cost_no_memory(found: Found, strategy: str) -> None:
    """Neither huge ones nor endless ones nor those that would unpack to be so."""
    assert found[strategy][""]["peak_memory_bytes"] < MEMORY_BYTES


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("fault", ["slow-headers", "slow-body", "silence"])
def test_the_deadline_ends_what_the_server_does_not(
    found: Found, fault: str, strategy: str
) -> None:
    """In requests too, which knows no deadline for a whole request."""
    took_s = found[strategy][fault]["duration_s"]
    assert TIMEOUT_S * REQUESTS <= took_s < TIMEOUT_S * REQUESTS + LATE_S


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_statuses_are_those_of_whole_answers(found: Found, strategy: str) -> None:
    told = found[strategy]
    assert told["server-error"]["statuses"] == {"500": REQUESTS}
    assert told["redirect"]["statuses"] == {"302": REQUESTS}
    assert told["truncated"]["statuses"] == {}
    assert told["other-content"]["statuses"] == {"200": REQUESTS}


Mixed = tuple[Counter[str], Counter[str], int]
"""What requests came to, what they should have, and the most memory that it took."""


@pytest.fixture(scope="module")
def mixed() -> dict[str, Mixed]:
    """By strategy, all faults in one load."""
    return asyncio.run(_all_mixed())


async def _all_mixed() -> dict[str, Mixed]:
    """At once: they wait for their deadlines most of the time."""
    found = await asyncio.gather(*(_mixed(strategy) for strategy in STRATEGIES))
    return dict(zip(STRATEGIES, found, strict=True))


async def _mixed(strategy: str) -> Mixed:
    for deadline_s in DEADLINES_S:
        record, requests = await _mixed_within(strategy, deadline_s)
        expected: Counter[str] = Counter()
        for fault, name in EXPECTED.items():
            expected[EXCEPTIONS.get((fault, strategy), name) or "completed"] += requests[fault]
        expected["reset"] -= record.sent_again
        came_to = Counter({**record.errors, "completed": completed(record)})
        if came_to["timeout"] <= expected["timeout"]:
            break
    return came_to, expected, record.peak_memory_bytes


async def _mixed_within(strategy: str, deadline_s: float) -> tuple[StreamRecord, Counter[str]]:
    users = 1 if STRATEGIES[strategy].alone else 8
    with hostile_server() as server:
        plan = plan_of(
            server.url,
            requests=[{"path": f"/{fault}", **EXPECTING.get(fault, {})} for fault in EXPECTED],
            strategy=strategy,
            client={"session": "shared", "max_body_bytes": LIMIT_BYTES},
            load={"model": "closed", "concurrency": users},
            stop={"requests": 30 if users == 1 else 100},
            timeout_s=deadline_s,
        )
        return await record_of(plan), Counter(server.requests)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_fault_spoils_the_next_request(mixed: dict[str, Mixed], strategy: str) -> None:
    """Whose users share connections: each request gets its own answer.

    What was reset on a kept connection before it was answered went out twice.
    """
    came_to, expected, peak_memory_bytes = mixed[strategy]
    assert came_to == expected
    assert peak_memory_bytes < MEMORY_BYTES


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_nobody_listens(server, strategy: str) -> None:
    server.close()
    record = await record_of(plan_of(server.url, strategy=strategy, stop={"requests": 3}))
    assert record.errors == {"refused": 3}
    assert record.new_connections == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_more_files_can_be_opened(found: Found, strategy: str) -> None:
    assert found[strategy][NO_FILES]["errors"] == {"no_files": REQUESTS}


def test_no_local_port_is_left() -> None:
    """In a network namespace whose only port is taken."""
    alone = ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("this system gives no network namespace")
    command = [*alone, sys.executable, "-m", "tests.load.portless", *STRATEGIES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    told = {strategy: result["errors"] for strategy, result in json.loads(done.stdout).items()}
    assert told == {strategy: {"no_local_port": REQUESTS} for strategy in STRATEGIES}


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


@pytest.mark.parametrize(
    ("status", "expected", "error"),
    [
        (200, None, None),
        (204, None, None),
        (299, None, None),
        (300, None, "status"),
        (304, None, "status"),
        (302, None, "redirect"),
        (308, None, "redirect"),
        (404, None, "status"),
        (302, {302}, None),
        (404, {404, 410}, None),
        (200, {404}, "status"),
        (301, {302}, "redirect"),
    ],
)
def test_the_expected_status_decides(status: int, expected: set[int] | None, error: str) -> None:
    outcome, *sizes = response_outcome(status, frozenset(expected) if expected else None, 7, 9)
    assert error_class(outcome) == error
    assert (outcome >> 4, sizes) == (status, [7, 9])


@pytest.mark.parametrize("name", ERROR_CLASSES)
def test_each_class_has_a_number_of_its_own(name: str) -> None:
    assert failure(name, 3)[1:] == (3, 0)
    assert error_class(failure(name, 3)[0]) == error_class(failure(name, 3, 4, 599)[0]) == name


def test_counts_add_up() -> None:
    pairs = [
        (response_outcome(200, None, 0, 1)[0], 5),
        (response_outcome(201, None, 0, 1)[0], 2),
        (response_outcome(500, None, 0, 1)[0], 3),
        (failure("reset", 0)[0], 4),
    ]
    assert count_by_class(pairs) == ({"status": 3, "reset": 4}, {"200": 5, "201": 2, "500": 3})
