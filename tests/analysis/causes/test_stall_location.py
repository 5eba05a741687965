"""The calls of a line, by a table of lines."""

from dataclasses import replace

import pytest

from control_plane.analysis.causes.stall_location import calls_in, stack_groups, stall_location
from control_plane.domain.result import Gauges, Stall
from tests.analysis.causes.watched import IDLE, SLEEPING, evidence, stalls


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
