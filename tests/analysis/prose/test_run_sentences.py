"""The run page in words."""

from dataclasses import replace

import pytest

from control_plane.analysis.prose import plain_text
from control_plane.analysis.prose.run_sentences import banner, headline, lede, so_far
from control_plane.domain.load_models import Burst, Open
from control_plane.domain.result import (
    BegunAnswers,
    Cause,
    Censored,
    Progress,
    Reason,
    Timeline,
    Validity,
)
from control_plane.domain.run import Live, LiveStream, Run, State
from control_plane.domain.spec import RequestClass, Stream, Workload
from control_plane.domain.stream_record import FailedResponse
from control_plane.domain.times_and_percentiles import Times
from tests.builders.trials import gauges, run, spec, summary, trial, with_spaces

FULL = {"p50": 5_000, "p90": 1_000, "p95": 500, "p99": 100, "p999": 10}
SOME = {"p50": 1_000, "p90": 200, "p95": 100, "p99": 20, "p999": 2}
FEW = {"p50": 25, "p90": 5, "p95": 3, "p99": 1, "p999": 0}


def times(p50: float = 0.0068, p95: float = 0.0096, p99: float = 0.0132, **chosen) -> Times:
    support = chosen.get("support", FULL)
    return Times(0.001, p50, p50, 0.0085, p95, p99, 0.02, 0.0528, support)


def of(stream_times: Times | None, **chosen) -> Run:
    return run(title="items, async", streams=(summary(response_time_s=stream_times),), **chosen)


def headed(run: Run) -> str:
    return with_spaces(plain_text(headline(run)))


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            times(),
            "Half of the GET /items/1 requests answer "
            "in 6.80 ms, one in a hundred takes over 13.2 ms.",
        ),
        (
            times(0.0012, 0.933, 1.02, support=SOME),
            "Half of the GET /items/1 requests answer "
            "in 1.20 ms, but one in twenty takes over 933 ms.",
        ),
        (
            times(support=FEW),
            "Half of the GET /items/1 requests answer in 6.80 ms, the slowest in 52.8 ms.",
        ),
        (None, "items, async"),
    ],
)
def test_the_furthest_percentile_with_support_makes_the_headline(found, sentence):
    assert headed(of(found)) == sentence


@pytest.mark.parametrize(
    ("cause", "found", "ending"),
    [
        ("loop_blocked", True, "13.2 ms: the event loop was blocked 53 % of the window."),
        ("loop_blocked", False, "13.2 ms."),
        ("client_limited", True, "13.2 ms."),
    ],
)
def test_the_first_cause_ends_the_headline(cause, found, ending):
    seen = Cause(cause, "", {"blocked_share": 0.53}, found)
    assert headed(of(times(), causes=(seen,))).endswith(ending)


@pytest.mark.parametrize(
    ("answered_per_s", "sentence"),
    [
        (
            49.0,
            "Of 200 GET /items/1 requests a second that were offered, 49.0 were answered within "
            "the window.",
        ),
        (
            195.0,
            "Half of the GET /items/1 requests answer "
            "in 6.80 ms, one in a hundred takes over 13.2 ms.",
        ),
    ],
)
def test_an_offer_that_was_not_kept_up_with_is_the_news(answered_per_s, sentence):
    found = summary(
        response_time_s=times(), intended=800, duration_s=4.0, throughput_per_s=answered_per_s
    )
    assert headed(run(streams=(found,), spec=spec(load=Open("open", 200.0)))) == sentence


def test_a_run_in_which_nothing_completed_says_so_first():
    nothing = summary(completed=0, errors={"status": 8_331}, statuses={"404": 8_331})
    failing = run(streams=(nothing,), validity=Validity("invalid", ()))
    assert headed(failing) == "All 8,331 requests failed: GET /items/1 answered 404 every time."
    assert lede(failing) == "Correct the path: Workloads lists what it serves."
    refused = replace(nothing, errors={"refused": 12}, statuses={})
    assert headed(replace(failing, streams=(refused,))).endswith(
        "GET /items/1 ended with 12 × refused."
    )


def test_redirects_alone_say_where_they_lead() -> None:
    begun = BegunAnswers(385, 0, 1, {"0": "text/html"})
    nothing = summary(completed=0, errors={"redirect": 385}, statuses={"301": 385}, begun=begun)
    first = FailedResponse(
        error="redirect",
        request="GET /items/1",
        stream=nothing.name,
        status=301,
        location="/items/",
    )
    shown = run(
        streams=(nothing,),
        trials=(replace(trial(nothing), failures=(first,)),),
        validity=Validity("invalid", ()),
    )
    assert headed(shown) == "All 385 requests failed: GET /items/1 answered 301 every time."
    assert lede(shown) == (
        "GET /items/1 leads to /items/: measure the path that answers, "
        "or expect 301 where that is right."
    )
    assert lede(replace(shown, trials=())).startswith("Redirects are not followed: measure")


@pytest.mark.parametrize(
    ("begun", "errors", "sentence"),
    [
        (
            BegunAnswers(32, 32, 8, {"0": "text/event-stream"}),
            {"timeout": 32},
            "All 32 requests failed: GET /items/1 answers with a stream of text/event-stream that "
            "had no end within 30.0 s.",
        ),
        (
            BegunAnswers(0, 0, 8, {"0": ""}),
            {},
            "No answer ended: GET /items/1 answers with a body without a length that "
            "had no end when the window did.",
        ),
    ],
)
def test_answers_without_an_end_are_told_as_such(begun, errors, sentence):
    nothing = summary(
        completed=0, errors=errors, statuses={}, begun=begun, censored=Censored(8, 1.0, 2.0)
    )
    shown = run(streams=(nothing,), validity=Validity("invalid", ()))
    assert headed(shown) == sentence
    assert lede(shown).startswith("Read it until an event")
    slow = replace(nothing, begun=replace(begun, open_ends={}))
    assert "stream" not in headed(replace(shown, streams=(slow,)))


def test_a_median_without_support_is_not_said():
    assert headed(of(times(support={**FEW, "p50": 9}))) == "items, async"


@pytest.mark.parametrize(
    ("waiting", "fired", "said"),
    [(0, False, ""), (1, False, ""), (1, True, "completed "), (100, False, "completed ")],
)  # fmt: skip
def test_of_which_requests_the_headline_speaks(waiting, fired, said):
    stream = summary(response_time_s=times(), censored=Censored(waiting, 2.0, 2.5), requests=1_600)
    reasons = (reason("censored", "suspect", "Waiting."),) if fired else ()
    shown = run(streams=(stream,), validity=Validity("suspect" if fired else "valid", reasons))
    assert headed(shown).startswith(f"Half of the {said}GET /items/1 requests answer in")


def test_the_first_of_several_streams_is_named():
    streams = (summary(name="small", response_time_s=times()), summary(name="large"))
    assert headed(run(streams=streams)).startswith("Half of the small requests answer in 6.80 ms")


@pytest.mark.parametrize(
    "chosen",
    [
        {"state": State.RUNNING},
        {"state": State.FAILED},
        {"validity": Validity("invalid", (Reason("errors", "invalid", "x", 1, 1),))},
        {"streams": ()},
    ],
)
def test_without_a_result_the_title_is_the_headline(chosen):
    assert headed(replace(of(times()), **chosen)) == "items, async"


def test_the_lede_gives_load_rate_and_failures():
    stream = summary(completed=24_999, duration_s=1.75, throughput_per_s=14_285)
    assert with_spaces(lede(run(streams=(stream,)))) == (
        "24,999 requests in 1.75 s: 14,300 a second with 100 users, none failed. "
        "One trial gives no verdict."
    )


def test_the_lede_of_several_trials():
    stream = summary(completed=6_000, duration_s=15.0, errors={"reset": 12})
    measured = run(streams=(stream,), spec=spec("blocking", 1, trials=3), trials=(trial(),) * 3)
    assert with_spaces(lede(measured)) == (
        "6,000 requests in 3 trials of 5.00 s: 500 a second with one user, 12 failed. "
        "A run alone has no interval."
    )


def test_the_lede_of_a_burst():
    burst = Stream(
        (RequestClass(),), Burst("burst", 50), spec().workload.streams[0].stop, name="items"
    )
    bursting = run(spec=replace(spec(), workload=Workload((burst,))))
    assert "in a burst over 50 connections" in lede(bursting)


@pytest.mark.parametrize(
    ("censored", "added"),
    [
        (Censored(), False),
        (Censored(2, 0.001, 0.001), False),
        (Censored(100, 4.0, 5.0), True),
    ],
)
def test_those_still_waiting_are_counted_where_it_matters(censored, added):
    found = with_spaces(lede(run(streams=(summary(censored=censored),))))
    assert ("still waiting at the end, the mean is at least" in found) is added


@pytest.mark.parametrize("chosen", [{"state": State.RUNNING}, {"streams": ()}])
def test_nothing_is_said_before_the_end(chosen):
    assert lede(run(**chosen)) == ""


def reason(gate: str, level: str, text: str) -> Reason:
    assert level in {"suspect", "invalid"}
    return Reason(gate, "invalid" if level == "invalid" else "suspect", text, 1.0, 0.5)


@pytest.mark.parametrize(
    ("validity", "kind", "title", "text"),
    [
        (
            Validity("suspect", (reason("client_cpu", "suspect", "Client CPU 100 %."),)),
            "suspect",
            "Suspect: the client was at its limit",
            "Client CPU 100 %.",
        ),
        (
            Validity(
                "invalid",
                (
                    reason("errors", "invalid", "30 of 100 failed."),
                    reason("other_load", "suspect", "0.5 cores."),
                ),
            ),
            "invalid",
            "Invalid: requests failed",
            "30 of 100 failed. 0.5 cores. This run takes no part in comparisons.",
        ),
        (
            Validity(
                "invalid",
                (
                    reason("errors", "invalid", "1."),
                    reason("target_restarted", "invalid", "2."),
                ),
            ),
            "invalid",
            "Invalid: requests failed and a worker of the target ended",
            "1. 2. This run takes no part in comparisons.",
        ),
    ],
)
def test_banners_of_validity(validity, kind, title, text):
    found = banner(run(validity=validity))
    assert found is not None
    assert (found.kind, found.title, found.text) == (kind, title, text)


@pytest.mark.parametrize(
    ("state", "reason", "trials", "log", "title", "text"),
    [
        (
            State.FAILED,
            "failed (start): the target ended with exit code 3",
            0,
            ("Traceback",),
            "Failed (start): the target ended with exit code 3",
            "Nothing was measured. What the target printed last stands below.",
        ),
        (
            State.FAILED,
            "target ended before it was ready, exit code 1",
            0,
            ("Traceback (most recent call last):", "RuntimeError: DATABASE_URL is not set", "bye"),
            "Failed: target ended before it was ready, exit code 1: "
            "RuntimeError: DATABASE_URL is not set",
            "Nothing was measured. What the target printed last stands below.",
        ),
        (
            State.FAILED,
            "target died, signal 9",
            1,
            (),
            "Failed: target died, signal 9",
            "Trial 1 is kept, of 5 planned. An unfinished run gives no verdict.",
        ),
        (
            State.INTERRUPTED,
            "Looplab was stopped in trial 3",
            2,
            (),
            "Interrupted: Looplab was stopped in trial 3",
            "Trials 1 and 2 are kept, of 5 planned. An unfinished run gives no verdict.",
        ),
        (State.CANCELLED, None, 0, (), "Cancelled", "Nothing was measured."),
    ],
)
def test_banners_of_runs_that_ended_early(state, reason, trials, log, title, text):
    trials = (trial(),) * trials
    known = {"trials": trials} if trials else {"trials": (), "environment": None}
    ended = run(state=state, reason=reason, log=log, spec=spec(trials=5), **known)
    found = banner(ended)
    assert found is not None
    assert (found.kind, found.title, found.text) == (state.value, title, text)


@pytest.mark.parametrize(
    ("facts", "left"),
    [
        ({"started_at": None, "environment": None}, "It never began."),
        ({"environment": None}, "Nothing was measured."),
        ({}, "Trial 1 was under way and is not kept: only whole trials are."),
    ],
)
def test_what_is_left_of_a_first_trial_is_told(facts, left):
    for state in (State.INTERRUPTED, State.CANCELLED, State.FAILED):
        found = banner(run(state=state, trials=(), spec=spec(trials=1), **facts))
        assert found is not None
        assert found.text == left


@pytest.mark.parametrize("chosen", [{}, {"validity": Validity("valid")}, {"state": State.RUNNING}])
def test_a_sound_run_has_no_banner(chosen):
    assert banner(run(**chosen)) is None


def live(*streams: LiveStream, trials: int = 1, trial: int = 1) -> Live:
    progress = Progress("running", trial, trials, 0.5, 10.0, None)
    return Live("a", progress, 5.0, streams, gauges(), ())


def streaming(name: str, per_s: float | None) -> LiveStream:
    line = Timeline((160,), (0,), (0.6,), (0.7,), (0.8,), 1.0)
    return LiveStream(name, 160, 0, per_s, times(0.625) if per_s else None, line)


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (live(), "So far: nothing is measured yet."),
        (live(streaming("items", None)), "So far: nothing is measured yet."),
        (
            live(trials=5, trial=2),
            "So far: 1 trial is done, nothing of trial 2 is measured yet.",
        ),
        (
            live(trials=5, trial=3),
            "So far: 2 trials are done, nothing of trial 3 is measured yet.",
        ),
        (
            live(streaming("items", 160.0)),
            "So far: 160 requests a second; half of them answer in 625 ms. One trial gives no "
            "verdict.",
        ),
        (
            live(streaming("small", 160.0), streaming("large", None), trials=5),
            "So far: 160 small requests a second; half of them answer in 625 ms. No verdict before "
            "the last trial.",
        ),
    ],
)
def test_a_running_trial_in_words(view, text):
    assert with_spaces(so_far(view)) == text
