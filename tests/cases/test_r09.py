"""A form login sent `{n}` as it stands."""

import json
import sqlite3
from collections.abc import Callable
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

from control_plane.domain.client_strategies import STRATEGIES
from tests.cases.serving import Served
from tests.dashboard import Dashboard

CASE: dict[str, Any] = json.loads((Path(__file__).parent / "R09" / "spec.json").read_text())
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def bodies(served: Callable[[str], Served]) -> Served:
    return served("R09")


@pytest.fixture(scope="module")
def stored(served: Callable[[str], Served]) -> Served:
    return served("stored")


def spec_of(*requests: dict[str, Any], **rest: Any) -> dict[str, Any]:
    stream = {
        "requests": [{"method": "POST", **request} for request in requests],
        "load": {"model": "closed", "concurrency": 1},
        "stop": {"requests": 30},
    }
    return {
        "workload": {"streams": [stream]},
        "warmup_s": 0,
        **rest,
    }


def statuses(served: Served, spec: dict[str, Any]) -> dict[str, int]:
    counts: dict[str, int] = served.run(spec)["streams"][0]["statuses"]
    return counts


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_case_has_as_many_bodies_as_requests(bodies: Served, strategy: str) -> None:
    """Each another one, also from one run to the next."""
    told = bodies.looplab.db.parent / "distinct.txt"
    before = int(told.read_text().split()[0]) if told.exists() else 0
    case = json.loads(json.dumps(CASE)) | {"warmup_s": 0, "client": {"strategy": strategy}}
    case["workload"]["streams"][0] |= {"stop": {"requests": 60}}
    if strategy == "blocking":
        case["workload"]["streams"][0]["load"]["concurrency"] = 1
    assert statuses(bodies, case) == {"200": 60}
    distinct, body = told.read_text().split(" ", 1)
    assert int(distinct) == before + 60
    assert "{" not in body


WHOLE = {"kind": "integer", "low": 1, "high": 5}


def test_a_value_alone_in_json_keeps_its_type(bodies: Served) -> None:
    """A stream of those that are a number in the end, and one of those that are a text."""
    streams = {
        "200": [(WHOLE, "{q}"), ({"kind": "sequence"}, "{q}"),
                ({"kind": "choice", "of": [1, 2, 3]}, "{q}")],
        "422": [({"kind": "choice", "of": ["1", "2"]}, "{q}"), (WHOLE, "{q}0")],
    }  # fmt: skip
    made = [
        spec_of(
            *(
                {"path": "/strict", "body": {"json": {"quantity": sent}}, "values": {"q": value}}
                for value, sent in requests
            )
        )["workload"]["streams"][0]
        | {"name": status}
        for status, requests in streams.items()
    ]
    spec = spec_of({}, workload={"streams": made}, max_error_share=1)
    run = bodies.run(spec)
    found = {stream["name"]: stream["statuses"] for stream in run["streams"]}
    assert found == {"200": {"200": 30}, "422": {"422": 30}}


UUID = {"n": {"kind": "uuid"}}
PLACES: dict[str, dict[str, Any]] = {
    "query": {"path": "/query?a=1&b={n}%20x"},
    "header": {"path": "/header", "headers": {"X-Name": "is {n}"}},
    "json key": {"path": "/key", "body": {"json": {"{n}": [1]}}},
    "json text": {"path": "/leaf", "body": {"json": [{"a": "is {n}"}]}},
    "text": {"path": "/text", "body": {"text": '{"a": {"b": "{n}"}}'}},
    "form": {"path": "/form", "body": {"form": {"user": "{n} & x", "more": ["1", "{n}"]}}},
    "multipart": {
        "path": "/multipart",
        "body": {"multipart": {"fields": {"user": "{n}"}, "file": {"size_bytes": 3_000}}},
    },
    "filename": {
        "path": "/filename",
        "body": {"multipart": {"file": {"size_bytes": 10, "filename": "{n}.png"}}},
    },
}


def test_every_place_is_filled(stored: Served) -> None:
    spec = spec_of(*({**request, "values": UUID} for request in PLACES.values()))
    spec["workload"]["streams"][0]["stop"] = {"requests": 80}
    counts = statuses(stored, spec)
    found = {
        place: requests_of(stored.looplab, request["path"].partition("?")[0])
        for place, request in PLACES.items()
    }
    # Those with another header are the same to the application, which keeps the first.
    assert len(found["header"]) == 1
    assert sum(map(len, found.values())) == counts["201"]
    for place, requests in found.items():
        assert len({json.dumps(seen, sort_keys=True) for seen in requests}) == len(requests)
        assert len(requests) > 1 or place == "header"
        for seen in requests:
            assert "{n}" not in json.dumps(seen)
            check(place, seen)


def requests_of(stored: Dashboard, path: str) -> list[dict[str, Any]]:
    with sqlite3.connect(stored.db.parent / "stored.db") as connection:
        rows = connection.execute("select request from stored").fetchall()
    found = [json.loads(row) for (row,) in rows]
    return [request for request in found if request["path"].partition("?")[0] == path]


def check(place: str, seen: dict[str, Any]) -> None:
    body, kind = seen["body"], seen["headers"].get("content-type", "")
    if place == "query":
        assert unquote(seen["path"]).endswith(" x")
    elif place == "header":
        assert len(seen["headers"]["x-name"]) == 39
    elif place.startswith("json"):
        assert kind == "application/json"
        assert json.loads(body)
    elif place == "text":
        assert kind == "text/plain; charset=utf-8"
        assert len(json.loads(body)["a"]["b"]) == 36
    elif place == "form":
        assert kind == FORM
        fields = parse_qs(body)
        assert fields["user"] == [f"{fields['more'][1]} & x"]
    else:
        check_multipart(place, kind, body.encode("latin-1"))


def check_multipart(place: str, kind: str, body: bytes) -> None:
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    *fields, file = BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
    assert len(file.get_payload(decode=True)) == (10 if place == "filename" else 3_000)
    assert file.get_content_type() == "application/octet-stream"
    if place == "filename":
        assert len(file.get_filename() or "") == 40
    else:
        assert [len(field.get_content()) for field in fields] == [36]


@pytest.mark.parametrize(
    ("request_class", "field"),
    [
        ({"body": {"text": "user={m}"}, "values": UUID}, "body.text"),
        ({"body": {"json": {"{m}": 1}}}, "body.json"),
        ({"body": {"form": {"a": "{m}"}}}, "body.form.a"),
        ({"headers": {"X-A": "{m}"}}, "headers.X-A"),
        ({"path": "/a?b={m}"}, "path"),
        ({"path": "/a", "values": UUID}, "values.n"),
    ],
)
def test_what_would_go_out_as_it_stands_is_told_at_its_field(
    bodies: Served, request_class: dict[str, Any], field: str
) -> None:
    response = bodies.looplab.post("/api/runs", spec_of(request_class))
    assert response.status_code == 422
    (error,) = response.json()["fields"]
    assert error["field"] == f"workload.streams.0.requests.0.{field}"


def test_braces_can_be_sent(bodies: Served) -> None:
    body = {"text": '{"a": {"b": {n}}, "c": "{{n}}", "d": "{{{n}}}"}'}
    value = {"kind": "integer", "low": 7, "high": 7}
    statuses(bodies, spec_of({"path": "/braces", "body": body, "values": {"n": value}}))
    told = (bodies.looplab.db.parent / "last.txt").read_text()
    assert told == """/braces b'{"a": {"b": 7}, "c": "{n}", "d": "{7}"}'\n"""
