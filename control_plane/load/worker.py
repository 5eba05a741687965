"""Runs one load worker, from its plan to its record."""

import gc
import os
import resource
import sys
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType

from control_plane.domain.errors import ClientFailed
from control_plane.domain.secrets import SecretFinder
from control_plane.domain.stream_record import Second
from control_plane.load import strategies, watchdog, worker_protocol
from control_plane.load.clock import BusyWait
from control_plane.load.reporter import Reporter
from control_plane.load.request_source import RequestSource
from control_plane.load.strategies.kept_connections import ConnectionCounter
from control_plane.load.strategies.strategy import Strategy, StrategyContext
from control_plane.load.stream_driver import StreamDriver
from control_plane.load.user_cookies import UserCookies
from control_plane.load.window_stats import WindowStats
from control_plane.load.worker_protocol import (
    LoadPlan,
    Message,
    Rejected,
    Seeds,
    WindowOpened,
    WorkerReady,
    WorkerResult,
)

_SPARE = 64
"""Files that a load worker opens besides its connections."""


def raise_file_limit(connections: int) -> None:
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


START_TIMEOUT_S = 60
"""A worker that is not ready by then never will be."""


def main(arguments: list[str]) -> None:
    """Read a plan from standard input and do it; `arguments` are cores, or none for shared ones."""
    watchdog.reset_priority()
    watchdog.set_alarm(START_TIMEOUT_S)
    if arguments:
        os.sched_setaffinity(0, {int(core) for core in arguments[0].split(",")})
    plan = LoadPlan.read(sys.stdin.buffer.readline())
    try:
        raise_file_limit(plan.users)
    except ClientFailed as error:
        send(Rejected(str(error)))
        return
    work(plan, BusyWait(shared=not arguments))


def work(plan: LoadPlan, busy_wait: BusyWait) -> None:
    """Make what the plan needs, say that it is ready, and measure from the common start on."""
    stats, jars = WindowStats(plan.traits), _jars(plan)
    context = StrategyContext(
        plan,
        RequestSource(
            plan.stream.requests,
            plan.seeds or Seeds.of(plan.seed),
            plan.share,
            plan.captured,
            jars,
        ),
        stats.buffer,
        ConnectionCounter(),
        busy_wait,
    )
    thread = ThreadPoolExecutor(max_workers=1)
    strategy = thread.submit(strategies.make_strategy, context).result()
    # Nothing made so far becomes garbage: collections need not look at it again.
    gc.collect()
    gc.freeze()
    watchdog.set_alarm(0)
    send(WorkerReady())
    start = sys.stdin.buffer.readline()
    if start:
        watchdog.exit_on_stdin_eof()
        measure(context, stats, int(start), thread, strategy)


def _jars(plan: LoadPlan) -> list[UserCookies]:
    """Return the cookies of each user, with those set before the load; none where none are kept."""
    if not plan.client.cookies:
        return []
    jars = [UserCookies(plan.base_url, plan.host) for _ in range(plan.users)]
    for jar, before in zip(jars, plan.captured.cookies, strict=False):
        for path, text in before:
            jar.keep(path, [text])
    return jars


def measure(
    context: StrategyContext,
    stats: WindowStats,
    begin_ns: int,
    thread: ThreadPoolExecutor,
    strategy: Strategy,
) -> None:
    """Run load in `thread`, while this one sends what `stats` has of it."""
    driver, patience_s = StreamDriver(context.plan, begin_ns), context.plan.patience_s
    reporter = Reporter(context, stats, lambda event: send_and_extend_alarm(event, patience_s))
    window_ns = driver.window_ns()
    watchdog.set_alarm(context.plan.lead_s + patience_s)
    if window_ns:
        reporter.open(*window_ns)
    driving = thread.submit(driver.run, strategy, context.source, reporter.open)
    driving.add_done_callback(lambda ended: conclude(ended, reporter))
    record = reporter.run(context.plan.stream.name, driver.intended)
    if record is None:
        driving.result()
    else:
        finder = SecretFinder(context.source.cookie_texts())
        failures = (failed.with_texts(finder.hide, finder.hide_cut) for failed in record.failures)
        numbers = context.source.taken()
        send(WorkerResult(replace(record, numbers=numbers, failures=tuple(failures))))


def conclude(driving: Future[None], reporter: Reporter) -> None:
    """End the window of `reporter`, as the load ended."""
    if driving.exception():
        reporter.abort()
    else:
        reporter.close()


def send_and_extend_alarm(event: Message, patience_s: float) -> None:
    """Send a message; where it says that requests end, this process may go on for `patience_s`."""
    ended = isinstance(event, Second) and event.index >= 0 and event.completed + event.errors
    if isinstance(event, WindowOpened) or ended:
        watchdog.set_alarm(patience_s)
    send(event)


def send(event: Message) -> None:
    """Write a message to standard output."""
    sys.stdout.write(worker_protocol.encode(event))
    sys.stdout.flush()


def exit_with_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print the error and end at once: threads may wait for responses for a long time yet."""
    traceback.print_exception(kind, error, trace)
    os._exit(1)
