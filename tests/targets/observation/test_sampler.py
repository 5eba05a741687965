"""The sampler against processes whose use of the machine is known."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby

import pytest

from control_plane.targets.observation import sampler as sampler_module
from control_plane.targets.observation.procfs import cpu_s
from control_plane.targets.observation.sampler import INTERVAL_S, Sampler

BUSY = "while True: pass"
IDLE = "input()"
HOLDING = "kept = b'x' * 80_000_000; print(flush=True); input()"
TICK_S = 0.01
"""What the kernel counts processor time in."""
COST_S = 0.005
"""A sample takes 0.4 ms on a quiet machine: a thousandth of a core."""


@contextmanager
def process(code: str) -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as started:
        try:
            yield started
        finally:
            started.kill()


def used_since(before_s: float | None, target: subprocess.Popen[bytes]) -> float:
    now_s = cpu_s(target.pid)
    assert before_s is not None
    assert now_s is not None
    return now_s - before_s


async def sampled(sampler: Sampler, count: int) -> None:
    async with asyncio.timeout(10):
        while len(sampler.gauges_so_far().processes[0].cpu_share) < count:
            await asyncio.sleep(0.01)


async def another_sample(sampler: Sampler) -> None:
    await sampled(sampler, len(sampler.gauges_so_far().processes[0].cpu_share) + 1)


async def test_cpu_time_goes_to_whom_it_belongs() -> None:
    with process(BUSY) as target, process(IDLE) as client:
        sampler = Sampler(lambda: [target.pid], [client.pid], os.getpid())
        outer_s, outer_cpu_s = time.monotonic(), cpu_s(target.pid)
        sampler.open_window()
        inner_s, inner_cpu_s = time.monotonic(), cpu_s(target.pid)
        await sampled(sampler, 2)
        least_s, least_cpu_s = time.monotonic() - inner_s, used_since(inner_cpu_s, target)
        use = sampler.close_window()
        most_s, most_cpu_s = time.monotonic() - outer_s, used_since(outer_cpu_s, target)
    assert use.target_cpu_s is not None
    assert 0 < least_cpu_s <= use.target_cpu_s <= most_cpu_s
    assert least_s <= use.watched_s <= most_s
    assert use.gauges.interval_s == INTERVAL_S
    series = {series.role: series for series in use.gauges.processes}
    assert list(series) == ["target", "client", "control"]
    assert max(series["client"].cpu_share) < 0.2
    assert all(0 < share < 1.1 for share in series["target"].cpu_share)
    assert len(series["target"].cpu_share) == len(series["control"].memory_bytes) >= 2


async def test_a_stranger_at_work_is_seen() -> None:
    with process(IDLE) as target, process(IDLE) as client, process(BUSY):
        sampler = Sampler(lambda: [target.pid], [client.pid], os.getpid())
        sampler.open_window()
        await sampled(sampler, 2)
        use = sampler.close_window()
    assert use.other_cpu is not None
    assert use.other_cpu > 0.3


async def test_the_peak_of_the_memory_and_a_process_that_came_late() -> None:
    pids: list[int] = []
    with process(IDLE) as target, process(IDLE) as client:
        pids.append(target.pid)
        sampler = Sampler(lambda: list(pids), [client.pid], os.getpid())
        sampler.open_window()
        await sampled(sampler, 1)
        with process(HOLDING) as late:
            assert late.stdout is not None
            late.stdout.readline()
            pids.append(late.pid)
            await another_sample(sampler)
            pids.remove(late.pid)
        await another_sample(sampler)
        use = sampler.close_window()
    assert use.target_peak_memory_bytes is not None
    assert 80_000_000 < use.target_peak_memory_bytes < 200_000_000
    series = next(series for series in use.gauges.processes if series.pid == late.pid)
    # One sample each, or more where the machine was late.
    held = [size > 80_000_000 for size in series.memory_bytes]
    assert [has for has, _ in groupby(held)] == [False, True, False]
    assert len(series.cpu_share) == len(held)


async def test_thousands_of_processes_that_ended_take_no_more_room_than_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each that is there has its series, and so have the busiest of those that ended."""
    monkeypatch.setattr(sampler_module, "ENDED_SERIES", 2)
    burnt = "import time\nwhile time.process_time() < {}: pass\nprint(flush=True)\ninput()"
    burns_s = (0.3, 0.1, 0.1, 0.2)
    with ExitStack() as stack:
        target, client = (stack.enter_context(process(IDLE)) for _ in range(2))
        short = [stack.enter_context(process(burnt.format(burn_s))) for burn_s in burns_s]
        pids = [target.pid, *(child.pid for child in short)]
        sampler = Sampler(lambda: list(pids), [client.pid], os.getpid())
        sampler.open_window()
        for child in short:
            assert child.stdout is not None
            await asyncio.to_thread(child.stdout.readline)
        await another_sample(sampler)
        for child in short:
            child.kill()
            child.wait()
            pids.remove(child.pid)
        await another_sample(sampler)
        use = sampler.close_window()
    series = [series for series in use.gauges.processes if series.role == "target"]
    assert {found.pid for found in series} == {target.pid, short[0].pid, short[3].pid, 0}
    assert len({len(found.cpu_share) for found in series}) == 1
    assert use.target_cpu_s is not None
    assert use.target_cpu_s >= sum(burns_s) - 0.1


async def test_the_cpu_time_of_a_child_that_ends_between_two_samples_counts() -> None:
    code = (
        "import subprocess, sys\n"
        "input()\n"
        "burn = 'import time\\nwhile time.process_time() < 0.2: pass'\n"
        "subprocess.run([sys.executable, '-c', burn])\n"
        "print(flush=True)\n"
        "input()"
    )
    with process(code) as target, process(IDLE) as client:
        sampler = Sampler(lambda: [target.pid], [client.pid], os.getpid())
        sampler.open_window()
        assert target.stdin
        assert target.stdout
        target.stdin.write(b"\n")
        target.stdin.flush()
        await asyncio.to_thread(target.stdout.readline)
        use = sampler.close_window()
    assert use.target_cpu_s is not None
    assert 0.2 - 2 * TICK_S <= use.target_cpu_s < 0.5


async def test_a_short_window_has_totals() -> None:
    with process(BUSY) as target, process(IDLE) as client:
        sampler = Sampler(lambda: [target.pid], [client.pid], os.getpid())
        before_s = time.monotonic()
        sampler.open_window()
        await asyncio.sleep(0.1)
        use = sampler.close_window()
        window_s = time.monotonic() - before_s
    assert use.target_cpu_s is not None
    assert 0 < use.target_cpu_s <= 1.02 * window_s + TICK_S


async def test_an_unseen_target_is_not_measured() -> None:
    with process(IDLE) as client:
        sampler = Sampler(list, [client.pid], os.getpid())
        sampler.open_window()
        use = sampler.close_window()
    assert use.target_cpu_s is use.target_peak_memory_bytes is use.other_cpu is None


async def test_it_stops_when_nobody_closes_it() -> None:
    with process(IDLE) as client:
        sampler = Sampler(list, [client.pid], os.getpid())
        sampler.open_window()
        await sampled(sampler, 1)
    client.wait()
    before = len(sampler.gauges_so_far().processes[0].cpu_share)
    await asyncio.sleep(3 * INTERVAL_S)
    assert len(sampler.gauges_so_far().processes[0].cpu_share) <= before + 1


async def test_a_sample_costs_next_to_nothing() -> None:
    with process(IDLE) as target, process(IDLE) as client:
        sampler = Sampler(lambda: [target.pid], [client.pid], os.getpid())
        sampler.open_window()
        begun = time.process_time()
        for _ in range(20):
            sampler.close_window()
        assert (time.process_time() - begun) / 20 < COST_S


async def test_what_comes_after_the_window_is_not_watched() -> None:
    with process(BUSY) as target, process(IDLE) as client:
        sampler = Sampler(lambda: [target.pid], [client.pid], os.getpid())
        sampler.open_window()
        await asyncio.sleep(0.1)
        sampler.stop_sampling()
        held = sampler.close_window()
        await asyncio.sleep(0.6)
        assert sampler.close_window() == held


@pytest.mark.parametrize("gap_s", [1.2])
async def test_a_late_sample_fills_every_slot(gap_s: float) -> None:
    """The control plane may be held up; the time axis stays right."""
    with process(BUSY) as target, process(IDLE) as client:
        sampler = Sampler(lambda: [target.pid], [client.pid], os.getpid())
        outer_s = time.monotonic()
        sampler.open_window()
        inner_s = time.monotonic()
        time.sleep(gap_s)
        least_s = time.monotonic() - inner_s
        use = sampler.close_window()
        most_s = time.monotonic() - outer_s
    (slots,) = {len(series.cpu_share) for series in use.gauges.processes}
    assert len(use.gauges.processes) == 3
    # Two, unless the machine was late by even more.
    assert round(least_s / INTERVAL_S) <= slots <= round(most_s / INTERVAL_S)
