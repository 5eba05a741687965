"""Runs one load worker, from plan to record: its stream through ramp-up, warm-up and window."""

import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from control_plane import collect_from_now
from control_plane.domain.errors import ClientFailed
from control_plane.domain.secrets import SecretFinder
from control_plane.domain.stream_record import Second
from control_plane.load import schedule, strategies, worker_protocol
from control_plane.load.clock import BusyWait, sleep_until
from control_plane.load.reporter import Reporter
from control_plane.load.request_source import RequestSource
from control_plane.load.schedule import ArrivalQueue, OpenPhase, PacedPhase, Pacing, Phase
from control_plane.load.strategies import Strategy, StrategyContext
from control_plane.load.strategies.kept_connections import ConnectionCounter
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

if TYPE_CHECKING:
    from control_plane.load.responses import UserCookies

_EARLY = 2**40
"""The number of the first request before a window by requests, of which there may be any number:
those of the window are the same whatever went before, and no random value comes twice.
"""


class StreamDriver:
    """Makes the phases of one stream and lets a strategy run them.

    `begin_ns` is the common start of all streams, to which the stream's own delay is added."""

    def __init__(self, plan: LoadPlan, begin_ns: int) -> None:
        self._plan = plan
        self._begin_ns = begin_ns + _ns(plan.stream.start_after_s)
        self._ramped_ns = self._begin_ns + _ns(plan.stream.load.ramp_up_s)
        self._warm_ns = self._ramped_ns + _ns(plan.warmup_s)

    def window_ns(self) -> tuple[int, int] | None:
        """Return begin and end of the window; None where they are not known before.

        They are where the stream stops by duration.
        """
        duration_s = self._plan.duration_s
        if duration_s is None:
            return None
        return self._warm_ns, self._warm_ns + _ns(duration_s)

    def arrivals(self) -> schedule.ArrivalCounter | None:
        """Return what counts the arrivals of an open load in a window that is known before; else
        None.

        The schedule alone says how many there are, whatever became of them.
        """
        window_ns = self.window_ns()
        if window_ns is None or not self._plan.stream.load.is_open:
            return None
        return schedule.ArrivalCounter(self._arrivals(self._begin_ns), window_ns[0])

    def run(self, strategy: Strategy, source: RequestSource, opened: Callable[[int], None]) -> None:
        """Run all phases; return when the last request ended.

        `opened` is called with the begin of a window that was not known before, when it comes.
        """
        for phase in self._phases(source, opened):
            strategy.run(phase)

    def _phases(self, source: RequestSource, opened: Callable[[int], None]) -> Iterator[Phase]:
        window_ns, requests = self.window_ns(), self._plan.requests
        if window_ns is not None:
            # One load without a pause: the window's statistics know what they count.
            yield self._all_users(begin_ns=self._begin_ns, until_ns=window_ns[1])
        elif requests is not None:
            source.go_to(_EARLY)
            if self._ramped_ns > self._begin_ns:
                yield self._all_users(begin_ns=self._begin_ns, until_ns=self._ramped_ns)
            if self._warm_ns > self._ramped_ns and self._plan.share.first == 0:
                yield self._one_user()
            sleep_until(self._warm_ns)
            source.go_to(0)
            yield self._all_users(limit=requests, on_start=opened)

    def _all_users(self, **bounds: Any) -> Phase:
        users = self._plan.users
        if self._plan.stream.load.is_open:
            return OpenPhase(
                users, lambda begin_ns: ArrivalQueue(self._arrivals(begin_ns)), **bounds
            )
        return PacedPhase(users, self._pacing, **bounds)

    def _one_user(self) -> Phase:
        """All processes together warm up with one user."""
        return PacedPhase(
            1,
            lambda begin_ns: schedule.closed(begin_ns, users=1),
            begin_ns=self._ramped_ns,
            until_ns=self._warm_ns,
        )

    def _pacing(self, begin_ns: int) -> Pacing:
        """The ramp-up is over in a phase that begins later than planned."""
        load = self._plan.stream.load
        ramp_up_ns = _ns(load.ramp_up_s) if begin_ns == self._begin_ns else 0
        whole, share = schedule.pacing_of(load, begin_ns, ramp_up_ns), self._plan.share
        return replace(whole, first=lambda user: whole.first(share.number(user)))

    def _arrivals(self, begin_ns: int) -> Iterator[schedule.Moments]:
        return schedule.arrival_times(
            self._plan.stream.load,
            begin_ns=begin_ns,
            opens_ns=begin_ns if self.window_ns() is None else self._warm_ns,
            seed=self._plan.seed,
            share=self._plan.share,
        )


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


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


def reset_priority() -> None:
    """Take the normal priority, where the system lets us."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except PermissionError:
        return


def exit_on_stdin_eof() -> None:
    """Let the end of standard input end this process at once."""
    threading.Thread(target=_exit_at_end_of_input, name="watchdog", daemon=True).start()


def _exit_at_end_of_input() -> None:
    while os.read(sys.stdin.fileno(), 4_096):
        continue
    os._exit(0)


def set_alarm(seconds: float) -> None:
    """Let the kernel end this process after `seconds`, unless this is called again; 0 calls it off.

    It needs nothing of Python, so it also works when Python hangs.
    """
    signal.setitimer(signal.ITIMER_REAL, seconds)


START_TIMEOUT_S = 60
"""A worker that is not ready by then never will be."""


def main(arguments: list[str]) -> None:
    """Read a plan from standard input and do it; `arguments` are cores, or none for shared ones."""
    reset_priority()
    set_alarm(START_TIMEOUT_S)
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
    collect_from_now()
    set_alarm(0)
    send(WorkerReady())
    start = sys.stdin.buffer.readline()
    if start:
        exit_on_stdin_eof()
        measure(context, stats, int(start), thread, strategy)


def _jars(plan: LoadPlan) -> "list[UserCookies]":
    """Return the cookies of each user, with those set before the load; none where none are kept."""
    if not plan.client.cookies:
        return []
    from control_plane.load.responses import UserCookies

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
    set_alarm(context.plan.lead_s + patience_s)
    if window_ns:
        reporter.open(*window_ns)
    driving = thread.submit(driver.run, strategy, context.source, reporter.open)
    driving.add_done_callback(lambda ended: conclude(ended, reporter))
    record = reporter.run(context.plan.stream.name, driver.arrivals())
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
        set_alarm(patience_s)
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
