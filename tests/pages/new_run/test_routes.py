"""The form of a new run, sent as a browser without script does."""

import json
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

import pytest

from control_plane.domain.limits import Limits
from tests.dashboard import BARE, Dashboard, items_spec, long_spec, until
from tests.in_process import in_process
from tests.pages.form_page import Pairs, changed, form_of_page, send, wrong
from tests.pages.stored import words

SHORT = {
    "trials": "1",
    "warmup_s": "0.1",
    "stream__stop__duration_s": "0.2",
    "stream__load__think_time_s": "0.1",
    "target__configuration": "own",
    "target__server": "responder",
}
"""A short run of what starts soonest, with users who pause."""


def blank(looplab: Dashboard, query: str = "") -> Pairs:
    return form_of_page(looplab.get(f"/runs/new{query}").text, "/runs")


def ids(location: str) -> list[str]:
    return location.rpartition("=" if "=" in location else "/")[2].split(",")


def stored(looplab: Dashboard) -> list[str]:
    return [run["id"] for run in looplab.get("/api/runs").json()["runs"]]


def cancel(looplab: Dashboard, run_ids: list[str]) -> None:
    for run_id in reversed(run_ids):
        looplab.post(f"/api/runs/{run_id}/cancel")


def test_the_form_as_it_stands_starts_a_run_of_three_trials(empty: Dashboard) -> None:
    answer = send(empty, "/runs", blank(empty))
    assert answer.status_code == 303
    (run_id,) = ids(answer.headers["location"])
    spec = empty.run(run_id)["spec"]
    cancel(empty, [run_id])
    assert (spec["trials"], spec["client"]["strategy"]) == (3, "async")
    assert spec["workload"]["streams"][0]["stop"] == {"duration_s": 5.0}


@pytest.mark.slow
def test_several_strategies_make_runs_that_are_compared(empty: Dashboard) -> None:
    alone = changed(blank(empty), experiment__how="runs")
    pairs = changed(alone, client__strategy=("raw", "httpx", "blocking"), **SHORT)
    answer = send(empty, "/runs", pairs)
    assert answer.headers["location"].startswith("/compare?runs=")
    runs = [empty.finished(run_id) for run_id in ids(answer.headers["location"])]
    assert [run["spec"]["client"]["strategy"] for run in runs] == ["raw", "httpx", "blocking"]
    users = [run["spec"]["workload"]["streams"][0]["load"]["concurrency"] for run in runs]
    assert users == [64, 64, 1]


def test_two_arms_are_an_experiment_unless_told_otherwise(empty: Dashboard) -> None:
    pairs = changed(
        blank(empty),
        client__strategy=("raw", "httpx"),
        vary__0__field="workload.streams.0.load.concurrency",
        vary__0__values="1, 8, 0",
    )
    refused = send(empty, "/runs", pairs)
    assert refused.status_code == 422
    assert "below the smallest value" in wrong(refused.text)["vary.0.values"]
    right = changed(pairs, vary__0__values="1, 8")
    plan = words(send(empty, "/runs/new", right).text)
    assert "an experiment over 4 arms" in plan
    assert "4 arms × 4 blocks" in plan
    address = send(empty, "/runs", right).headers["location"]
    assert send(empty, "/runs", right).headers["location"] == address
    found = empty.get(f"/api/experiments/runs/{address.rpartition('/')[2]}").json()
    empty.post(f"/api/experiments/runs/{found['id']}/cancel")
    assert [arm["arm"] for arm in found["runs"]] == [
        "raw, concurrency 1",
        "raw, concurrency 8",
        "httpx, concurrency 1",
        "httpx, concurrency 8",
    ]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("timeout_s", "900", "900 is above the limit of 600. Raise LOOPLAB_MAX_TIMEOUT_S"),
        ("stream__load__concurrency", "1000000", "LOOPLAB_MAX_CONCURRENCY"),
        ("stream__stop__duration_s", "1000000000", "LOOPLAB_MAX_DURATION_S"),
        ("trials", "three", "'three' is not a number."),
        ("trials", "", "Give a number."),
        ("warmup_s", "-1", "below the smallest value of 0"),
        ("stream__requests__0__path", "items", "starts with one slash"),
        ("stream__requests__0__path", "//evil", "starts with one slash"),
        ("stream__requests__0__values__item_id__high", "0", "below low"),
        ("stream__requests__0__headers", "Host: x", "set by the client itself"),
        ("stream__requests__0__expect__statuses", "99", "below the smallest value"),
        ("stream__name", "", "must not be empty"),
        ("target__configuration", "gone", "There is no configuration"),
        ("title", "a\x00b", "Control characters"),
        ("tags", "x" * 41, "41 characters"),
        ("cores", "all", ""),
    ],
)
def test_a_wrong_field_is_told_there_and_the_others_are_kept(
    empty: Dashboard, name: str, value: str, message: str
) -> None:
    before = stored(empty)
    others = {"seed": "77", "stream__load__ramp_up_s": "0.5"}
    pairs = changed(blank(empty), **{**others, name: value})
    answer = send(empty, "/runs", pairs)
    assert answer.status_code == 422
    field = changed([], **{name: value})[0][0]
    assert message in wrong(answer.text)[field]
    shown = dict(form_of_page(answer.text, "/runs"))
    assert shown["seed"] == "77"
    assert shown["workload.streams.0.load.ramp_up_s"] == "0.5"
    if name not in {"target__configuration", "cores"}:
        assert shown[field] == value
    assert stored(empty) == before


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"rate_per_s": "fast"}, "load.rate_per_s", "is not a number"),
        ({"rate_per_s": "100 for"}, "load.rate_per_s", "write 100 for 5, 500 for 5"),
        ({"rate_per_s": "300000"}, "load.rate_per_s", "Raise LOOPLAB_MAX_RATE_PER_S"),
        ({"rate_per_s": "5 for 2, 0.01 for 2"}, "load.rate_per_s", "smallest value of 0.1"),
        ({"max_in_flight": "0"}, "load.max_in_flight", "smallest value of 1"),
        ({"strategy": "blocking"}, "load", "use the closed or the periodic model"),
        ({"strategy": "threaded", "max_in_flight": "501"}, "load.max_in_flight", "limit of 500"),
    ],
)
def test_an_open_load_is_checked_at_its_fields(
    empty: Dashboard, changes: dict[str, str], field: str, message: str
) -> None:
    fields = {f"stream__load__{key}": text for key, text in changes.items() if key != "strategy"}
    strategy = changes.get("strategy", "async")
    pairs = changed(blank(empty), stream__load="open", client__strategy=strategy, **fields)
    answer = send(empty, "/runs", pairs)
    assert answer.status_code == 422
    (told,) = wrong(answer.text).items()
    assert (told[0], message in told[1]) == (f"workload.streams.0.{field}", True)
    for key, text in fields.items():
        assert (key.replace("__", ".").replace("stream.", "workload.streams.0.", 1), text) in (
            form_of_page(answer.text, "/runs")
        )


def test_blocking_alone_with_many_users_is_refused_with_the_reason(empty: Dashboard) -> None:
    answer = send(empty, "/runs", changed(blank(empty), client__strategy="blocking"))
    message = wrong(answer.text)["workload.streams.0.load.concurrency"]
    assert message == "blocking sends one request at a time: use 1, or choose threaded."


@pytest.mark.parametrize(
    "changes",
    [
        {"trials": "0", "timeout_s": "900", "stream__load__concurrency": "0"},
        {"trials": "", "timeout_s": "x", "client__strategy": (), "target__configuration": ()},
        {"timeout_s": "x", "trials": "0", "target__configuration": "no such one"},
        {"timeout_s": "900", "trials": "0", "target__configuration": "no such one"},
        {"stream__stop__duration_s": "x", "stream__load__concurrency": "0", "warmup_s": "-1"},
    ],
)
def test_all_that_is_wrong_is_told_at_once(
    empty: Dashboard, changes: dict[str, str | tuple[str, ...]]
) -> None:
    told = wrong(send(empty, "/runs", changed(blank(empty), **changes)).text)
    wanted = {
        name.replace("__", ".").replace("stream.", "workload.streams.0.", 1) for name in changes
    }
    assert wanted == set(told)


def test_checking_starts_nothing(empty: Dashboard) -> None:
    before = stored(empty)
    pairs = changed(blank(empty), stream__requests__0__path="/items/{item_id}?q={word}")
    page = send(empty, "/runs/new", pairs).text
    assert wrong(page) == {}
    assert ("workload.streams.0.requests.0.values.word.kind", "integer") in form_of_page(
        page, "/runs"
    )
    assert stored(empty) == before


def test_a_placeholder_without_a_value_does_not_start(empty: Dashboard) -> None:
    pairs = changed(blank(empty), stream__requests__0__path="/items/{word}")
    answer = send(empty, "/runs", pairs)
    assert answer.status_code == 422
    assert "{word} has no value: choose it below." in wrong(answer.text).values()


def test_streams_and_request_classes_are_added_without_script(empty: Dashboard) -> None:
    pairs = blank(empty)
    for change in ("add workload.streams", "add workload.streams.1.requests"):
        page = send(empty, "/runs/new", [*pairs, ("change", change)]).text
        pairs = form_of_page(page, "/runs")
    names = [value for name, value in pairs if name.endswith(".name")]
    assert names == ["items", "items 2"]
    assert [name for name, _ in pairs if name.endswith(".path")] == [
        "workload.streams.0.requests.0.path",
        "workload.streams.1.requests.0.path",
        "workload.streams.1.requests.1.path",
    ]
    second = [("workload.streams.1.stop.duration_s", "0.2")]
    rest = [pair for pair in changed(pairs, **SHORT) if pair[0] != second[0][0]]
    (run_id,) = ids(send(empty, "/runs", rest + second).headers["location"])
    run = empty.finished(run_id)
    assert [stream["name"] for stream in run["streams"]] == ["items", "items 2"]


def test_a_login_is_added_and_removed_without_script(empty: Dashboard) -> None:
    page = send(empty, "/runs/new", [*blank(empty), ("change", "add before")]).text
    pairs = form_of_page(page, "/runs")
    filled = changed(pairs, **{"before.0.capture": "token: json access_token"})
    filled = changed(filled, **{"workload.streams.0.requests.0.headers": "X-Token: {token}"})
    again = form_of_page(send(empty, "/runs/new", filled).text, "/runs")
    names = {name for name, _ in again}
    assert "before.0.values.password.kind" in names
    assert "workload.streams.0.requests.0.values.token.kind" not in names
    change = ("change", "remove before.0")
    removed = form_of_page(send(empty, "/runs/new", [*again, change]).text, "/runs")
    assert not [name for name, _ in removed if name.startswith("before.")]


def test_pasted_commands_become_request_classes_of_their_address(empty: Dashboard) -> None:
    command = "curl http://127.0.0.1:9/pay --proxy x -d 'card=1&pin=1234567'"
    pairs = [*blank(empty), ("paste", command), ("how", "replace")]
    answer = send(empty, "/runs/new/pasted", pairs)
    assert "1 request class of http://127.0.0.1:9" in answer.text
    assert "--proxy is left out." in answer.text
    filled = dict(form_of_page(answer.text, "/runs"))
    assert filled["target.url"] == "http://127.0.0.1:9"
    assert filled["paste"] == ""
    request = "workload.streams.0.requests.0"
    assert json.loads(filled[f"{request}.body.form"]) == {"card": "1", "pin": "{pin}"}
    assert filled[f"{request}.values.pin.secret"] == "on"
    for pasted, said in (
        ("wget x", "Paste a command that begins with curl"),
        ('{"log": {"entries": [{"request": null}]}}', "log.entries.0.request: Input should be"),
        ("curl $'http://127.0.0.1:9/\\ud800'", "There is half of a character in it"),
    ):
        answer = send(empty, "/runs/new/pasted", [*blank(empty), ("paste", pasted)])
        assert answer.status_code == 422
        assert said in answer.text


def test_one_form_starts_its_runs_once(empty: Dashboard) -> None:
    pairs = changed(blank(empty), **SHORT)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: send(empty, "/runs", pairs), range(100)))
    assert {answer.status_code for answer in answers} == {303}
    (location,) = {answer.headers["location"] for answer in answers}
    assert empty.finished(ids(location)[0])["state"] == "finished"


def test_a_form_that_was_sent_can_be_sent_again_with_other_values(empty: Dashboard) -> None:
    pairs = changed(blank(empty), **SHORT)
    first = send(empty, "/runs", pairs).headers["location"]
    again = send(empty, "/runs", changed(pairs, seed="2"))
    assert again.status_code == 409
    assert "sent before with other values" in again.text
    shown = form_of_page(again.text, "/runs")
    assert ("seed", "2") in shown
    second = send(empty, "/runs", shown).headers["location"]
    cancel(empty, ids(first) + ids(second))
    assert first != second


def test_the_plan_is_a_fragment_with_time_command_and_spec(empty: Dashboard) -> None:
    pairs = changed(blank(empty), client__strategy=("async", "threaded", "blocking"))
    fragment = unescape(send(empty, "/runs/new/plan", pairs).text)
    assert fragment.strip().startswith('<div id="plan"')
    assert "3 strategies × 6 blocks, about" in fragment
    assert "uvicorn target_app.main:app" in fragment
    assert '"strategy": "async"' in fragment
    assert "hx-swap-oob" not in fragment


def test_the_plan_brings_the_rows_of_new_placeholders(empty: Dashboard) -> None:
    pairs = changed(blank(empty), stream__requests__0__path="/items/{other}")
    fragment = send(empty, "/runs/new/plan", pairs).text
    assert 'hx-swap-oob="outerMorph"' in fragment
    assert 'name="workload.streams.0.requests.0.values.other.kind"' in fragment
    assert "about" in fragment


def test_the_plan_marks_what_is_wrong_and_tells_no_time(empty: Dashboard) -> None:
    fragment = send(empty, "/runs/new/plan", changed(blank(empty), timeout_s="900")).text
    assert '<span class="wrong-line">' in fragment
    assert '<a href="#timeout_s">Deadline</a>' in fragment
    assert "about" not in fragment


def test_a_run_can_be_edited_and_run(looplab: Dashboard) -> None:
    spec = items_spec(title="mine", tags=["a", "b"], seed=5, target={"workers": 3, "threads": 9})
    run_id = looplab.submit(spec)
    shown = blank(looplab, f"?from={run_id}")
    cancel(looplab, [run_id])
    values = dict(shown)
    assert (values["title"], values["tags"], values["seed"]) == ("mine", "a, b", "5")
    assert values["target.configuration"] == "own"
    assert (values["target.workers"], values["target.threads"]) == ("3", "9")
    assert values["workload.streams.0.stop"] == "requests"
    again = ids(send(looplab, "/runs", shown).headers["location"])
    assert looplab.run(again[0])["spec"] == looplab.run(run_id)["spec"]
    cancel(looplab, again)


def test_a_title_that_was_made_is_made_anew(looplab: Dashboard) -> None:
    run_id = looplab.submit(items_spec(**BARE))
    cancel(looplab, [run_id])
    assert dict(blank(looplab, f"?from={run_id}"))["title"] == ""


def test_cores_by_number_are_kept_in_the_spec_below(looplab: Dashboard) -> None:
    run_id = looplab.submit(long_spec(cores={"target": [0], "client": [1]}))
    cancel(looplab, [run_id])
    page = looplab.get(f"/runs/new?from={run_id}").text
    assert "says more than the form can" in page
    assert '"target": [' in dict(form_of_page(page, "/runs/spec"))["spec"]


def test_a_spec_starts_as_json(empty: Dashboard) -> None:
    pairs = form_of_page(empty.get("/runs/new").text, "/runs/spec")
    answer = send(empty, "/runs/spec", pairs)
    assert answer.status_code == 303
    cancel(empty, ids(answer.headers["location"]))


@pytest.mark.parametrize(
    ("spec", "status", "message"),
    [
        ("{", 400, "not readable JSON"),
        ("[]", 422, "must be a JSON object"),
        ('{"trials": 0}', 422, "workload: "),
        ('{"workload": {"streams": []}, "extra": 1}', 422, "extra: "),
        ("<script>alert(1)</script>", 400, "not readable JSON"),
    ],
)
def test_a_wrong_spec_stays_in_its_box(
    empty: Dashboard, spec: str, status: int, message: str
) -> None:
    answer = send(empty, "/runs/spec", [("spec", spec)])
    assert answer.status_code == status
    assert message in unescape(answer.text)
    assert dict(form_of_page(answer.text, "/runs/spec"))["spec"] == spec
    assert "<script>alert" not in answer.text


def test_a_full_queue_keeps_the_form(tmp_path: Path) -> None:
    with in_process(tmp_path, limits=Limits(max_queue=1)) as looplab:
        looplab.submit(long_spec(**BARE))
        until(lambda: looplab.get("/healthz").json()["running"], "the first run works")
        looplab.submit(long_spec(**BARE))
        answer = send(looplab, "/runs", changed(blank(looplab), seed="77"))
        assert answer.status_code == 429
        assert "The queue is full" in answer.text
        assert dict(form_of_page(answer.text, "/runs"))["seed"] == "77"
        asked = send(looplab, "/experiments/classic/start", [])
        assert asked.status_code == 429
        assert "The queue is full" in asked.text
