"""Targets made to show what can be seen inside of them."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Literal

import pytest

from control_plane.domain.observations import Gauges, Stall
from control_plane.domain.spec import Target
from tests.targets.sampling import asked, completed, watched
from tests.targets.site import APPLICATIONS, Site, get_json
from tests.targets.test_guard import workers_of

if sys.platform != "linux":
    pytest.skip("targets are started on Linux only", allow_module_level=True)


def line_of(text: str) -> int:
    lines = (APPLICATIONS / "inside.py").read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def at_once(url: str, path: str, times: int, rounds: int = 1) -> Callable[[], None]:
    def work() -> None:
        with ThreadPoolExecutor(times) as pool:
            for _ in range(rounds):
                list(pool.map(lambda send: send(), repeat(asked(url, path), times)))

    return work


def longest(gauges: Gauges) -> Stall:
    return max(gauges.stalls, key=lambda stall: stall.duration_s)


async def test_a_stall_names_the_line_in_which_the_loop_stood_still(site: Site) -> None:
    async with site.running("inside") as started:
        gauges = await watched(
            started, asked(started.url, "/sleep"), lambda seen: completed(seen) == 1
        )
    (worker,), stall = gauges.workers, longest(gauges)
    assert stall.stack[0] == f"inside.py:{line_of('time.sleep(0.3)')} sleep"
    assert not any("looplab_probe" in frame for frame in stall.stack)
    assert stall.worker == worker.pid
    assert stall.samples >= stall.alike >= 1
    assert max(filter(None, worker.loop_lag_s)) == stall.duration_s
    assert worker.stalled_s == pytest.approx(sum(stall.duration_s for stall in gauges.stalls))


async def test_steps_too_short_for_a_stall_are_sampled_at_even_intervals(site: Site) -> None:
    def seen(gauges: Gauges) -> bool:
        return bool(gauges.workers) and gauges.workers[0].samples.at_work >= 3

    async with site.running("inside") as started:
        gauges = await watched(started, asked(started.url, *["/nap"] * 150), seen)
    samples = gauges.workers[0].samples
    line = f"inside.py:{line_of('time.sleep(0.005)')} nap"
    assert line in {frame for stack, _ in samples.places for frame in stack}
    assert samples.stacks >= samples.at_work
    assert samples.cpu_share is not None


async def test_a_loop_that_holds_the_interpreter_is_seen(site: Site) -> None:
    """Nothing of Python runs meanwhile: the reader compares the last beat with its own clock."""

    def parsing(gauges: Gauges) -> list[Stall]:
        return [stall for stall in gauges.stalls if "json/decoder.py" in "".join(stall.stack[:1])]

    async with site.running("inside") as started:
        held = await watched(started, asked(started.url, "/hold"), lambda seen: bool(parsing(seen)))
    (stall,) = parsing(held)
    assert f"inside.py:{line_of('json.loads(LARGE)')} hold" in stall.stack


async def test_a_full_pool_shows_who_waits(site: Site) -> None:
    def full(seen: Gauges) -> bool:
        (worker,) = seen.workers
        found = zip(worker.tokens_busy, worker.tokens_waiting, worker.in_flight, strict=True)
        return worker.tokens_total == 2 and (2, 3, 5) in found

    async with site.running("inside") as started:
        await watched(started, at_once(started.url, "/thread", 5), full)
        ended = await watched(started, asked(started.url, "/"), lambda seen: completed(seen) > 0)
    assert ended.workers[0].tokens_busy[-1] == ended.workers[0].in_flight[-1] == 0


Http = Literal["httptools", "h11"]
BOTH = pytest.mark.parametrize("http", ["httptools", "h11"])


@BOTH
async def test_collections_and_requests_are_counted(site: Site, http: Http) -> None:
    """One that fails is over, and so is one whose application goes on after the answer."""
    paths = ["/", "/collect", "/fail", "/after", "/"]
    async with site.running("inside", Target(http=http)) as started:
        gauges = await watched(
            started, asked(started.url, *paths), lambda seen: completed(seen) == len(paths)
        )
        assert not any("looplab_probe" in line for line in started.log())
    (worker,) = gauges.workers
    assert worker.in_flight[-1] == 0
    assert sum(spent or 0 for spent in worker.gc_s) > 0.001


@BOTH
async def test_a_request_whose_client_has_gone_is_over(site: Site, http: Http) -> None:
    def in_flight(number: int) -> Callable[[Gauges], bool]:
        return lambda seen: seen.workers[0].in_flight[-1:] == (number,)

    async with site.running("inside", Target(http=http)) as started:
        get_json(started.url, "/")
        request = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
        with socket.create_connection((started.host, started.port)) as client:
            await watched(started, lambda: client.sendall(request), in_flight(1))
            await watched(started, client.close, in_flight(0))


@BOTH
async def test_requests_of_one_piece_and_one_that_fails_in_mid_answer_are_counted(
    site: Site, http: Http
) -> None:
    three = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"GET /half HTTP/1.1\r\nHost: x\r\n\r\n"

    def over(seen: Gauges) -> bool:
        return completed(seen) == 4 and seen.workers[0].in_flight[-1] == 0

    async with site.running("inside", Target(http=http)) as started:
        get_json(started.url, "/")
        with socket.create_connection((started.host, started.port)) as client:
            await watched(started, lambda: client.sendall(three), over)


async def test_answers_of_a_round_that_blocks_show_before_it_ends(site: Site) -> None:
    """All requests have begun before, and no beat comes meanwhile."""
    async with site.running("inside") as started:
        work = at_once(started.url, "/late", 6)
        await watched(started, work, lambda seen: 0 < completed(seen) < 6)


async def test_an_alarm_of_the_application_is_its_own(site: Site) -> None:
    async with site.running("inside") as started:
        get_json(started.url, "/set")
        gauges = await watched(
            started, asked(started.url, "/sleep"), lambda seen: completed(seen) == 1
        )
        assert get_json(started.url, "/alarm") == [0, True]
    assert longest(gauges).stack[0].endswith(" sleep")


async def test_a_probe_that_cannot_write_does_no_harm(site: Site) -> None:
    async with site.running("spoiling") as started:
        assert get_json(started.url, "/sleep") == []
        gauges = await watched(started, asked(started.url, "/"), lambda _: True)
        assert started.failure() is None
    assert (gauges.workers, gauges.stalls) == ((), ())


async def test_a_worker_that_died_is_not_late(site: Site) -> None:
    """Its place is taken by another; a loop that is gone owes no beats."""
    async with site.running("inside", Target(workers=2)) as started:
        before = workers_of(started)
        victim = min(before)

        def replaced(seen: Gauges) -> bool:
            last = {
                worker.pid: worker.in_flight and worker.in_flight[-1] for worker in seen.workers
            }
            return len(last) == 3 and [last.pop(victim), *last.values()] == [None, 0, 0]

        gauges = await watched(started, lambda: os.kill(victim, signal.SIGKILL), replaced)
    assert not [stall for stall in gauges.stalls if stall.worker == victim]
