"""Rows and ratios of a comparison."""

from dataclasses import replace
from itertools import product

import pytest

from control_plane.analysis.comparison import Comparison, compare, value_of
from control_plane.analysis.differences import STREAM_NAME
from control_plane.domain.metrics_and_objectives import METRICS
from control_plane.domain.result import Reason, Validity
from control_plane.domain.run import Origin, State
from tests.builders.trials import START, run, spec, steady, summary, trial

INVALID = Validity("invalid", (Reason("errors", "invalid", "30 of 100 failed.", 0.3, 0.01),))
SUSPECT = Validity("suspect", (Reason("client_cpu", "suspect", "Client CPU 100 %.", 1.0, 0.85),))


def rate(run_id: str, per_s: float, **chosen):
    return run(run_id, streams=(summary(throughput_per_s=per_s),), **chosen)


def ratios(found: Comparison, metric: str = "throughput_per_s") -> dict[str, float | None]:
    return dict(found.row("items", metric).ratios)


def ratios_of_only(found: Comparison) -> dict[str, float]:
    """Those that there are in the only stream."""
    (stream,) = found.streams
    known = found.row(stream, "throughput_per_s").ratios
    return {run_id: ratio for run_id, ratio in known.items() if ratio is not None}


def test_each_stream_has_each_metric_and_runs_of_before_no_first_byte():
    found = compare([rate("a", 10.0), rate("b", 20.0)], "a")
    measured = [name for metric in METRICS if not (name := metric.name).startswith("first_byte")]
    assert [row.metric for row in found.rows] == measured
    assert all(row.verdicts == {} for row in found.rows)
    row = found.row("items", "throughput_per_s")
    assert (row.unit, row.less_is_better, row.values) == ("per_s", False, {"a": 10.0, "b": 20.0})


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [("a", {"a": 1.0, "b": 2.0, "c": 0.5}), ("b", {"a": 0.5, "b": 1.0, "c": 0.25})],
)
def test_a_ratio_is_contender_over_baseline(baseline, expected):
    runs = [rate("a", 10.0), rate("b", 20.0), rate("c", 5.0)]
    assert ratios(compare(runs, baseline)) == expected


def test_one_run_alone():
    found = compare([rate("a", 10.0)], "a")
    assert ratios(found) == {"a": 1.0}
    assert (found.differences, found.environment, found.refusals) == ((), (), {})


def test_no_ratio_with_zero_or_nothing():
    runs = [rate("a", 10.0), rate("b", 0.0), run("c", streams=()), rate("d", 10.0)]
    assert ratios(compare(runs, "a")) == {"a": 1.0, "b": None, "c": None, "d": 1.0}
    assert set(ratios(compare(runs, "b")).values()) == {None}


@pytest.mark.parametrize("state", [state for state in State if state is not State.FINISHED])
def test_an_unfinished_run_shows_values_but_no_ratio(state):
    found = compare([rate("a", 10.0), rate("b", 20.0, state=state)], "a")
    assert found.row("items", "throughput_per_s").values["b"] == 20.0
    assert ratios(found) == {"a": 1.0, "b": None}


def test_an_invalid_contender_gets_no_ratio():
    found = compare([rate("a", 10.0), rate("b", 20.0, validity=INVALID)], "a")
    assert ratios(found) == {"a": 1.0, "b": None}
    assert (found.refusals["b"].kind, found.refusals["b"].text) == ("invalid", "30 of 100 failed.")


def test_an_invalid_baseline_gives_none_to_anybody():
    found = compare([rate("a", 10.0, validity=INVALID), rate("b", 20.0)], "a")
    assert ratios(found) == {"a": None, "b": None}


def test_a_suspect_run_is_compared():
    found = compare([rate("a", 10.0), rate("b", 20.0, validity=SUSPECT)], "a")
    assert ratios(found)["b"] == 2.0
    assert found.refusals == {}


def test_another_machine_is_refused_unless_told_to_go_on():
    other = {"cpu_model": "Xeon", "python": "3.11.7"}
    runs = [rate("a", 10.0), rate("b", 20.0, environment=other), rate("c", 30.0)]
    found = compare(runs, "a")
    assert ratios(found) == {"a": 1.0, "b": None, "c": 3.0}
    assert (found.refusals["b"].kind, found.refusals["b"].text) == (
        "machine",
        "CPU EPYC against Xeon",
    )
    assert [fact.label for fact in found.environment] == ["CPU"]
    anyway = compare(runs, "a", anyway=True)
    assert ratios(anyway)["b"] == 2.0
    assert anyway.refusals == found.refusals


@pytest.mark.parametrize("validity", [None, INVALID])
@pytest.mark.parametrize("environment", [{"hostname": "theirs"}, {"cpu_model": "EPYC"}, None])
def test_nothing_is_set_against_what_another_looplab_measured_elsewhere(environment, validity):
    """Also where it does not say on which machine, and where somebody asks for it."""
    origin = Origin("theirs", START, "0")
    ours = rate("a", 10.0, environment={"hostname": "ours"})
    theirs = rate("b", 20.0, environment=environment, origin=origin, validity=validity)
    for baseline, anyway in product("ab", (False, True)):
        found = compare([ours, theirs], baseline, anyway=anyway)
        other = {"a": "b", "b": "a"}[baseline]
        assert ratios(found)[other] is None
        assert found.apart == {other}
        kind = "invalid" if validity and other == "b" else "elsewhere"
        assert found.refusals[other].kind == kind


def test_an_own_run_that_came_back_is_of_this_machine():
    origin = Origin("ours", START, "0")
    runs = [rate(name, 10.0, environment={"hostname": "ours"}) for name in "ab"]
    found = compare([runs[0], replace(runs[1], origin=origin)], "a")
    assert (ratios(found)["b"], found.apart) == (1.0, frozenset())


def test_the_machine_is_that_of_the_baseline():
    other = {"cpu_model": "Xeon", "python": "3.11.7"}
    runs = [rate("a", 10.0), rate("b", 20.0, environment=other)]
    assert set(compare(runs, "b").refusals) == {"a"}


def test_a_run_without_a_result_is_refused_for_no_machine():
    newer = {"cpu_model": "EPYC", "python": "3.11.7", "kernel": "6.2"}
    older = {**newer, "kernel": "6.1"}
    a, c = (rate(name, 10.0, environment=older) for name in "ac")
    b = run("b", environment=newer, state=State.FAILED, streams=())
    found = compare([a, b, c], "a")
    assert (dict(found.refusals), ratios(found)["c"]) == ({}, 1.0)
    assert dict(compare([a, b, c], "b").refusals) == {}


def test_streams_are_matched_by_name():
    both = spec(names=("small", "large"))
    two = run(
        "a",
        spec=both,
        streams=(
            summary(name="small", throughput_per_s=10.0),
            summary(name="large", throughput_per_s=1.0),
        ),
    )
    single = run(
        "b", spec=spec(names=("large",)), streams=(summary(name="large", throughput_per_s=2.0),)
    )
    found = compare([two, single], "a")
    assert found.streams == ("small", "large")
    assert dict(found.row("large", "throughput_per_s").ratios) == {"a": 1.0, "b": 2.0}
    assert dict(found.row("small", "throughput_per_s").values) == {"a": 10.0, "b": None}
    assert compare([two, single], "b").streams == ("large", "small")


def test_the_only_stream_of_each_run_is_set_against_the_others():
    runs = [
        run(
            name[0],
            spec=spec(names=(name,)),
            streams=(summary(name=name, throughput_per_s=rate),),
        )
        for name, rate in (("reads", 10.0), ("writes", 20.0))
    ]
    for baseline, name, ratios_then in (
        ("r", "reads", {"r": 1.0, "w": 2.0}),
        ("w", "writes", {"r": 0.5, "w": 1.0}),
    ):
        found = compare(runs, baseline)
        assert (found.streams, found.own_names) == ((name,), {"r": "reads", "w": "writes"})
        assert dict(found.row(name, "throughput_per_s").ratios) == ratios_then
        assert found.measured_runs == tuple(runs)
        (named,) = [(field.field, dict(field.texts)) for field in found.differences]
        assert named == (STREAM_NAME, {"r": "reads", "w": "writes"})


def test_of_several_streams_only_those_of_one_name_are():
    runs = [
        run("a", spec=spec(names=("small", "large"))),
        run("b", spec=spec(names=("other",))),
    ]
    found = compare(runs, "a")
    assert (found.own_names, found.streams) == ({}, ("small", "large", "other"))


@pytest.mark.parametrize("names", [("small", "movies"), ("reads",)])
@pytest.mark.parametrize("baseline", ["a", "c"])
def test_a_run_without_a_result_does_not_decide_how_the_others_are_matched(names, baseline):
    a, b = (
        run(
            name[0],
            spec=spec(names=(name,)),
            streams=(summary(name=name, throughput_per_s=rate),),
        )
        for name, rate in (("arrivals", 10.0), ("bookings", 20.0))
    )
    c = run("c", spec=spec(names=names), state=State.FAILED, streams=())
    found = compare([a, b, c], baseline)
    assert len(found.streams) == 1
    assert ratios_of_only(found) == ({"a": 1.0, "b": 2.0} if baseline == "a" else {})
    assert (found.differences[0].field, found.differences[0].label) == (STREAM_NAME, "Stream")


def test_shares_of_errors_have_values_and_no_ratio():
    runs = [
        run("a", streams=(summary(error_share=0.001),)),
        run("b", streams=(summary(error_share=0.002),)),
    ]
    row = compare(runs, "a").row("items", "error_share")
    assert dict(row.values) == {"a": 0.001, "b": 0.002}
    assert set(row.ratios.values()) == {None}


@pytest.mark.parametrize(("trials", "expected"), [(1, 2.0), (2, None)])
def test_durations_are_compared_over_as_many_trials(trials, expected):
    slow = run("b", streams=(summary(duration_s=6.0),))
    slow = replace(slow, trials=(trial(*slow.streams),) * trials)
    found = compare([run("a", streams=(summary(duration_s=3.0),)), slow], "a")
    assert ratios(found, "duration_s")["b"] == expected


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("throughput_per_s", 500.0), ("duration_s", 3.0), ("peak_memory_bytes", 61_000_000)],
)
def test_values_of_a_summary(metric, expected):
    assert value_of(steady(1.0).summary, metric) == expected


def test_values_inside_times():
    summary_ = steady(1.0).summary
    assert summary_.response_time_s is not None
    assert value_of(summary_, "response_time_s.p99") == summary_.response_time_s.p99
    assert value_of(summary(response_time_s=None), "response_time_s.p99") is None
    assert value_of(None, "duration_s") is None


def test_twelve_runs_have_letters_in_the_order_of_the_url():
    runs = [rate(f"{index:010}", index + 1.0, title=f"t{index}") for index in range(12)]
    found = compare(runs, runs[3].id)
    assert [label.letter for label in found.labels] == list("ABCDEFGHIJKL")
    assert found.label(runs[3].id).letter == "D"
    assert found.run(runs[3].id) is runs[3]
