"""What a redacted run no longer holds, and what it still tells."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from control_plane.analysis.differences import after_pause
from control_plane.analysis.validity.judged_run import disturbances
from control_plane.domain.experiment import Experiment, ExperimentArm, ExperimentDesign
from control_plane.domain.limits import Limits
from control_plane.domain.metrics_and_objectives import ArmObjective
from control_plane.domain.redaction import SHOWABLE, Redaction
from control_plane.domain.result import MachineUse, TargetUse, Validity
from control_plane.domain.run import Run
from control_plane.domain.spec_json import read_spec, write_spec
from control_plane.domain.stream_record import FailedResponse
from tests.builders.runs import ASYNC, LARGE_BODIES, detail_of, items, two_streams

FAILED = FailedResponse(error="status", request="GET /", stream="small", status=500)


def run_at(path: str = "/items/1", values: Any = None, **changes: Any) -> Run:
    stream = {
        "requests": [{"path": path, "values": values or {}}],
        "load": {"model": "closed", "concurrency": 4},
        "stop": {"requests": 2_000},
    }
    return replace(detail_of(items(trials=1, workload={"streams": [stream]}), ASYNC).run, **changes)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("GET /items/1: 500", "GET /items/1: 500"),
        ("bench was slow", "machine-1 was slow"),
        ("workbench and bench-2 stay", "workbench and bench-2 stay"),
        ("in /home/ann/app.py, line 3", "in (hidden path), line 3"),
        ("'/opt/shop/main.py:12'", "'(hidden path):12'"),
        ("file:///srv/shop/x", "(hidden path)"),
        ("~/code/shop", "(hidden path)"),
        (r"C:\shop\app.py failed", "(hidden path) failed"),
        ("asked http://127.0.0.1:9000/home/x/y", "asked http://127.0.0.1:9000/home/x/y"),
        ("from https://shop.example:8443/a", "from https://hidden-host:8443/a"),
        ("ws://u:p@db.internal/x", "ws://(hidden)@hidden-host/x"),
        ("db.internal was slow, so was 10.1.2.3:80", "hidden-host was slow, so was hidden-host:80"),
        ("mail ann@corp.shop.example", "mail (hidden)"),
        ("mailto:a.b+c@shop.de, or git@git.corp:x/y.git", "(hidden), or (hidden):x/y.git"),
        ("@app.route and a@b stay", "@app.route and a@b stay"),
        ("uvloop 0.21.0, shop.main:app, app.py", "uvloop 0.21.0, shop.main:app, app.py"),
        ("with API_KEY=canary1 or Bearer canary2", "with API_KEY=(hidden) or Bearer (hidden)"),
        ("40 tokens: all busy, token {token}", "40 tokens: all busy, token {token}"),
        ("HTTP://db.internal:80/", "HTTP://hidden-host:80/"),
        ("fd00::77 and [2001:db8:0:0:0:0:0:5]:80", "hidden-host and [hidden-host]:80"),
        ("at 12:30:45, rows[::2], ::1, a.py::test_b", "at 12:30:45, rows[::2], ::1, a.py::test_b"),
        ("on ci.acme.io or build.acme.de:22.", "on hidden-host or hidden-host:22."),
        ("scipy.io.read, shop.settings.dev", "scipy.io.read, shop.settings.dev"),
        ("Authorization: Basic QWxhZGRpbjpvcGVu", "Authorization: Basic (hidden)"),
        ("basic settings, authorization: missing", "basic settings, authorization: missing"),
    ],
)
def test_names_and_paths_are_hidden_in_texts(text: str, left: str) -> None:
    assert Redaction([run_at()]).text(text) == left
    if "(hidden)" not in left:
        assert Redaction([run_at()], SHOWABLE).text(text) == text


def test_secrets_in_texts_are_hidden_whatever_is_shown() -> None:
    redaction = Redaction([run_at()], SHOWABLE)
    assert redaction.text("http://u:p@a.example/ token=canary") == (
        "http://(hidden)@a.example/ token=(hidden)"
    )


def test_secrets_in_paths_of_requests_are_hidden_whatever_is_shown() -> None:
    path = "/x?api_key=canary1&token=canary2&page=1"
    run = run_at(path)
    failed = replace(FAILED, request=f"GET {path}")
    trials = tuple(replace(trial, failures=(failed,)) for trial in run.trials)
    shown = Redaction([run], SHOWABLE).run(replace(run, trials=trials))
    left = "/x?api_key=(hidden)&token=(hidden)&page=1"
    assert [request.path for _, request in shown.spec.requests()] == [left]
    assert shown.failures[0].request == f"GET {left}"
    assert read_spec(write_spec(shown.spec), Limits()) == shown.spec


def test_a_host_that_only_an_address_tells_is_hidden_where_its_name_stands_alone() -> None:
    run = run_at(command="serve --cache redis://cache01:6379 --queue redis://redis:6379")
    text = "cache01 and redis were slow, cache010 was not"
    assert Redaction([run]).text(text) == "host-1 and redis were slow, cache010 was not"


def test_streams_that_tell_something_are_called_otherwise_in_every_part() -> None:
    document = write_spec(items(trials=1))
    (stream,) = document["workload"]["streams"]
    names = ("GET http://u:canary1@canary.internal/", "GET http://u:canary2@canary2.internal/")
    document["workload"]["streams"] = [{**stream, "name": name} for name in names]
    document["objectives"] = [{"metric": "throughput_per_s", "at_least": 1, "stream": names[1]}]
    detail = detail_of(read_spec(document, Limits()), ASYNC)
    failed = replace(FAILED, stream=names[0])
    trials = tuple(replace(trial, failures=(failed,)) for trial in detail.run.trials)
    detail = replace(detail, run=replace(detail.run, trials=trials))
    shown = Redaction([detail.run]).detail(detail)
    assert "canary" not in str(shown)
    told = tuple(f"GET http://(hidden)@host-{place}/" for place in (1, 2))
    assert tuple(shown.streams) == tuple(shown.timelines) == tuple(shown.slices) == told
    assert tuple(stream.name for stream in shown.run.spec.workload.streams) == told
    assert tuple(shown.run.trials[0].client.connections) == told
    assert [each.name for each in shown.run.streams] == list(told)
    assert shown.run.spec.objectives[0].stream == told[1]


def test_programs_that_count_to_the_target_have_numbers() -> None:
    detail = detail_of(items(trials=1), ASYNC)
    (gauges,) = detail.gauges
    named = replace(gauges.processes[0], program="canary")
    detail = replace(detail, gauges=(replace(gauges, processes=(named, *gauges.processes[1:])),))
    redaction = Redaction([detail.run])
    assert redaction.detail(detail).gauges[0].processes[0].program == "program-1"
    whole = Redaction([detail.run], SHOWABLE).detail(detail)
    assert whole.gauges[0].processes[0].program == "canary"


@pytest.mark.parametrize(
    ("path", "text", "left"),
    [
        ("/data/{x}", "GET /data/7/y, /home/data/7", "GET /data/7/y, (hidden path)"),
        ("/home/list", "GET /home/list: /home/list/of.py", "GET /home/list: (hidden path)"),
        ("/", "GET /: /srv/a.py", "GET /: (hidden path)"),
    ],
)
def test_paths_of_requests_are_told_from_those_of_files(path: str, text: str, left: str) -> None:
    values = {"x": {"kind": "integer", "low": 1, "high": 9}} if "{" in path else {}
    assert Redaction([run_at(path, values)]).text(text) == left


def test_machines_are_the_same_where_they_were() -> None:
    names = ("one.example", "two", "One.example")
    runs = [run_at(environment={"hostname": name, "kernel": "6.1"}) for name in names]
    redaction = Redaction(runs)
    shown = [redaction.run(run).environment for run in runs]
    assert shown[0] == shown[2] == {"hostname": "machine-1", "kernel": "6.1"}
    assert shown[1] == {"hostname": "machine-2", "kernel": "6.1"}


def test_a_host_called_as_its_system_hides_no_system() -> None:
    run = run_at(environment={"hostname": "linux", "system": "Linux", "kernel": "6.1"})
    shown = Redaction([run]).run(run).environment
    assert shown == {"hostname": "machine-1", "system": "Linux", "kernel": "6.1"}


def test_what_is_expected_and_captured_is_searched() -> None:
    document = write_spec(items(trials=1))
    (stream,) = document["workload"]["streams"]
    stream["requests"][0]["expect"] = {"text": "by http://db.internal/ in /home/ann/x"}
    document["before"] = [{"path": "/login", "capture": {"token": {"header": "bench"}}}]
    run = run_at(spec=read_spec(document, Limits()))
    shown = write_spec(Redaction([run]).run(run).spec)
    (stream,) = shown["workload"]["streams"]
    assert stream["requests"][0]["expect"]["text"] == "by http://host-1/ in (hidden path)"
    assert shown["before"][0]["capture"] == {"token": {"header": "machine-1"}}


def test_other_programs_are_numbered_where_they_are_told_and_where_they_disturbed() -> None:
    run = run_at()
    machine = MachineUse({"canary daemon": 1.5, "canary": 0.5})
    trial = run.trials[0]
    trial = replace(
        trial,
        machine=machine,
        client=replace(trial.client, other_cpu=2.0),
        streams=tuple(replace(stream, duration_s=5.0) for stream in trial.streams),
    )
    reasons = disturbances(trial, run.spec)
    assert "of which canary daemon 1.5, canary 0.5" in reasons[0].text
    run = replace(run, trials=(trial,), validity=Validity("suspect", reasons, reasons))
    shown = Redaction([run]).run(run)
    assert shown.trials[0].machine == MachineUse({"program-1": 1.5, "program-2": 0.5})
    assert shown.validity is not None
    assert "of which program-1 1.5, program-2 0.5" in shown.validity.reasons[0].text
    assert "canary" not in str(shown)
    assert "of which canary daemon 1.5" in str(Redaction([run], SHOWABLE).run(run).validity)


def test_arms_that_would_be_called_the_same_have_numbers() -> None:
    names = ("in /srv/a/app.py", "in /srv/b/app.py", "bench")
    design = ExperimentDesign(objectives=(ArmObjective("throughput_per_s", 1, arm=names[1]),))
    arms = tuple(ExperimentArm(name, None) for name in names)
    shown = Redaction([run_at()]).experiment(Experiment("x", "?", design, arms, datetime.now(UTC)))
    hidden = ["in (hidden path) 1", "in (hidden path) 2", "machine-1"]
    assert [arm.name for arm in shown.arms] == hidden
    assert shown.design.objectives[0].arm == hidden[1]


def test_what_changed_in_a_pause_is_told_without_its_values() -> None:
    before = {"hostname": "old.example", "server_settings": {"DB_URL": "canary"}}
    environment = after_pause(before, {"hostname": "b.example", "server_settings": {"DB_URL": "x"}})
    shown = Redaction([run_at(environment=environment)]).run(run_at(environment=environment))
    assert shown.environment == {"hostname": "machine-1", "changed_in_pause": ["(hidden)"]}
    whole = Redaction([], SHOWABLE).run(run_at(environment=environment))
    assert whole.environment == environment


@pytest.mark.parametrize(
    ("location", "left"),
    [
        ("/login?next=http://a.example/", "/login"),
        ("//a.example/login", None),
        ("/\\a.example/login", None),
        ("http://a.example/", None),
    ],
)
def test_where_a_failed_request_was_led_names_no_host(location: str, left: str | None) -> None:
    run = run_at()
    trial = replace(run.trials[0], failures=(replace(FAILED, location=location),))
    (shown,) = Redaction([run]).run(replace(run, trials=(trial,))).failures
    assert shown.location == left


def test_logs_stacks_and_answers_go_whatever_is_shown() -> None:
    detail = detail_of(two_streams(), LARGE_BODIES)
    failed = replace(
        FAILED, location="http://a.example/", head="H: 1", body="body", body_bytes=4, detail="x"
    )
    trials = tuple(replace(trial, failures=(failed,)) for trial in detail.run.trials)
    whole = replace(detail, run=replace(detail.run, trials=trials, log=("a line",)))
    shown = Redaction([whole.run], SHOWABLE).detail(whole)
    assert shown.run.log == ()
    assert all(trial.target.log == () for trial in shown.run.trials)
    assert shown.run.failures == (FAILED,)
    assert any(stall.stack for gauges in whole.gauges for stall in gauges.stalls)
    assert not any(stall.stack for gauges in shown.gauges for stall in gauges.stalls)
    assert shown.run.command == whole.run.command
    assert shown.run.causes == whole.run.causes


def test_a_target_elsewhere_keeps_its_kind() -> None:
    document = write_spec(items(trials=1))
    document["target"] = {"url": "http://127.0.0.1:9000", "host": "shop.example:80"}
    run = run_at(spec=read_spec(document, Limits()), configuration="http://127.0.0.1:9000")
    trial = replace(run.trials[0], target=TargetUse("http://10.1.2.3:80", "shop.example"))
    run = replace(run, trials=(trial,), note="10.1.2.3 was slow")
    shown = Redaction([run]).run(run)
    assert shown.spec.target.url == "http://127.0.0.1:9000"
    assert shown.spec.target.host == "host-2:80"
    assert shown.trials[0].target == TargetUse("http://host-1:80", "host-2")
    assert shown.note == "host-1 was slow"
