"""One load worker, from its plan to its record."""

import gc
import os
import resource
import sys
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from control_plane.domain.errors import ClientFailed
from control_plane.domain.stream_record import Second
from control_plane.load import messages, strategies, watchdog, worker
from control_plane.load.clock import Spin
from control_plane.load.connections import Connections
from control_plane.load.messages import Done, Event, Opened, Ready, Refused
from control_plane.load.plan import Plan
from control_plane.load.recorder import Recorder
from control_plane.load.reporter import Reporter
from control_plane.load.request_source import RequestSource
from control_plane.load.strategies.strategy import Gear, Strategy
from control_plane.load.stream_driver import Course

_SPARE = 64
"""Files that a load worker opens besides its connections."""


def allow(connections: int) -> None:
    """Raise the soft limit where it is too low.

    Raises ClientFailed when the hard limit does not allow it.
    """
    needed = connections + _SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ClientFailed(
            f"client: {connections:,} connections need {needed:,} open files, the limit is "
            f"{hard:,}: raise it (ulimit -n {needed}) or use fewer"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


_YOUNG = 20_000
"""Samples come and go by the thousand without a cycle: collecting every 700 objects finds none."""

START_S = 60
"""A worker that is not ready by then never will be."""


def main(arguments: list[str]) -> None:
    watchdog.step_forward()
    watchdog.end_after(START_S)
    if arguments:
        os.sched_setaffinity(0, {int(core) for core in arguments[0].split(",")})
    plan = Plan.read(sys.stdin.buffer.readline())
    try:
        worker.allow(plan.users)
    except ClientFailed as error:
        tell(Refused(str(error)))
        return
    work(plan, Spin(shared=not arguments))


def work(plan: Plan, spin: Spin) -> None:
    """Load runs in a thread of its own, while this one tells what it finds."""
    gear = Gear(
        plan,
        RequestSource(plan.stream.requests, plan.seed, plan.share),
        Recorder(
            users=plan.users,
            scheduled=plan.scheduled,
            timed=plan.timed,
            by_start=plan.open,
            think_ns=plan.think_ns,
        ),
        Connections(),
        spin,
    )
    thread = ThreadPoolExecutor(max_workers=1)
    strategy = thread.submit(strategies.make, gear).result()
    # Nothing made so far becomes garbage: collections need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)
    watchdog.end_after(0)
    tell(Ready())
    start = sys.stdin.buffer.readline()
    if start:
        watchdog.end_with_input()
        measure(gear, thread, strategy, int(start))


def measure(gear: Gear, thread: ThreadPoolExecutor, strategy: Strategy, begin_ns: int) -> None:
    course, patience_s = Course(gear.plan, begin_ns), gear.plan.patience_s
    reporter = Reporter(gear, lambda event: follow(event, patience_s))
    window_ns = course.window_ns()
    watchdog.end_after(gear.plan.lead_s + patience_s)
    if window_ns:
        reporter.open(*window_ns)
    driving = thread.submit(course.run, strategy, gear.source, reporter.open)
    driving.add_done_callback(lambda ended: conclude(ended, reporter))
    record = reporter.run(gear.plan.stream.name, course.intended)
    if record is None:
        driving.result()
    else:
        tell(Done(record))


def conclude(driving: Future[None], reporter: Reporter) -> None:
    if driving.exception():
        reporter.abort()
    else:
        reporter.close()


def follow(event: Event, patience_s: float) -> None:
    """As long as requests end, this process may go on."""
    ended = isinstance(event, Second) and event.index >= 0 and event.completed + event.errors
    if isinstance(event, Opened) or ended:
        watchdog.end_after(patience_s)
    tell(event)


def tell(event: Event) -> None:
    sys.stdout.write(messages.write(event))
    sys.stdout.flush()


def fail(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the error and end at once: threads may wait for answers for a long time yet."""
    traceback.print_exception(kind, error, trace)
    os._exit(1)
