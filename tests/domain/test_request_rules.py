"""Rules of one request class."""

import pytest

from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec, write_spec
from tests.builders.documents import changed
from tests.domain.test_spec_rules import refused

REQUEST = "workload.streams.0.requests.0"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "items",
        "//evil.example/",
        "/a b",
        "/a\r\nX: y",
        "/é",
        "/a#b",
        "/a\\b",
        "/" + "a" * 2_000,
    ],
)
def test_paths_that_are_refused(path):
    (error,) = refused(changed(f"{REQUEST}.path", path))
    assert error.field == f"{REQUEST}.path"


@pytest.mark.parametrize("path", ["/", "/items?x=1&y=2", "/a%20b", "/" + "a" * 1_999])
def test_paths_that_are_taken(path):
    document = changed(f"{REQUEST}.path", path)
    del document["workload"]["streams"][0]["requests"][0]["values"]
    assert read_spec(document, Limits())


def test_a_placeholder_needs_its_value():
    (error,) = refused(changed(f"{REQUEST}.path", "/items/{other}"))
    assert error.message.startswith("{other} has no value: say where it comes from")
    assert '"values": {"other": {"kind": "integer", "low": 1, "high": 5}}' in error.message


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"kind": "integer", "low": 5, "high": 4}, "high"),
        ({"kind": "integer", "low": -(2**53) - 1, "high": 4}, "low"),
        ({"kind": "integer", "low": 1, "high": 2**63}, "high"),
        ({"kind": "string", "length": 0}, "length"),
        ({"kind": "string", "length": 10_001}, "length"),
        ({"kind": "choice", "of": []}, "of"),
        ({"kind": "choice", "of": ["a\x00"]}, "of"),
    ],
)
def test_values_are_bounded(value, field):
    (error,) = refused(changed(f"{REQUEST}.values.n", value))
    assert error.field == f"{REQUEST}.values.n.{field}"


@pytest.mark.parametrize("name", ["1n", "n-m", "", "a" * 41])
def test_names_of_values(name):
    errors = refused(changed(f"{REQUEST}.values", {"n": {"kind": "uuid"}, name: {"kind": "uuid"}}))
    assert [error.field for error in errors] == [f"{REQUEST}.values.{name[:40]}"]


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "Connection", "Accept-Encoding"]
)
def test_headers_that_the_client_sets(name):
    (error,) = refused(changed(f"{REQUEST}.headers", {name: "x"}))
    assert "set by the client" in error.message


@pytest.mark.parametrize(
    ("name", "content"),
    [("X Y", "1"), ("", "1"), ("X\r", "1"), ("X", "a\r\nY: b"), ("X", "é"), ("X", "a" * 4_001)],
)
def test_headers_that_cannot_be_sent(name, content):
    assert refused(changed(f"{REQUEST}.headers", {name: content}))


def test_headers_that_can_be_sent():
    assert read_spec(changed(f"{REQUEST}.headers", {"X-Id": "{n}"}), Limits())


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_methods_without_a_body(method):
    document = changed(f"{REQUEST}.method", method)
    document["workload"]["streams"][0]["requests"][0]["body"] = {"text": "x"}
    (error,) = refused(document)
    assert error.field == f"{REQUEST}.body"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"generated": {"shape": "name-data", "size_bytes": 31}}, "body.generated.size_bytes"),
        ({"generated": {"shape": "name-data", "size_bytes": 10**9}}, "body.generated.size_bytes"),
        ({"text": "x" * 1_000_001}, "body.text"),
        ({"json": {"a": [float("inf")]}}, "body.json"),
        ({"text": "x", "json": 1}, "body"),
        ({"text": "x", "form": {"a": "b"}}, "body"),
        ({"form": {}}, "body.form"),
        ({"form": {"": "a"}}, "body.form."),
        ({"form": {"a": []}}, "body.form.a"),
        ({"form": {"a": "x" * 1_000_001}}, "body.form.a"),
        ({"multipart": {}}, "body.multipart.fields"),
        ({"multipart": {"file": {"size_bytes": -1}}}, "body.multipart.file.size_bytes"),
        ({"multipart": {"file": {"size_bytes": 10**9}}}, "body.multipart.file.size_bytes"),
        ({"multipart": {"file": {"size_bytes": 1, "name": ""}}}, "body.multipart.file.name"),
        ({}, "body"),
    ],
)
def test_bodies_are_bounded_and_of_one_kind(body, field):
    document = changed(f"{REQUEST}.method", "POST")
    document["workload"]["streams"][0]["requests"][0]["body"] = body
    (error,) = refused(document)
    assert error.field == f"{REQUEST}.{field}"


SENT = {"n": {"kind": "uuid"}}


def posted(**request):
    """The smallest document with this request class in the place of its own."""
    document = changed("seed", 1)
    document["workload"]["streams"][0]["requests"] = [{"method": "POST", **request}]
    return document


@pytest.mark.parametrize(
    ("request_class", "field"),
    [
        ({"path": "/{m}"}, "path"),
        ({"path": "/x?a={m}"}, "path"),
        ({"path": "/items/{}"}, "path"),
        ({"path": "/items/{item-id}"}, "path"),
        ({"headers": {"X-A": "b {m}"}}, "headers.X-A"),
        ({"body": {"text": "a={m}"}}, "body.text"),
        ({"body": {"text": "a={0}"}}, "body.text"),
        ({"body": {"json": {"a": ["{m}"]}}}, "body.json"),
        ({"body": {"json": {"{m}": 1}}}, "body.json"),
        ({"body": {"form": {"a": "{m}"}}}, "body.form.a"),
        ({"body": {"form": {"{m}": ["1"]}}}, "body.form.{m}"),
        ({"body": {"multipart": {"fields": {"a": ["{m}"]}}}}, "body.multipart.fields.a"),
        (
            {"body": {"multipart": {"file": {"size_bytes": 1, "filename": "{m}"}}}},
            "body.multipart.file.filename",
        ),
        ({"body": {"text": "{ n }"}, "path": "/{n}", "values": SENT}, "body.text"),
    ],
)
def test_braces_that_name_no_value(request_class, field):
    (error,) = refused(posted(**request_class))
    assert error.field == f"{REQUEST}.{field}"


@pytest.mark.parametrize(
    "request_class",
    [
        {"path": "/plain"},
        {"path": "/{{n}}", "body": {"text": "{{n}}"}},
        {"headers": {"X-A": "n"}, "body": {"json": {"n": "n"}}},
        {"body": {"generated": {"shape": "name-data", "size_bytes": 100}}},
    ],
)
def test_a_value_without_a_place(request_class):
    (error,) = refused(posted(values=SENT, **request_class))
    assert error.field == f"{REQUEST}.values.n"
    assert "No place of this request holds {n}" in error.message


@pytest.mark.parametrize(
    "request_class",
    [
        {"path": "/?q={n}"},
        {"headers": {"X-A": "{n}"}},
        {"body": {"text": '{"a": {"b": "{n}"}}'}},
        {"body": {"json": [{"a": "{n}"}]}},
        {"body": {"json": {"{n}": {}}}},
        {"body": {"form": {"a": ["x", "{n}"]}}},
        {"body": {"form": {"{n}": 1}}},
        {"body": {"multipart": {"fields": {"a": "{n}"}}}},
        {"body": {"multipart": {"file": {"size_bytes": 0, "filename": "{n}.png"}}}},
    ],
)
def test_every_place_holds_values(request_class):
    assert read_spec(posted(values=SENT, **request_class), Limits())


@pytest.mark.parametrize(
    "text", ['{"a": {"b": [{}]}}', "{ users { id name } }", "{{m}}", "a{b", "a}b", "f{1,2}"]
)
def test_braces_that_are_no_placeholders(text):
    assert read_spec(posted(body={"text": text}), Limits())
    assert read_spec(posted(body={"json": {text: text}}), Limits())


def test_the_boundary_of_a_multipart_body_is_not_to_be_given():
    multipart = {"multipart": {"fields": {"a": "b"}}}
    (error,) = refused(posted(headers={"content-type": "multipart/form-data"}, body=multipart))
    assert error.field == f"{REQUEST}.headers.content-type"


@pytest.mark.parametrize("expect", [[], [99], [600], [200, 199]])
def test_expected_statuses(expect):
    assert refused(changed(f"{REQUEST}.expect", expect))[0].field == f"{REQUEST}.expect"


@pytest.mark.parametrize("kind", ["headers", "values"])
@pytest.mark.parametrize("name", ["x.statuses", "expect.statuses"])
def test_names_of_other_fields_may_end_like_that_of_statuses(kind, name):
    document = changed(f"{REQUEST}.expect", [99])
    document["workload"]["streams"][0]["requests"][0][kind] = {
        name: " blank" if kind == "headers" else {"kind": "string", "length": 1}
    }
    fields = {error.field for error in refused(document)}
    assert {f"{REQUEST}.{kind}.{name}", f"{REQUEST}.expect"} <= fields


@pytest.mark.parametrize(
    ("expect", "fields"),
    [
        ({"statuses": [99, 600]}, ["statuses", "statuses"]),
        ({"statuses": []}, ["statuses"]),
        ({}, ["statuses"]),
        ({"statuses": ["ok"]}, ["statuses.0"]),
        ({"size_bytes": {"at_least": -1}}, ["size_bytes.at_least"]),
        ({"size_bytes": {"at_most": -1}}, ["size_bytes.at_most"]),
        ({"size_bytes": {"at_least": 6, "at_most": 5}}, ["size_bytes.at_most"]),
        ({"size_bytes": {"at_least": True}}, ["size_bytes.at_least"]),
        ({"size_bytes": {"more": 1}}, ["size_bytes.more"]),
        ({"size_bytes": 5}, ["size_bytes"]),
        ({"text": ""}, ["text"]),
        ({"text": "x" * 10_001}, ["text"]),
        ({"text": "{m}"}, ["text"]),
        ({"json_key": " "}, ["json_key"]),
        ({"json_key": "a..b"}, ["json_key"]),
        ({"json_key": "9" * 1_001}, ["json_key"]),
        ({"json_key": 5}, ["json_key"]),
        ({"body": "x"}, ["body", "statuses"]),
        ("200", [""]),
    ],
)
def test_what_no_answer_can_be(expect, fields):
    found = refused(changed(f"{REQUEST}.expect", expect))
    expected = [f"{REQUEST}.expect.{field}".removesuffix(".") for field in fields]
    assert [error.field for error in found] == expected


def test_an_answer_to_head_has_no_content():
    expect = {"statuses": [200], "size_bytes": {"at_least": 1}, "text": "a"}
    document = changed(f"{REQUEST}.method", "HEAD")
    document["workload"]["streams"][0]["requests"][0]["expect"] = expect
    fields = [error.field for error in refused(document)]
    assert fields == [f"{REQUEST}.expect.size_bytes", f"{REQUEST}.expect.text"]


@pytest.mark.parametrize(
    ("expect", "written"),
    [
        (None, None),
        ([201, 409], [201, 409]),
        ({"statuses": [200]}, [200]),
        ({"text": "{n}", "json_key": "a.0.b"}, {"text": "{n}", "json_key": "a.0.b"}),
        (
            {"statuses": [200], "size_bytes": {"at_least": 5}},
            {"statuses": [200], "size_bytes": {"at_least": 5, "at_most": None}},
        ),
    ],
)
def test_an_expectation_is_written_as_it_was_given(expect, written):
    spec = read_spec(changed(f"{REQUEST}.expect", expect), Limits())
    document = write_spec(spec)
    assert document["workload"]["streams"][0]["requests"][0]["expect"] == written
    assert read_spec(document, Limits()) == spec


def test_each_request_class_is_checked():
    document = changed("seed", 1)
    requests = document["workload"]["streams"][0]["requests"]
    requests.append({"path": "relative"})
    (error,) = refused(document)
    assert error.field == "workload.streams.0.requests.1.path"
