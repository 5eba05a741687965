"""When a target counts as one that does not answer any more."""

import pytest

from control_plane.domain.histogram import merge
from control_plane.domain.load_models import AnyLoad, Burst, Closed, Periodic
from control_plane.domain.spec import RequestClass, Spec, Stop, Stream, Workload
from control_plane.domain.stream_record import Second
from control_plane.jobs.progress_and_expected_time import StreamProgress
from control_plane.jobs.run_end import IdleTimeout, longest_silence_s, silence_reason
from tests.builders.trials import histogram


def lasting(looks: list[tuple[int, int, float]], users: int = 4, timeout_s: float = 1.0) -> float:
    silence = IdleTimeout(users, timeout_s)
    for completed, errors, now_s in looks:
        silence.look(completed, errors, now_s)
    return silence.lasts_s


@pytest.mark.parametrize(
    ("looks", "expected_s"),
    [
        ([(0, 0, 100.0)], 0),
        ([(0, 0, 100.0), (5, 0, 101.0), (9, 0, 102.0)], 0),
        ([(9, 0, 100.0), (9, 0, 101.0), (9, 0, 103.0)], 3),
        ([(9, 0, 100.0), (9, 4, 101.0), (9, 8, 102.0), (9, 12, 103.0)], 3),
        ([(9, 0, 100.0), (9, 900, 101.0), (9, 1_800, 102.0)], 0),
        ([(9, 0, 100.0), (9, 0, 102.0), (10, 0, 103.0), (10, 0, 103.5)], 0.5),
    ],
    ids=["first look", "answers", "nothing", "only deadlines", "quick errors", "came back"],
)
def test_silence(looks: list[tuple[int, int, float]], expected_s: float) -> None:
    assert lasting(looks) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("load", "start_after_s", "expected_s"),
    [
        (Burst("burst", 9), 0, 11),
        (Closed(concurrency=9), 0, 11),
        (Closed(concurrency=9, think_time_s=3, ramp_up_s=4), 0, 18),
        (Periodic("periodic", 0.5), 20, 31.5),
    ],
)
def test_a_stream_may_rightly_be_still(
    load: AnyLoad, start_after_s: float, expected_s: float
) -> None:
    stream = Stream(
        requests=(RequestClass(),),
        load=load,
        stop=Stop(requests=9),
        name="items",
        start_after_s=start_after_s,
    )
    assert longest_silence_s(StreamProgress(stream), timeout_s=5) == pytest.approx(expected_s)


def ended(index: int, completed: int = 0, timeouts: int = 0, begun: int = 0) -> Second:
    """A second in which so many completed or timed out; of those `begun` were answered."""
    done, heard = (histogram(*[1.0] * number) for number in (completed, begun))
    first = merge([done, heard])
    return Second(index, timeouts, done, done, timeouts, timeouts=timeouts, first_byte=first)


def redirected(index: int, number: int) -> Second:
    """A second in which so many were answered by a redirect, whole."""
    none, heard = histogram(), histogram(*[1.0] * number)
    return Second(index, number, none, none, first_byte=heard)


EVENTS = {"0": "text/event-stream"}
HANGS = "target stopped answering: nothing answered for"


@pytest.mark.parametrize(
    ("open_ends", "seconds", "said"),
    [
        (EVENTS, [ended(2, timeouts=4, begun=4), ended(4, timeouts=4, begun=4)],
         "GET / answers with a stream of text/event-stream that had no end within 2 s. Read it"),
        (EVENTS, [ended(1, completed=9), ended(4, timeouts=4, begun=3)],
         "GET / answers with a stream of text/event-stream that had no end"),
        (EVENTS, [ended(1, completed=9), ended(3, timeouts=4, begun=4), ended(5, timeouts=4)],
         f"{HANGS} 6 s"),
        (EVENTS, [ended(2, timeouts=4, begun=1)], f"{HANGS} 6 s"),
        ({}, [ended(2, timeouts=4, begun=4)], f"{HANGS} 5 s"),
        ({"0": "text/html"}, [redirected(2, 9), ended(4, timeouts=4)], f"{HANGS} 6 s"),
        (EVENTS, [], f"{HANGS} 6 s"),
    ],
)  # fmt: skip
def test_answers_without_an_end_are_no_silence(
    open_ends: dict[str, str], seconds: list[Second], said: str
) -> None:
    stream = Stream(
        requests=(RequestClass(),), load=Closed(concurrency=4), stop=Stop(requests=99), name="items"
    )
    progress = StreamProgress(stream, open_ends=open_ends)
    for second in seconds:
        progress.add(second)
    spec = Spec(Workload((stream,)), timeout_s=2)
    assert silence_reason(progress, spec).startswith(said)
