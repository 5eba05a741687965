"""Each gate by a table around its limits; then the outcome of all together."""

from dataclasses import replace

import pytest

from control_plane.analysis.validity.judged_run import judge
from control_plane.domain.result import BegunAnswers, Censored, MachineUse, Reason, Trial, Validity
from control_plane.domain.spec import UrlTarget
from control_plane.domain.stream_record import FailedResponse
from tests.builders.trials import known, reason_of, spec, summary, trial, with_spaces


def failing(failed: int, of: int):
    return summary(completed=of - failed, errors={"reset": failed}, error_share=failed / of)


def said(reason: Reason | None) -> str:
    return with_spaces(known(reason).text)


@pytest.mark.parametrize(
    ("failed", "of", "level"),
    [
        (0, 1_000, "ok"),
        (1, 1_000, "ok"),
        (2, 1_000, "suspect"),
        (10, 1_000, "suspect"),
        (11, 1_000, "invalid"),
        (1_000, 1_000, "invalid"),
    ],
)
def test_errors(failed, of, level):
    found = known(reason_of("errors", [trial(failing(failed, of))]))
    assert found.level == level


def test_timeouts_of_a_stream_are_told_with_what_to_do():
    begun = BegunAnswers(900, 600, 0, {"0": "text/event-stream"})
    worst = replace(failing(600, 1_000), errors={"timeout": 600}, begun=begun)
    text = said(reason_of("errors", [trial(worst)]))
    assert "answers with a stream of text/event-stream that had no end within 30.0 s. Read" in text
    some = replace(worst, begun=replace(begun, timeouts=5, open_ends={"0": "text/plain"}))
    assert "stream" not in said(reason_of("errors", [trial(some)]))


def test_errors_name_the_worst_trial_and_its_classes():
    worst = replace(failing(30, 1_000), errors={"reset": 10, "timeout": 20})
    trials = [trial(summary()), trial(worst, block=1), trial(failing(1, 1_000), block=2)]
    found = known(reason_of("errors", trials))
    assert said(found) == (
        "30 of 1,000 requests failed in trial 2: 20 × timeout, 10 × reset (limit 1 %)."
    )
    assert (found.value, found.limit) == (0.03, 0.01)


@pytest.mark.parametrize(
    ("statuses", "kinds"),
    [
        ({"200": 394, "404": 600, "503": 6}, "600 × status 404, 6 × status 503"),
        ({"200": 394, "302": 9, "404": 606}, "606 × status 404"),
        ({"200": 1_000}, "606 × unexpected status"),
    ],
)
def test_a_status_is_named_by_its_code(statuses, kinds):
    worst = replace(failing(606, 1_000), errors={"status": 606}, statuses=statuses)
    assert f"requests failed: {kinds} (" in said(reason_of("errors", [trial(worst)]))


@pytest.mark.parametrize(
    ("statuses", "hint"),
    [
        ({"200": 394, "409": 606}, " Mostly 409: what was sent is there already"),
        ({"200": 394, "401": 606}, " Mostly 401: the target wants to know who asks"),
        ({"200": 494, "401": 506}, " Mostly 401: the target wants to know who asks"),
        ({"422": 606, "200": 394}, " Mostly 422: what was sent has not the shape"),
    ],
)
def test_a_status_of_most_answers_has_its_usual_reason(statuses, hint):
    wrong = sum(number for code, number in statuses.items() if code != "200")
    worst = replace(failing(wrong, 1_000), errors={"status": wrong}, statuses=statuses)
    assert hint in said(reason_of("errors", [trial(worst)]))


def redirected(status: int, location: str) -> Trial:
    worst = replace(failing(385, 385), errors={"redirect": 385}, statuses={str(status): 385})
    first = FailedResponse(
        error="redirect",
        request="GET /items/17",
        stream=worst.name,
        status=status,
        location=location,
    )
    return replace(trial(worst), failures=(first,))


@pytest.mark.parametrize(
    ("status", "location", "hint"),
    [
        (
            301,
            "/items/17/",
            "GET /items/17 leads to /items/17/: measure the path that answers, or expect 301",
        ),
        (
            307,
            "http://127.0.0.2:1/items/17/?page=2",
            "leads to /items/17/: measure the path that answers, send",
        ),
        (302, "/login", "send what it wants where that is a login, or expect 302 where that is"),
        (
            301,
            "https://private.example/items",
            "Mostly 301: redirects are not followed: measure the path",
        ),
        (301, "//private.example/items", "redirects are not followed"),
    ],
)
def test_a_redirect_says_where_it_leads(status: int, location: str, hint: str) -> None:
    text = said(reason_of("errors", [redirected(status, location)]))
    assert text.startswith("385 of 385 requests failed: 385 × redirect (limit 1 %). Mostly 30")
    assert hint in text
    assert "private" not in text
    assert "page" not in text


def test_a_whole_answer_on_its_way_at_the_end_is_none_without_an_end() -> None:
    """A chunked redirect has no length either, and its last chunk comes a moment later."""
    led = redirected(301, "/items/17/")
    begun = BegunAnswers(385, 0, 3, {"0": "text/html"})
    late = replace(led, streams=(replace(led.streams[0], completed=0, begun=begun),))
    for gate in ("completed", "errors"):
        assert "had no end" not in said(reason_of(gate, [late]))
    more = replace(begun, in_flight=400)
    assert "had no end" in said(
        reason_of("completed", [replace(late, streams=(replace(late.streams[0], begun=more),))])
    )


@pytest.mark.parametrize("statuses", [{"200": 700, "409": 300}, {"500": 900, "200": 100}])
def test_other_statuses_have_no_reason(statuses):
    wrong = sum(number for code, number in statuses.items() if code != "200")
    worst = replace(failing(wrong, 1_000), errors={"status": wrong}, statuses=statuses)
    assert "Mostly" not in said(reason_of("errors", [trial(worst)]))


def test_no_errors_are_said_too():
    assert (
        said(reason_of("errors", [trial(summary()), trial(summary())]))
        == "0 of 3,000 requests failed."
    )


@pytest.mark.parametrize(
    ("share", "level"), [(0.12, "ok"), (0.849, "ok"), (0.85, "suspect"), (1.0, "suspect")]
)
def test_client_cpu(share, level):
    found = known(reason_of("client_cpu", [trial(summary(), busiest_cpu_share=share)]))
    assert (found.level, found.value, found.limit) == (level, share, 0.85)


def test_a_client_at_its_limit_is_explained():
    trials = [trial(summary()), trial(summary(), block=1, busiest_cpu_share=1.0)]
    assert said(reason_of("client_cpu", trials)) == (
        "Client CPU 100 % of one core in trial 2 (limit 85 %): read the numbers as facts about "
        "the client."
    )


@pytest.mark.parametrize(
    ("oldest_s", "level"), [(0.01, "ok"), (1.5, "ok"), (1.51, "suspect"), (2.9, "suspect")]
)
def test_censored(oldest_s, level):
    stream = summary(censored=Censored(75, oldest_s / 2, oldest_s))
    assert known(reason_of("censored", [trial(stream)], spec(duration_s=3.0))).level == level


def test_censored_says_what_those_waiting_would_add():
    waiting = summary(censored=Censored(1_500, 2.5, 2.9), requests=3_000)
    text = said(reason_of("censored", [trial(waiting)], spec(duration_s=3.0)))
    assert text.startswith(
        "1,500 of 3,000 requests were in flight when the window ended, the oldest for 2.90 s, "
        "over half the window of 3.00 s. Counting those still waiting, the mean is at least 1.25 s"
    )
    young = summary(censored=Censored(1_500, 0.000_001, 2.9), requests=3_000)
    assert "Counting" not in said(reason_of("censored", [trial(young)], spec(duration_s=3.0)))


def test_requests_of_an_open_load_that_never_end_are_told_apart():
    """They were awaited after the window, so nothing is said of its end."""
    waiting = summary(censored=Censored(15, 2.5, 3.2, 0, awaited_s=2.5), requests=3_000)
    assert said(reason_of("censored", [trial(waiting)], spec(duration_s=3.0))).startswith(
        "15 of 3,000 requests had no end 2.50 s after the window, the oldest for 3.20 s, over half"
    )


@pytest.mark.parametrize(
    ("most", "share", "level"),
    [
        (0.05, 0.049, "suspect"),
        (0.05, 0.051, "invalid"),
        (0.0, 0.0001, "invalid"),
        (1, 1, "suspect"),
    ],
)
def test_the_spec_sets_the_error_limit(most, share, level):
    worst = summary(errors={"reset": 5}, error_share=share)
    found = judge([trial(worst)], [worst], spec(max_error_share=most))
    assert (found.outcome, found.reasons[0].gate) == (level, "errors")


def test_censored_is_judged_only_for_windows_of_a_given_length():
    stream = summary(censored=Censored(75, 1.0, 2.9))
    assert reason_of("censored", [trial(stream)], spec()) is None
    mixed = spec(duration_s=3.0, names=("other",))
    assert reason_of("censored", [trial(stream)], mixed) is None


@pytest.mark.parametrize(
    ("ratio", "level"),
    [(1.0, "ok"), (1.0999, "ok"), (1.101, "invalid"), (0.901, "ok"), (0.89, "invalid")],
)
def test_recorder(ratio, level):
    found = known(reason_of("recorder", [trial(summary(), little_ratio={"items": ratio})]))
    assert found.level == level


def test_the_recorder_is_judged_by_the_stream_that_is_furthest_off():
    trials = [
        trial(summary(), little_ratio={"a": 0.99, "b": 1.02}),
        trial(summary(), block=1, little_ratio={"a": 0.8}),
    ]
    found = known(reason_of("recorder", trials))
    assert found.level == "invalid"
    assert found.value == pytest.approx(0.2)
    assert "in trial 2" in said(found)


def test_the_recorder_is_not_judged_without_a_closed_stream():
    assert reason_of("recorder", [trial(summary())]) is None


@pytest.mark.parametrize(
    ("restarts", "level", "text"),
    [
        (0, "ok", "No worker of the target ended."),
        (1, "invalid", "1 worker of the target died or restarted."),
        (3, "invalid", "3 workers of the target died or restarted."),
    ],
)
def test_target_restarted(restarts, level, text):
    found = known(reason_of("target_restarted", [trial(summary(), restarts=restarts)]))
    assert (found.level, said(found)) == (level, text)


@pytest.mark.parametrize(
    ("restarts", "recycled", "level", "text"),
    [
        (12, 12, "ok", "12 workers ended at the server’s limit of requests."),
        (
            3,
            2,
            "invalid",
            "1 worker of the target died or restarted. "
            "Besides, 2 workers ended at the server’s limit of requests.",
        ),
    ],
)
def test_workers_that_end_by_design_are_told_apart(restarts, recycled, level, text):
    only = trial(summary())
    only = replace(only, target=replace(only.target, restarts=restarts, recycled=recycled))
    found = known(reason_of("target_restarted", [only]))
    assert (found.level, said(found), found.value) == (level, text, restarts - recycled)


def test_a_target_whose_processes_nobody_sees_is_not_judged_for_restarts():
    assert reason_of("target_restarted", [trial(summary(), restarts=None)]) is None


@pytest.mark.parametrize(
    ("codes", "level", "text"),
    [
        ((None, None), None, ""),
        (("a", "a"), "ok", "All trials measured the same code of the application."),
        # Of trials from before it was kept nothing is known.
        ((None, "a"), None, ""),
        (("a", "a", "a + 1", "a"), "suspect", "was changed while it was measured, before trial 3:"),
    ],
)
def test_code_that_changed(codes, level, text):
    trials = [trial(summary(), block=block) for block in range(len(codes))]
    for block, code in enumerate(codes):
        trials[block] = replace(trials[block], target=replace(trials[block].target, code=code))
    found = reason_of("code_changed", trials)
    assert (found and found.level) == level
    assert found is None or text in said(found)


@pytest.mark.parametrize(
    ("cores", "level"), [(None, None), (0.0, "ok"), (0.2, "ok"), (0.21, "suspect")]
)
def test_other_load(cores, level):
    found = reason_of("other_load", [trial(summary(), other_cpu=cores)])
    assert (found and found.level) == level


@pytest.mark.parametrize(
    ("machine", "level"),
    [
        (None, None),
        (MachineUse(), None),
        (MachineUse(control_cores=0.05), "ok"),
        (MachineUse(control_cores=0.06), "suspect"),
    ],
)
def test_pages_that_took_processor_time(machine, level):
    only = replace(trial(summary(), other_cpu=0.3), machine=machine)
    found = reason_of("viewers", [only])
    assert (found and found.level) == level
    named = "of which Looplab itself 0.06" in known(reason_of("other_load", [only])).text
    assert named == (machine is not None and machine.control_cores == 0.06)


def test_a_stream_without_a_completed_request():
    empty = summary(name="large", completed=0)
    assert reason_of("completed", [trial(summary())]) is None
    assert said(reason_of("completed", [trial(empty)])) == "No request completed."
    assert (
        said(reason_of("completed", [trial(summary(), empty)])) == "No request completed in large."
    )
    one_of_two = [trial(summary()), trial(empty, block=1)]
    assert said(reason_of("completed", one_of_two)) == "No request completed in trial 2."


def test_a_sound_run_is_valid_and_every_gate_is_kept():
    only = trial(summary(), little_ratio={"items": 1.01}, other_cpu=0.06)
    found = judge([only], [summary()], spec(duration_s=3.0))
    assert (found.outcome, found.reasons) == ("valid", ())
    assert [reason.gate for reason in found.judged] == [
        "errors",
        "client_cpu",
        "censored",
        "stuck",
        "recorder",
        "target_restarted",
        "other_load",
    ]


def test_the_worst_gate_decides_and_comes_first():
    only = trial(summary(), busiest_cpu_share=1.0, restarts=1, other_cpu=0.5)
    found = judge([only], [summary()], spec())
    assert found.outcome == "invalid"
    assert [reason.gate for reason in found.reasons] == [
        "target_restarted",
        "client_cpu",
        "other_load",
    ]


def test_suspect_stays_suspect():
    found = judge([trial(summary(), busiest_cpu_share=0.9)], [summary()], spec())
    assert found.outcome == "suspect"


def test_a_finished_run_without_a_completed_request_is_invalid():
    empty = summary(completed=0, response_time_s=None, service_time_s=None)
    found = judge([trial(empty)], [empty], spec())
    assert (found.outcome, found.reasons[0].gate) == ("invalid", "completed")


def test_nothing_judged_is_no_outcome():
    assert judge([], [], spec()) == Validity(None)


def test_an_external_target_is_judged_by_what_is_known():
    only = trial(summary(), restarts=None, other_cpu=None)
    found = judge([only], [summary()], spec(target=UrlTarget("http://127.0.0.1:9000")))
    assert [reason.gate for reason in found.judged] == ["errors", "client_cpu", "stuck"]
    assert found.outcome == "valid"


def test_workers_of_a_server_that_runs_already_are_seen_from_outside():
    only = trial(summary(), restarts=3)
    url = spec(target=UrlTarget("http://127.0.0.1:9000"))
    assert said(reason_of("target_restarted", [only], url)) == (
        "At least 3 workers of the target ended: from outside short lives are missed, and a limit "
        "of requests cannot be told from a death."
    )
