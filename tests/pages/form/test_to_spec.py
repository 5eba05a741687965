"""Forms as documents, and specs as forms: one is the inverse of the other."""

from typing import Any

import pytest

from control_plane.analysis.client_ceiling import ceiling_submission
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.limits import Limits
from control_plane.domain.spec import Client, Spec
from control_plane.domain.spec_json import Document, read_spec, write_spec
from control_plane.experiments import preset_catalogue
from control_plane.experiments.experiment_file import bundled_experiments
from control_plane.pages.form import FormData
from control_plane.pages.form.from_spec import form_from_spec, fully_shown
from control_plane.pages.form.to_spec import form_arms
from control_plane.targets.configurations import BUILTIN_CONFIGURATIONS, find_configuration
from tests.builders import runs

STREAM = "workload.streams.0"


def documents(form: FormData) -> tuple[list[Document], list[FieldError]]:
    arms, wrong = form_arms(form)
    return [arm.document for arm in arms], wrong


def resolved(document: Any) -> Spec:
    return read_spec(document, Limits(), lambda named: find_configuration(named.configuration))


def form(**changes: tuple[str, ...]) -> FormData:
    """The form of the classic items run; `a__b` names the field `a.b`."""
    named = {name.replace("__", "."): texts for name, texts in changes.items()}
    return FormData({**form_from_spec(runs.items(), BUILTIN_CONFIGURATIONS).values, **named})


def request(**keys: Any) -> dict[str, Any]:
    return {"requests": [{"path": "/x", **keys}], "load": {"concurrency": 2}}


SPECS: dict[str, dict[str, Any]] = {
    **{preset.name: preset.document for preset in preset_catalogue().presets},
    **{
        f"{bundled.slug} {arm['name']}": arm["spec"]
        for bundled in bundled_experiments().values()
        for arm in bundled.document("full")["arms"]
    },
    "url": {"target": {"url": "http://127.0.0.1:9000", "host": "shop.example"}},
    "own": {"target": {"workers": 3, "threads": 7, "access_log": True, "settings": {"cpu_n": 3.5}}},
    "granian": {
        "target": {"server": "granian", "http": None, "keep_alive_s": None, "workers": 3}
    },
    "ceiling": ceiling_submission(Client()),
    "gunicorn": {
        "target": {
            "server": "gunicorn", "worker": "asgi", "workers": 3, "http": None, "reuse_port": True
        }
    },
    "until bytes": request(until={"bytes": 512}),
    "until a time": request(until={"seconds": 0.5}),
    "until an event": request(until={"event": 3}),
    "rows": request(
        values={
            "account": {
                "kind": "row",
                "file": {"content": "user,pin\nann,1", "name": "users.csv"},
                "columns": ["pin", "user"],
                "order": "shuffled",
                "secret": ["pin"],
                "repeat": True,
            }
        },
        headers={"X-Account": "{user} {pin}"},
    ),
    "logins": {
        "client": {"cookies": True},
        "before": [
            {"path": "/form", "per": "user", "capture": {"csrf": {"cookie": "csrftoken"}}},
            {
                "method": "POST",
                "path": "/form?next={csrf}",
                "body": {"form": {"user": "{user}"}},
                "values": {"user": {"kind": "choice", "of": ["ann"], "secret": True}},
                "headers": {"X-Csrf": "{csrf}"},
                "expect": [302, 303],
                "per": "user",
                "capture": {"token": {"json": "a.0 b"}, "at": {"header": "Location"}},
            },
        ],
        **request(headers={"Authorization": "Bearer {token}"}),
    },
    "all that is expected": request(
        expect={
            "statuses": [200],
            "size_bytes": {"at_least": 0, "at_most": 0},
            "text": '{"a": 1}',
            "json_key": "items.0",
        },
    ),
    "all of a request": request(
        method="POST",
        path="/{a}/{b}/{c}/{d}/{e}",
        headers={"X-Id": "{f}", "Accept": "*/*"},
        body={"json": {"name": "{g}", "more": [1, None, True]}},
        expect=[201, 409],
        weight=0.5,
        values={
            "a": {"kind": "integer", "low": -5, "high": 5},
            "b": {"kind": "sequence", "start": 3, "step": -2},
            "c": {"kind": "choice", "of": ["red", "green"]},
            "d": {"kind": "string", "length": 12},
            "e": {"kind": "uuid"},
            "f": {"kind": "choice", "of": [1, "a, b", 2.5]},
            "g": {"kind": "uuid"},
        },
    ),
    "text": request(method="PUT", body={"text": "two\nlines"}),
    "generated": request(
        method="POST", body={"generated": {"shape": "name-data", "size_bytes": 99_000}}
    ),
    "slow": {"load": {"concurrency": 3, "think_time_s": 0.25, "ramp_up_s": 2}, "start_after_s": 1},
    "open": {"load": {"model": "open", "rate_per_s": 12.5, "arrivals": "poisson"}},
    "steps": {
        "load": {
            "model": "open",
            "rate_per_s": [
                {"rate_per_s": 100, "duration_s": 2.5}, {"rate_per_s": 0.5, "duration_s": 9}
            ],
            "max_in_flight": 7,
        }
    },
    "periodic": {"load": {"model": "periodic", "interval_s": 0.1, "concurrency": 3}},
    "client": {
        "client": {"strategy": "threaded", "session": "shared", "reuse_connections": False},
        "cores": "shared", "seed": 9, "trials": 5, "warmup_s": 0.0, "timeout_s": 2.5,
        "title": "a title", "tags": ["one", "two"],
    },
}  # fmt: skip
STREAM_KEYS = ("requests", "load", "start_after_s", "stop")


def whole(document: dict[str, Any]) -> dict[str, Any]:
    if "workload" in document:
        return document
    stream: dict[str, Any] = {
        "requests": [{"path": "/"}],
        "load": {"concurrency": 1},
        "stop": {"duration_s": 5},
    }
    stream |= {key: document[key] for key in STREAM_KEYS if key in document}
    stream["load"] = {"model": "closed", **stream["load"]}
    rest = {key: value for key, value in document.items() if key not in STREAM_KEYS}
    return {"workload": {"streams": [stream]}, **rest}


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_comes_back_from_its_form(name: str) -> None:
    spec = resolved(whole(SPECS[name]))
    (document,), wrong = documents(form_from_spec(spec, BUILTIN_CONFIGURATIONS))
    assert wrong == []
    assert resolved(document) == spec
    assert fully_shown(spec)


def test_cores_by_number_have_no_field() -> None:
    cores = {"target": [0], "client": [1]}
    assert not fully_shown(resolved(whole({"cores": cores})))


@pytest.mark.parametrize(
    ("expected", "shown"),
    [("ok", True), ("{{name}} of", True), (" ok", False), ("ok\n", False), ("a\nb", False)],
)
def test_blanks_at_the_ends_of_a_text_and_line_breaks_in_a_line_have_no_field(
    expected: str, shown: bool
) -> None:
    spec = resolved(whole({"requests": [{"path": "/", "expect": {"text": expected}}]}))
    assert fully_shown(spec) is shown
    if shown:
        (document,), _ = documents(form_from_spec(spec, BUILTIN_CONFIGURATIONS))
        assert resolved(document) == spec


@pytest.mark.parametrize(("text", "shown"), [("a\nb", True), ("a\n", False), ("a\r\nb", False)])
def test_lines_of_a_body_have_a_field(text: str, shown: bool) -> None:
    request = {"path": "/", "method": "POST", "body": {"text": text}}
    assert fully_shown(resolved(whole({"requests": [request]}))) is shown


def test_each_strategy_and_configuration_ticked_makes_a_run() -> None:
    made, wrong = documents(
        form(
            client__strategy=("async", "threaded"),
            target__configuration=(BUILTIN_CONFIGURATIONS[0].name, BUILTIN_CONFIGURATIONS[1].name),
        )
    )
    assert wrong == []
    assert [(arm["target"]["configuration"], arm["client"]["strategy"]) for arm in made] == [
        (BUILTIN_CONFIGURATIONS[0].name, "async"),
        (BUILTIN_CONFIGURATIONS[0].name, "threaded"),
        (BUILTIN_CONFIGURATIONS[1].name, "async"),
        (BUILTIN_CONFIGURATIONS[1].name, "threaded"),
    ]
    assert len({arm["title"] for arm in made}) == 4


def test_a_title_is_kept_for_one_run_and_parted_for_several() -> None:
    (single,), _ = documents(form())
    assert single["title"] == "items, async"
    several, _ = documents(form(client__strategy=("async", "threaded")))
    assert [arm["title"] for arm in several] == ["items, async, async", "items, async, threaded"]
    untitled, _ = documents(form(title=("",), client__strategy=("async", "threaded")))
    assert [arm["title"] for arm in untitled] == ["", ""]


def test_blocking_beside_others_has_one_user() -> None:
    made, _ = documents(form(client__strategy=("async", "blocking")))
    users = [arm["workload"]["streams"][0]["load"]["concurrency"] for arm in made]
    assert users == [100, 1]


def test_blocking_alone_keeps_what_was_asked() -> None:
    (made,), _ = documents(form(client__strategy=("blocking",)))
    assert made["workload"]["streams"][0]["load"]["concurrency"] == 100


def test_blocking_beside_others_is_one_periodic_user() -> None:
    fields = {f"{STREAM}.load": ("periodic",), f"{STREAM}.load.concurrency": ("8",)}
    made, _ = documents(form(**fields, client__strategy=("async", "blocking")))
    loads = [arm["workload"]["streams"][0]["load"] for arm in made]
    assert [load["concurrency"] for load in loads] == [8, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("250", 250),
        ("0.5", 0.5),
        ("100 for 5", [(100, 5)]),
        ("100/s for 5 s,  2.5 for 0.5s", [(100, 5), (2.5, 0.5)]),
    ],
)
def test_a_rate_is_a_number_or_steps(text: str, expected: Any) -> None:
    (made,), wrong = documents(
        form(**{f"{STREAM}.load": ("open",), f"{STREAM}.load.rate_per_s": (text,)})
    )
    assert wrong == []
    rate = made["workload"]["streams"][0]["load"]["rate_per_s"]
    steps = [(step["rate_per_s"], step["duration_s"]) for step in rate] if "for" in text else rate
    assert steps == expected


@pytest.mark.parametrize("text", ["", "fast", "100 for", "for 5", "100 for 5; 3", "-1 for 5", "1,"])
def test_a_rate_that_cannot_be_read(text: str) -> None:
    field = f"{STREAM}.load.rate_per_s"
    _, wrong = documents(form(**{f"{STREAM}.load": ("open",), field: (text,)}))
    assert [error.field for error in wrong] == [field]


def test_hidden_fields_do_not_count() -> None:
    """A burst has no users, a stop by time no requests, a server no field that it lacks."""
    (made,), wrong = documents(
        form(
            **{f"{STREAM}.load": ("burst",), f"{STREAM}.load.concurrency": ("x",)},
            target__server=("granian",),
            target__configuration=("own",),
            target__keep_alive_s=("x",),
        )
    )
    assert wrong == []
    assert made["workload"]["streams"][0]["load"] == {"model": "burst", "connections": 100}
    assert made["target"]["keep_alive_s"] is None
    assert made["target"]["http"] is None


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("target.configuration", ()),
        ("client.strategy", ()),
        ("trials", ("many",)),
        (f"{STREAM}.load.concurrency", ("1e3",)),
        (f"{STREAM}.requests.0.values.item_id.low", ("",)),
        (f"{STREAM}.requests.0.headers", ("no colon",)),
        (f"{STREAM}.requests.0.expect.statuses", ("ok",)),
    ],
)
def test_what_cannot_be_read_is_told_at_its_field(name: str, texts: tuple[str, ...]) -> None:
    made, wrong = documents(FormData({**form().values, name: texts}))
    assert [error.field for error in wrong] == [name]
    assert len(made) == 1


STOP, LOAD, REQUEST = f"{STREAM}.stop", f"{STREAM}.load", f"{STREAM}.requests.0"
VALUE = f"{REQUEST}.values.item_id"


@pytest.mark.parametrize(
    ("choice", "option", "field"),
    [
        (f"{REQUEST}.method", "GET", f"{REQUEST}.path"),
        (f"{REQUEST}.body", "json", f"{REQUEST}.body.json"),
        (f"{REQUEST}.body", "generated", f"{REQUEST}.body.generated.size_bytes"),
        (LOAD, "open", f"{LOAD}.rate_per_s"),
        (LOAD, "burst", f"{LOAD}.connections"),
        (LOAD, "periodic", f"{LOAD}.interval_s"),
        (STOP, "duration_s", f"{STOP}.duration_s"),
        (STOP, "requests", f"{STOP}.requests"),
        (f"{VALUE}.kind", "integer", f"{VALUE}.low"),
        (f"{VALUE}.kind", "integer", f"{VALUE}.high"),
        (f"{VALUE}.kind", "string", f"{VALUE}.length"),
        (f"{VALUE}.kind", "choice", f"{VALUE}.of"),
        ("target.configuration", "own", "target.loop"),
        ("target.configuration", "own", "target.http"),
    ],
)
def test_a_required_field_that_was_not_sent_is_no_default(
    choice: str, option: str, field: str
) -> None:
    sent = {**form().values, choice: (option,)}
    sent.pop(field, None)
    (made,), wrong = documents(FormData(sent))
    try:
        resolved(made)
    except InvalidInput as error:
        wrong += error.fields
    assert field in {error.field for error in wrong}


def test_a_text_body_that_was_not_sent_is_an_empty_one() -> None:
    sent = {**form().values, f"{REQUEST}.body": ("text",)}
    sent.pop(f"{REQUEST}.body.text", None)
    (made,), wrong = documents(FormData(sent))
    assert wrong == []
    assert made["workload"]["streams"][0]["requests"][0]["body"] == {"text": ""}


def test_a_field_that_was_not_sent_has_the_default_of_the_spec() -> None:
    names = ("trials", "seed", f"{STREAM}.start_after_s", f"{REQUEST}.weight")
    sent = {name: texts for name, texts in form().values.items() if name not in names}
    (made,), wrong = documents(FormData(sent))
    assert wrong == []
    spec = resolved(made)
    stream = spec.workload.streams[0]
    assert (spec.trials, spec.seed) == (1, 1)
    assert (stream.start_after_s, stream.requests[0].weight) == (0, 1)


def test_the_keys_stand_in_the_order_of_the_spec() -> None:
    (made,), _ = documents(form())
    known = write_spec(resolved(made))
    assert list(made) == [name for name in known if name in made]
    assert list(made["client"]) == [name for name in known["client"] if name in made["client"]]


def test_no_more_runs_than_fit_beside_each_other() -> None:
    every = tuple(known.name for known in BUILTIN_CONFIGURATIONS)
    made, wrong = documents(
        form(
            client__strategy=("async", "threaded"),
            target__configuration=every,
            experiment__how=("runs",),
        )
    )
    assert [error.field for error in wrong] == ["client.strategy"]
    assert str(2 * len(every)) in wrong[0].message
    assert len(made) == 1
