"""The calls of a line, by a table of lines."""

import pytest

from control_plane.analysis.causes.calls import calls_in
from control_plane.analysis.causes.frames import hold
from control_plane.domain.result import Stall


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
    assert hold([stall], {"shop.py:7": line}).where == where
