"""The timer of the stacks, in interpreters of their own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from control_plane.domain.limits import BLOCKED_LOOP_S
from control_plane.domain.observations import loop_waited
from control_plane.targets.environment_variables import PROBE_SOURCE
from control_plane.targets.inside.looplab_probe.heartbeat import EVERY_S
from control_plane.targets.observation.stalls import parse_stacks

BEATING = """
import asyncio, atexit, contextvars, gc, os, signal, sys, tempfile, threading, time, weakref
from looplab_probe import heartbeat
from looplab_probe.asgi_counter import count_requests
heartbeat.EVERY_S = {every_s}
atexit.register(time.sleep, 0.4)
variable = contextvars.ContextVar("variable")

async def app(scope, receive, send):
    {work}

async def request():
    kept = {{1}}
    variable.set(kept)
    await count_requests(app)({{"type": "http"}}, None, None)
    return weakref.ref(kept)

async def main():
    left = await asyncio.create_task(request())
    await asyncio.sleep(0.05)
    gc.collect()
    assert left() is None, "the context of a request is kept"

asyncio.run(main())
"""


def run(folder: Path, work: str, every_s: float = EVERY_S) -> tuple[int, bytes]:
    """The exit code, and all stacks that were written."""
    environment = {"PYTHONPATH": str(PROBE_SOURCE), "LOOPLAB_INSIDE": str(folder)}
    program = BEATING.format(work=work, every_s=every_s)
    done = subprocess.run([sys.executable, "-c", program], env=environment, timeout=30, check=False)
    return done.returncode, b"".join(path.read_bytes() for path in folder.glob("*.stacks"))


def test_the_process_ends_as_it_would_without(tmp_path: Path) -> None:
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
    innermost = re.findall(rb"^\d+ looks.*\n.* in (\w+)$", written, re.MULTILINE)
    assert b"app" in innermost
    assert b"entered" not in innermost


HARMLESS = {
    "a forked child": """
    if os.fork() == 0:
        signal.alarm(1)
        time.sleep(5)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.wait()[1])
    os._exit(0 if ended == -14 else 1)
""",
    "a program in its place": """
    os.execl("/bin/sleep", "sleep", "0.3")
""",
    "handlers that are reset": """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    time.sleep(0.1)
""",
    "timeouts that raise": """
    def late(*_):
        raise TimeoutError
    signal.signal(signal.SIGALRM, late)
    for _ in range(50):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.004)
            until = time.monotonic() + 5
            while time.monotonic() < until:
                sum(range(50))
            os._exit(1)
        except TimeoutError:
            pass
""",
    "a handler that raises anywhere in a beat": """
    gc.disable()
    heartbeat.PERIOD_S, heartbeat.SPARE_S = 0.002, 0.006
    beating, seen, places, raised_at = heartbeat.HEARTBEAT, [], set(), 0
    def late(frame, event, _):
        nonlocal raised_at
        above, place = frame, (frame.f_code, frame.f_lineno, event)
        while above is not None and above.f_code is not heartbeat.Heartbeat._beat.__code__:
            above = above.f_back
        if above is None:
            return None
        count = beating._writer._count
        if event in {"call", "line"} and place not in places and count > raised_at + 1:
            places.add(place)
            raised_at = count
            raise LookupError
        return late
    handler = lambda _, context: seen.append(context["exception"])
    asyncio.get_running_loop().set_exception_handler(handler)
    known = -1
    while known < len(places):
        known, before = len(places), beating._writer._count
        while beating._writer._count < before + 5:
            sys.settrace(late)
            await asyncio.sleep(0.002)
    sys.settrace(None)
    assert {type(error) for error in seen} == {LookupError}
    assert any("asyncio" in code.co_filename for code, _, _ in places)
    assert len(seen) > 30, len(seen)
""",
    "descriptors that are all closed": """
    await asyncio.sleep(0.03)
    kept = {"eventpoll", "socket"}
    for number in os.listdir("/proc/self/fd"):
        path = f"/proc/self/fd/{number}"
        if int(number) > 2 and os.path.exists(path):
            if not any(word in os.readlink(path) for word in kept):
                os.close(int(number))
    files = [tempfile.TemporaryFile() for _ in range(9)]
    await asyncio.sleep(0.1)
    assert not any(os.fstat(file.fileno()).st_size for file in files)
""",
}


@pytest.mark.parametrize("work", HARMLESS.values(), ids=HARMLESS)
def test_the_application_does_not_notice(work: str, tmp_path: Path) -> None:
    assert run(tmp_path, work, every_s=0.001)[0] == 0


def test_every_loop_that_counts_as_late_has_a_stack() -> None:
    """The probe imports nothing of ours, so that the limit stands there again."""
    assert EVERY_S < BLOCKED_LOOP_S
