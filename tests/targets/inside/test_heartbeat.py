"""The timer of the stacks, in interpreters of their own."""

import re
import subprocess
import sys
from pathlib import Path

from control_plane.domain.limits import BLOCKED_LOOP_S
from control_plane.domain.stack_frames import loop_waited
from control_plane.targets.environment_variables import PROBE_SOURCE
from control_plane.targets.inside.looplab_probe.heartbeat import EVERY_S
from control_plane.targets.observation.stalls import parse_stacks

BEATING = """
import asyncio, atexit, os, sys, threading, time
from looplab_probe import heartbeat
from looplab_probe.asgi_counter import count_requests
heartbeat.EVERY_S = {every_s}
atexit.register(time.sleep, 0.4)

async def app(scope, receive, send):
    {work}

async def main():
    await count_requests(app)({{"type": "http"}}, None, None)
    await asyncio.sleep(0.05)

asyncio.run(main())
"""


def run(folder: Path, work: str, every_s: float = EVERY_S) -> tuple[int, bytes]:
    """The exit code, and all stacks that were written."""
    environment = {"PYTHONPATH": str(PROBE_SOURCE), "LOOPLAB_INSIDE": str(folder)}
    program = BEATING.format(work=work, every_s=every_s)
    done = subprocess.run([sys.executable, "-c", program], env=environment, timeout=30, check=False)
    return done.returncode, b"".join(path.read_bytes() for path in folder.glob("*.stacks"))


def test_the_process_ends_as_it_would_without(tmp_path: Path) -> None:
    """The interpreter gives SIGALRM its deadly meaning back while it ends."""
    code, written = run(tmp_path, "await asyncio.sleep(0.25)")
    assert code == 0
    assert any(loop_waited(stack) for stack in parse_stacks(written, tmp_path))


BUSY = """
    stop = time.monotonic() + 0.9
    def churn(depth):
        while time.monotonic() < stop:
            sorted(range(99), key=lambda number: -number) if depth > 20 else churn(depth + 1)
    async def step():
        return churn(21)
    threads = [threading.Thread(target=churn, args=(0,)) for _ in range(2)]
    [thread.start() for thread in threads]
    await step()
    [thread.join() for thread in threads]
"""


def test_a_busy_process_with_threads_survives_its_stacks(tmp_path: Path) -> None:
    code, written = run(tmp_path, BUSY, every_s=0.0005)
    assert code == 0
    stacks = parse_stacks(written, tmp_path)
    assert sum(any(frame.endswith(" app") for frame in stack) for stack in stacks) >= 3


def test_a_call_in_c_counts_by_the_time_that_it_took(tmp_path: Path) -> None:
    """No signal is seen while the interpreter is held; the looks of that time are not lost."""
    work = "sum(range(10_000_000))"
    code, written = run(tmp_path, work, every_s=0.001)
    assert code == 0
    heads = [int(line.split()[0]) for line in written.splitlines() if line.endswith(b"first:")]
    assert max(heads) > 20


def test_what_an_operator_took_is_not_the_time_of_the_next_function(tmp_path: Path) -> None:
    work = """
    def entered(): pass
    1 in [0] * 3_000_000
    entered()
"""
    code, written = run(tmp_path, work, every_s=0.001)
    assert code == 0
    looks = re.findall(rb"^(\d+) looks.*\n(.*)$", written, re.MULTILINE)
    assert max(looks, key=lambda look: int(look[0]))[1].endswith(b" in app")


def test_a_forked_child_keeps_nothing_of_it(tmp_path: Path) -> None:
    work = """
    if os.fork() == 0:
        import signal
        signal.alarm(1)
        time.sleep(5)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.wait()[1])
    os._exit(0 if ended == -14 else 1)
"""
    assert run(tmp_path, work)[0] == 0


def test_every_loop_that_counts_as_late_has_a_stack() -> None:
    """The probe imports nothing of ours, so that the limit stands there again."""
    assert EVERY_S < BLOCKED_LOOP_S
