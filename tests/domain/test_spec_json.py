"""The door: JSON in, a spec out; wrong fields by their path; and back again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.errors import InvalidInput, UnreadableInput
from control_plane.domain.limits import Limits
from control_plane.domain.load_models import Burst, Closed
from control_plane.domain.spec import Stop, SubmittedSpec, Target, UrlTarget
from control_plane.domain.spec_json import (
    adapter,
    read_document,
    read_spec,
    stored_spec,
    write_spec,
)
from tests.builders.documents import SMALLEST, changed, load
from tests.domain.test_spec_rules import refused

STREAM = "workload.streams.0"


def test_only_the_workload_is_required():
    spec = read_spec(SMALLEST, Limits())
    assert spec.target == Target()
    assert spec.workload.streams[0].stop == Stop(requests=100)
    assert spec.workload.streams[0].load == Closed(concurrency=4)
    assert (spec.trials, spec.warmup_s, spec.timeout_s, spec.cores) == (1, 1.0, 30.0, "auto")
    assert refused({})[0].field == "workload"


@pytest.mark.parametrize(
    ("document", "warmup_s"),
    [
        (SMALLEST, 1.0),
        (load(model="burst", connections=3), 0.0),
        ({**load(model="burst", connections=3), "warmup_s": 2.0}, 2.0),
        ({**SMALLEST, "warmup_s": 0}, 0.0),
    ],
)
def test_a_burst_does_not_warm_up_unless_told(document, warmup_s):
    assert read_spec(document, Limits()).warmup_s == warmup_s


@pytest.mark.parametrize(
    ("target", "threads"),
    [
        ({"server": "gunicorn", "worker": "gthread"}, 4),
        ({"server": "gunicorn", "worker": "gthread", "loop": None, "http": None}, 4),
        ({"server": "gunicorn", "worker": "gthread", "threads": 9}, 9),
        ({"server": "gunicorn", "worker": "sync"}, None),
        ({"server": "waitress"}, 4),
        ({"server": "waitress", "worker": None, "loop": None, "http": None}, 4),
        ({"server": "hypercorn"}, 40),
        ({"loop": "asyncio"}, 40),
    ],
)
def test_the_default_of_threads_is_that_of_the_server(target, threads):
    document = changed("target", {"application": "shop", **target})
    assert write_spec(read_spec(document, Limits()))["target"]["threads"] == threads


def test_the_kinds_of_load_and_target_are_told_apart():
    spec = read_spec(load(model="burst", connections=3), Limits())
    assert spec.workload.streams[0].load == Burst("burst", 3)
    spec = read_spec(changed("target", {"url": "http://127.0.0.1:9000"}), Limits())
    assert spec.target == UrlTarget("http://127.0.0.1:9000")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("trials", True),
        ("trials", "3"),
        ("trials", 1.5),
        ("trials", None),
        ("warmup_s", "1"),
        ("warmup_s", False),
        ("seed", 1e300),
        ("title", 5),
        ("tags", "demo"),
        ("client.strategy", "turbo"),
        ("client.session", "global"),
        ("client.processes", 0),
        ("target.server", "nginx"),
        ("target.loop", "trio"),
        ("cores", "all"),
        ("surprise", 1),
        ("client.surprise", 1),
        (f"{STREAM}.surprise", 1),
        (f"{STREAM}.load.surprise", 1),
        (f"{STREAM}.load.concurrency", "4"),
        (f"{STREAM}.load.concurrency", None),
        (f"{STREAM}.requests.0.method", "get"),
        (f"{STREAM}.requests.0.values.n", {"kind": "float"}),
    ],
)
def test_the_field_of_a_wrong_type_is_named(path, value):
    assert {error.field for error in refused(changed(path, value))} == {path}


@pytest.mark.parametrize("stop", [{}, {"requests": 1, "duration_s": 1.0}, {"until": 5}, 5, None])
def test_stop_is_exactly_one_of_two(stop):
    fields = {error.field for error in refused(changed(f"{STREAM}.stop", stop))}
    assert fields == {f"{STREAM}.stop"}


def test_the_message_leads_with_the_first_field():
    document = changed("trials", 0)
    document["timeout_s"] = 0.0
    with pytest.raises(InvalidInput, match=r"^trials: 0 is below .*\(and 1 more\)$"):
        read_spec(document, Limits())


@pytest.mark.parametrize(
    "body", ["", "{", "[1,", '{"a": NaN}', '{"a": Infinity}', b"\xff\xfe", "{'a': 1}"]
)
def test_what_is_not_json(body):
    with pytest.raises(UnreadableInput):
        read_document(body)


@pytest.mark.parametrize("body", ["[]", "5", "null", '"text"'])
def test_what_is_not_an_object(body):
    with pytest.raises(InvalidInput):
        read_document(body)


def test_objects_are_read():
    assert read_document(b'{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}


@pytest.mark.parametrize(
    "body", ['{"trials": 1e400}', '{"trials": ' + "9" * 5_000 + "}", '{"title": "\\ud800"}']
)
def test_numbers_and_texts_that_cannot_be_kept(body):
    with pytest.raises(InvalidInput):
        read_spec({**SMALLEST, **read_document(body)}, Limits())


def test_deep_nesting_is_refused():
    with pytest.raises(InvalidInput):
        read_document('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")


specs = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**53),
        "trials": st.integers(1, 100),
        "warmup_s": st.floats(0, 600),
        "timeout_s": st.floats(0.1, 600),
        "tags": st.lists(st.sampled_from(["demo", "ci", "nightly"]), max_size=3),
        "client": st.fixed_dictionaries(
            {
                "strategy": st.sampled_from(["async", "threaded"]),
                "session": st.sampled_from(["per-thread", "shared"]),
                "reuse_connections": st.booleans(),
            }
        ),
    }
)


def wrong_fields_of(workload: object, **parts: object) -> list[str]:
    """Return the fields that are wrong in a document, below its only stream without its path."""
    with pytest.raises(InvalidInput) as raised:
        read_spec({"workload": workload, "trials": 0, **parts}, Limits())
    return [error.field.replace("workload.streams.0.", "") for error in raised.value.fields]


def one_stream(**parts: object) -> dict[str, list[dict[str, object]]]:
    usual = {
        "requests": [{"path": "/"}],
        "load": {"model": "closed", "concurrency": -3},
        "stop": {"requests": 1},
    }
    return {"streams": [usual | parts]}


def item(**parts: object) -> list[dict[str, object]]:
    return [{"path": "/{q}", "method": "POST", **parts}]


@pytest.mark.parametrize(
    ("parts", "wrong"),
    [
        ({"timeout_s": "abc", "warmup_s": -5}, ["timeout_s", "warmup_s"]),
        ({"tmeout_s": 3, "title": 3, "tags": "x"}, ["tmeout_s", "title", "tags"]),
        (
            {"client": {"strategy": "nope", "processes": 0}},
            ["client.strategy", "client.processes"],
        ),
        ({"target": {"server": "nope", "workers": 0}}, ["target.server", "target.workers"]),
        ({"target": {"url": "http://127.0.0.1:1", "hots": "x"}}, ["target.hots"]),
        ({"target": 5, "cores": {"target": [0]}}, ["target", "cores", "cores.client"]),
    ],
)
def test_an_unreadable_part_hides_no_other_fault(parts: dict[str, object], wrong: list[str]):
    assert {*wrong_fields_of(one_stream(), **parts)} == {"load.concurrency", "trials", *wrong}


@pytest.mark.parametrize(
    ("parts", "wrong"),
    [
        ({"stop": {"duration_s": "abc"}}, ["stop.duration_s", "load.concurrency"]),
        ({"stop": {"requests": 1, "duration_s": 2}}, ["stop", "load.concurrency"]),
        ({"stop": {}, "start_after_s": -1}, ["stop", "load.concurrency", "start_after_s"]),
        ({"load": {"model": "foo"}, "start_after_s": -1}, ["load", "start_after_s"]),
        (
            {"requests": item(body={"json": {}, "zz": 1}, values={"q": {"kind": "uuid"}})},
            ["requests.0.body.zz", "load.concurrency"],
        ),
        (
            # Whether a value has a place is not known while a text cannot be read.
            {"requests": item(body={"text": 4}, values={"v": {"kind": "uuid"}})},
            ["requests.0.body.text", "load.concurrency"],
        ),
        (
            # 5 is below the smallest size or not: nobody knows.
            {"requests": item(path="/", expect={"size_bytes": {"at_least": "x", "at_most": 5}})},
            ["requests.0.expect.size_bytes.at_least", "load.concurrency"],
        ),
    ],
)
def test_an_unreadable_part_is_not_judged_by_what_stands_in_its_place(
    parts: dict[str, object], wrong: list[str]
):
    assert {*wrong_fields_of(one_stream(**parts))} == {"trials", *wrong}


def test_what_is_missing_hides_no_other_fault():
    assert wrong_fields_of({"streams": [{}]}) == ["requests", "load", "stop", "trials"]
    assert wrong_fields_of(None) == ["workload", "trials"]
    assert wrong_fields_of({"streams": [5, *one_stream()["streams"]]}) == [
        "workload.streams.0",
        "trials",
    ]


@pytest.mark.parametrize("name", ["1", "²", "a.b"])
def test_an_unreadable_number_is_told_whatever_its_value_is_called(name):
    request = {"path": "/", "values": {name: {"kind": "integer", "low": None, "high": 9}}}
    stream = {"requests": [request], "load": {"model": "closed"}, "stop": {"requests": 1}}
    with pytest.raises(InvalidInput) as raised:
        read_spec({"workload": {"streams": [stream]}}, Limits())
    assert raised.value.fields[0].message == "null is not a whole number."


@given(specs)
def test_what_is_written_reads_back_the_same(values):
    spec = read_spec({**SMALLEST, **values}, Limits())
    assert read_spec(write_spec(spec), Limits()) == spec


def test_every_default_is_written_out():
    document = write_spec(read_spec(SMALLEST, Limits()))
    assert document["target"]["backlog"] == 2_048
    assert document["workload"]["streams"][0]["stop"] == {"requests": 100}
    assert document["workload"]["streams"][0]["requests"][0]["expect"] is None


def test_a_stored_spec_is_trusted():
    assert stored_spec('{"workload": {"streams": []}, "trials": 5000}').trials == 5_000


def test_a_default_of_the_schema_is_no_null_where_null_is_refused():
    """A client that writes the defaults of the schema sends what is accepted."""
    schema = adapter(SubmittedSpec).json_schema()
    refused_defaults = [
        f"{name}.{field}"
        for name, part in schema["$defs"].items()
        for field, kind in part.get("properties", {}).items()
        if kind.get("default", "") is None and {"type": "null"} not in kind.get("anyOf", [])
    ]
    assert refused_defaults == []
    assert {*schema["$defs"]["Stop"]["properties"]} == {"requests", "duration_s"}
