"""The compare page in words."""

from dataclasses import replace

import pytest

from control_plane.analysis.comparison import Comparison, compare
from control_plane.analysis.prose import Sentence, plain_text
from control_plane.analysis.prose.comparison_scope import unlike_cores
from control_plane.analysis.prose.comparison_sentences import (
    caveats,
    comparison_title,
    no_verdict,
    shared_cause,
)
from control_plane.domain.client_strategies import StrategyName
from control_plane.domain.load_models import Open
from control_plane.domain.result import Cause, Reason, Validity
from control_plane.domain.run import Run, State
from control_plane.domain.times_and_percentiles import Times
from tests.builders.trials import run, spec, summary, with_spaces

INVALID = Validity("invalid", (Reason("errors", "invalid", "30 of 100 failed.", 0.3, 0.01),))
BLOCKED = "In A blocking the event loop was blocked 5.0 % of the window."
VERDICT = "One trial gives no verdict."


def said(words: Sentence) -> str:
    return with_spaces(plain_text(words))


def measured(
    strategy: StrategyName, per_s: float, p50_ms: float = 1.0, users: int = 1, **chosen
) -> Run:
    p50 = p50_ms / 1e3
    times = Times(p50, p50, p50, 2 * p50, 3 * p50, 4 * p50, 5 * p50, 6 * p50, {"p50": 500})
    stream = summary(throughput_per_s=per_s, response_time_s=times)
    defaults = {"title": strategy, "spec": spec(strategy, users), "streams": (stream,)}
    return run(strategy[:1] * 10, **{**defaults, **chosen})


def against_first(*runs: Run) -> Comparison:
    return compare(runs, runs[0].id)


@pytest.mark.parametrize(
    ("per_s", "sentence"),
    [
        (7_500, "B async served 7.5 times the requests per second of A blocking here."),
        (1_042, "B async served 1.04 times the requests per second of A blocking here."),
        (1_004, "B async served as many requests per second as A blocking here."),
        (890, "B async served 89 % of the requests per second of A blocking here."),
        (400, "B async served 40 % of the requests per second of A blocking here."),
    ],
)
def test_one_contender(per_s, sentence):
    found = against_first(measured("blocking", 1_000), measured("async", per_s))
    assert said(comparison_title(found)) == f"{sentence} {VERDICT}"


@pytest.mark.parametrize(
    ("per_s", "clause"),
    [
        (890, "; B threaded 89 %"),
        (1_500, "; B threaded 1.5 times"),
        (100, "; B threaded 10 %"),
        (1_001, "; B threaded as many as A blocking"),
    ],
)
def test_a_second_clause_for_the_other_contender(per_s, clause):
    runs = measured("blocking", 1_000), measured("threaded", per_s), measured("async", 7_500)
    assert said(comparison_title(against_first(*runs))) == (
        f"C async served 7.5 times the requests per second of A blocking here{clause}. {VERDICT}"
    )


@pytest.mark.parametrize(
    ("slow", "quick", "words"),
    [
        (
            "loop_blocked",
            "server_cpu",
            BLOCKED,
        ),
        ("loop_blocked", "loop_blocked", ""),
        (None, "loop_blocked", ""),
    ],
)
def test_the_slower_run_is_explained_by_what_it_has_alone(slow, quick, words):
    def because(cause):
        return (Cause(cause, "", {"blocked_share": 0.05}),) if cause else ()

    runs = (
        measured("blocking", 10, causes=because(slow)),
        measured("async", 900, causes=because(quick)),
    )
    assert said(caveats(against_first(*runs))) == words


def test_runs_are_named_as_runs():
    found = comparison_title(against_first(measured("blocking", 1_000), measured("async", 7_500)))
    assert [part.run and part.run.letter for part in found if part.kind == "run"] == ["B", "A"]
    assert [with_spaces(part.text) for part in found if part.kind == "number"] == ["7.5 times"]


def test_the_baseline_changes_the_sentence_and_not_the_letters():
    runs = measured("blocking", 1_000), measured("async", 7_500)
    assert said(comparison_title(compare(runs, runs[1].id))).startswith(
        "A blocking served 13 % of the requests per second of B async here"
    )


def test_several_trials_give_no_verdict_without_an_interval():
    runs = [
        measured("blocking", 1_000, spec=spec("blocking", 1, trials=3)),
        measured("async", 2_000, spec=spec("async", 1, trials=3)),
    ]
    assert no_verdict(against_first(*runs)) == "Single runs without an interval give no verdict."


def test_one_run_has_its_own_sentence():
    assert said(comparison_title(against_first(measured("async", 1_000)))).startswith(
        "Half of the GET "
    )


@pytest.mark.parametrize(
    ("states", "sentence"),
    [
        (
            ("finished", "finished", "running"),
            f"So far: B threaded served 89 % of the requests per second of A blocking "
            f"here. {VERDICT} 2 runs have ended, 1 to come.",
        ),
        (("finished", "running", "queued"), "1 run has ended, 2 to come."),
        (("queued", "queued", "queued"), "No run has ended, 3 to come."),
    ],
)
def test_the_sentence_fills_as_runs_finish(states, sentence):
    given = measured("blocking", 1_000), measured("threaded", 890), measured("async", 7_500)
    runs = [
        run if state == "finished" else replace(run, state=State(state), streams=())
        for run, state in zip(given, states, strict=True)
    ]
    assert said(comparison_title(against_first(*runs))) == sentence


def test_an_invalid_run_never_wins():
    runs = (
        measured("blocking", 1_000),
        measured("threaded", 900),
        measured("async", 9_000, validity=INVALID),
    )
    found = against_first(*runs)
    assert said(comparison_title(found)).startswith("B threaded served 90 % of the ")
    assert said(caveats(found)) == "C async is invalid and takes no part: 30 of 100 failed."
    anyway = compare(runs, runs[0].id, anyway=True)
    assert "async" not in said(comparison_title(anyway))


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        ({"validity": INVALID}, {}, "A blocking is invalid, so nothing is set against it."),
        (
            {"state": State.FAILED, "streams": ()},
            {},
            "A blocking failed and left no result: nothing is set against it.",
        ),
        (
            {"state": State.CANCELLED, "streams": ()},
            {},
            "A blocking was cancelled and left no result: nothing is set against it.",
        ),
        ({}, {"validity": INVALID}, "Not compared: B async is invalid."),
        ({}, {"state": State.FAILED, "streams": ()}, "Not compared: no other run left a result."),
        (
            {"state": State.FAILED, "streams": ()},
            {"state": State.CANCELLED, "streams": ()},
            "Not compared: none of these runs left a result.",
        ),
        (
            {},
            {"state": State.FAILED, "streams": (), "environment": {"cpu_model": "Xeon"}},
            "Not compared: no other run left a result.",
        ),
        ({}, {"environment": {"cpu_model": "Xeon"}}, "Not compared: the environments differ."),
        (
            {},
            {"spec": spec(names=("other", "third")), "streams": (summary(name="other"),)},
            "Not compared: the runs have no stream of the same name. "
            "Give the streams one name and run again.",
        ),
    ],
)
def test_why_nothing_is_compared(first, second, sentence):
    runs = measured("blocking", 1_000, **first), measured("async", 2_000, **second)
    assert said(comparison_title(against_first(*runs))) == sentence


def test_another_environment_is_named_with_both_values():
    runs = measured("blocking", 1_000), measured("async", 9, environment={"cpu_model": "Xeon"})
    assert said(caveats(against_first(*runs))) == (
        "B async was measured in another environment: CPU EPYC against Xeon."
    )


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State.FAILED, "failed"),
        (State.CANCELLED, "was cancelled"),
        (State.INTERRUPTED, "was interrupted"),
    ],
)
def test_runs_that_did_not_finish_keep_their_reason(state, words):
    ended = measured("threaded", 0, state=state, reason="target died, signal 9", streams=())
    found = against_first(measured("blocking", 1_000), ended, measured("async", 2_000))
    assert said(caveats(found)) == (
        f"B threaded left no result and takes no part ({state.value}: target died, signal 9)."
    )
    first = against_first(ended, measured("blocking", 1_000))
    assert said(caveats(first)) == f"A threaded {words}: target died, signal 9."
    early = replace(ended, reason=f"{state.value} in trial 2 of 3")
    first = against_first(early, measured("blocking", 1_000))
    assert said(caveats(first)) == f"A threaded {words} in trial 2 of 3."


@pytest.mark.parametrize(("per_s", "kept_up"), [(500, True), (300, False)])
def test_what_an_open_load_did_not_ask_for_is_no_weakness(per_s, kept_up):
    offered = summary(intended=1_500, duration_s=3.0, throughput_per_s=per_s)
    calm = measured("threaded", 0, spec=spec("threaded", load=Open("open", 500.0)))
    words = said(
        caveats(against_first(measured("async", 15_000), replace(calm, streams=(offered,))))
    )
    assert ("B threaded answered all that was offered: throughput tells" in words) is kept_up


def test_several_runs_without_a_result_are_told_together():
    ended = [
        measured(name, 0, state=State.FAILED, reason="exit code 3", streams=())
        for name in ("threaded", "raw")
    ]
    found = against_first(measured("blocking", 1_000), *ended, measured("async", 2_000))
    assert said(caveats(found)) == "B threaded and C raw left no result and take no part."
    assert shared_cause(found) is None


@pytest.mark.parametrize(
    ("p50_ms", "users", "sentence"),
    [
        (
            6.8,
            100,
            "A single request took least in A blocking: p50 0.470 ms against 6.80 ms in B async, "
            "which keeps 100 requests in flight.",
        ),
        (
            6.8,
            1,
            "A single request took least in A blocking: p50 0.470 ms against 6.80 ms in B async.",
        ),
        (0.5, 100, ""),
        (0.2, 100, ""),
    ],
)
def test_what_throughput_hides(p50_ms, users, sentence):
    runs = measured("blocking", 1_900, 0.47), measured("async", 14_300, p50_ms, users)
    assert said(caveats(against_first(*runs))) == sentence


@pytest.mark.parametrize(
    ("specs", "note"),
    [
        (
            [spec(), spec()],
            "No field differs as far as is known: the same spec was measured again, but whether "
            "of the same code is not known.",
        ),
        ([spec("blocking", 1), spec("async", 1)], None),
        (
            [spec("blocking", 1), spec("async", 100)],
            "Two fields differ, so a ratio belongs to strategy and concurrency together.",
        ),
        (
            [
                spec(),
                spec("threaded", 1, timeout_s=1.0, warmup_s=2.0, seed=5),
            ],
            "Five fields differ, so a ratio belongs to strategy, seed, warm-up and 2 more "
            "together.",
        ),
        ([spec()], None),
    ],
)
def test_what_a_ratio_belongs_to(specs, note):
    runs = [run(str(index) * 10, title=str(index), spec=each) for index, each in enumerate(specs)]
    assert shared_cause(against_first(*runs)) == note


@pytest.mark.parametrize(
    ("policies", "cores", "told"),
    [
        (
            ("apart", "shared"),
            "auto",
            "Their use of cores is not alike: target and client had cores of their own in A 0 and "
            "shared all in B 1. Give all of them the same cores.",
        ),
        (("shared", "shared"), "auto", ""),
        (("apart", "shared"), "shared", ""),
    ],
)
def test_cores_that_were_shared_out_otherwise_are_told(policies, cores, told):
    runs = [
        run(
            str(at) * 10, title=str(at), spec=spec(cores=cores), environment={"core_policy": policy}
        )
        for at, policy in enumerate(policies)
    ]
    assert plain_text(unlike_cores(against_first(*runs))) == told


def test_a_ratio_belongs_to_the_use_of_cores_too():
    runs = [
        run(
            policy * 2,
            title=policy,
            spec=spec("async", users),
            environment={"core_policy": policy},
        )
        for policy, users in (("apart", 1), ("shared", 2))
    ]
    assert shared_cause(against_first(*runs)) == (
        "Two fields differ, so a ratio belongs to concurrency and use of cores together."
    )
