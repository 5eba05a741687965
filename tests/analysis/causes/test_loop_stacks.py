"""A loop that many short steps occupy: what samples of its thread say."""

from dataclasses import replace

import pytest

from control_plane.analysis.causes.loop_stacks import calls_in, stack_groups, stall_location
from control_plane.domain.observations import Gauges, LoopSamples, Stall, loop_waited
from control_plane.domain.result import Reason, Validity
from tests.analysis.causes.test_blocked_loop import SCATTERED
from tests.analysis.causes.watched import (
    APP,
    IDLE,
    LIB,
    SLEEPING,
    WINDOW_S,
    cause_of,
    evidence,
    stalls,
    worker,
)
from tests.builders.trials import known, with_spaces

SPREAD = tuple((f"{APP}:{line} f{line}",) for line in range(12))
WRITING = (f"{LIB}/uvicorn/protocols/http/h11_impl.py:9 send",)


def seen(share, cpu, *, delayed=0.0, places=(SLEEPING,), stacks=100, process=None, requests=1_000):
    """`share` of so many samples at work, evenly in the places; `requests` were answered."""
    at_work = round(share * stacks)
    counted = tuple((place, at_work // len(places)) for place in places)
    samples = LoopSamples(stacks, at_work, counted, cpu, delayed)
    slots = round(WINDOW_S / 0.5)
    loop = worker(samples=samples, completed=requests // slots)
    return evidence(loop, cpu=cpu if process is None else process)


@pytest.mark.parametrize(
    ("watched", "found"),
    [
        (seen(0.9, 0.06), True),
        (seen(0.9, 0.06, places=SPREAD), True),
        (seen(0.3, 0.06), True),
        (seen(0.2, 0.06), False),
        (seen(0.3, 0.06, stacks=10), False),
        (seen(0.9, 0.06, stacks=9), False),
        (seen(0.95, 0.9, requests=100_000), False),
        (seen(0.95, 0.9), True),
        (seen(0.95, 0.4, delayed=0.5, places=SPREAD, requests=100_000), False),
        (seen(0.95, 0.4, delayed=0.5, places=[WRITING], requests=100_000), False),
        (seen(0.95, 0.4, delayed=0.5, requests=100_000), True),
        (seen(0.6, 0.1, places=[WRITING], process=0.9), None),
        (seen(0.6, 0.1, process=0.9), True),
        (seen(1.0, 0.05, places=[WRITING]), None),
        (seen(0.95, 0.9, delayed=None), True),
        (seen(0.6, 0.1, delayed=None, places=SPREAD), True),
    ],
)
def test_found_where_calls_wait_on_the_loop_or_each_request_computes_long(watched, found):
    assert known(cause_of("loop_blocked", watched)).found is found


@pytest.mark.parametrize(
    ("frame", "waits"),
    [
        (f"{LIB}/granian/server/mp.py:249 _spawn_asgi_lifespan_worker", True),
        (f"{LIB}/granian/asgi.py:70 _callback_wrapper", False),
        ("/usr/lib/python3.11/selectors.py:468 select", True),
        (f"{APP}:9 select", False),
    ],
)
def test_a_loop_that_waits_is_known_by_its_innermost_frame(frame, waits):
    assert loop_waited((frame, *SLEEPING)) is waits


@pytest.mark.parametrize(("places", "found"), [(SPREAD, None), ([SLEEPING], True)])
def test_on_a_machine_whose_time_was_stolen_only_one_place_tells_it(places, found):
    stolen = Validity("suspect", (Reason("stolen", "suspect", "", 0.3, 0.05),))
    watched = replace(seen(0.9, 0.06, places=places), validity=stolen)
    assert known(cause_of("loop_blocked", watched)).found is found


def test_the_sentence_names_share_place_and_what_the_thread_did():
    watched = replace(seen(0.92, 0.05), source={f"{APP}:38": "    time.sleep(lasts_s)\n"})
    finding = known(cause_of("loop_blocked", watched))
    assert with_spaces(finding.text) == (
        "The event loop was occupied 92 % of the window by many short steps; 92 of 92 sampled "
        "stacks end in movies.py, line 38: time.sleep; its thread computed 5.0 % of the window, "
        "0.500 ms for each request."
    )


def test_a_free_loop_says_how_often_it_was_looked_at():
    finding = known(cause_of("loop_blocked", seen(0.04, 0.03)))
    assert with_spaces(finding.text) == (
        "The event loop was occupied in 4.0 % of 100 looks at it, and late by 1.00 ms at most."
    )


@pytest.mark.parametrize(
    ("count", "begins"), [(6, "The event loop was occupied 92 %"), (30, "The event loop was bl")]
)
def test_what_explains_more_is_said(count, begins):
    watched = seen(0.92, 0.05)
    (gauges,) = watched.gauges
    late = replace(watched, gauges=(replace(gauges, stalls=stalls(count, 0.2)),))
    assert with_spaces(known(cause_of("loop_blocked", late)).text).startswith(begins)


@pytest.mark.parametrize(("stack", "found"), [(SCATTERED[0], None), (SLEEPING, True)])
def test_a_loop_beside_threads_that_compute_is_blocked_by_its_own_code_only(stack, found):
    """They hold the interpreter, and the loop waits for it in the middle of anything."""
    watched = seen(0.05, 0.1, process=0.9)
    (gauges,) = watched.gauges
    late = replace(watched, gauges=(replace(gauges, stalls=stalls(20, 0.2, stack)),))
    assert known(cause_of("loop_blocked", late)).found is found


@pytest.mark.parametrize(
    ("line", "calls"),
    [
        ("    time.sleep(1)", ["time.sleep"]),
        ("logger.info(json.dumps(big))", ["logger.info", "json.dumps"]),
        ('x = "SELECT count(*)" + blob', []),
        ("total += (step * step)", []),
        ("    answer = requests.get(", ["requests.get"]),
        ("if await time.sleep(1):", ["time.sleep"]),
        ("return a().b.c(d)", ["a", "b.c"]),
        ("table[0](x)", [""]),
        ("def work(x): return x", []),
        ("    print(1)  # like this()", ["print"]),
    ],
)
def test_calls_of_a_line(line, calls):
    assert calls_in(line) == calls


@pytest.mark.parametrize(
    ("inner", "line", "where"),
    [
        ((), "logger.info(json.dumps(big))", "shop.py, line 7, in show"),
        (("lib/python3.11/json/__init__.py:231 dumps",), "logger.info(json.dumps(big))",
         "shop.py, line 7: json.dumps"),
        (("lib/python3.11/random.py:9 uniform",), "time.sleep(random.uniform(1, 2))",
         "shop.py, line 7: random.uniform"),
        ((), "time.sleep(seconds)", "shop.py, line 7: time.sleep"),
        ((), 'x = "SELECT count(*)" + blob', "shop.py, in show"),
    ],
)  # fmt: skip
def test_only_the_call_that_runs_is_named(inner, line, where):
    stall = Stall(1, 0.0, 1.0, (*inner, "shop.py:7 show"))
    assert stall_location([stall], {"shop.py:7": line}).place == where


def test_stacks_are_grouped_over_trials_and_sorted_by_their_time():
    (gauges,) = evidence().gauges
    first = replace(gauges, stalls=(*stalls(3, 0.2), *stalls(1, 0.3, IDLE), *stalls(1, 0.1, ())))
    second = replace(gauges, stalls=stalls(2, 0.5))
    heavy, waited, unknown = stack_groups([first, second])
    assert (heavy.count, heavy.longest_s) == (5, 0.5)
    assert (heavy.trial, heavy.at_s) == (2, 0.0)
    assert [(trial, round(at_s, 1)) for trial, at_s in heavy.begins] == [
        (1, 0.0), (1, 3.3), (1, 6.7), (2, 0.0), (2, 5.0),
    ]  # fmt: skip
    assert heavy.total_s == pytest.approx(1.6)
    assert heavy.share == pytest.approx(0.8)
    assert heavy.place is not None
    assert heavy.place.short == "movies.py, line 38, in look_up_blocking"
    assert [frame.application for frame in heavy.frames] == [True, True, False, False]
    assert len(heavy.frames) == len(SLEEPING)
    assert (waited.waited, heavy.waited) == (True, False)
    assert (unknown.place, unknown.frames) == (None, ())


def test_no_stall_no_stack():
    assert stack_groups([Gauges(0.5, ())]) == ()
