"""What is taken out of a spec, what stands in its place, and how texts are freed of it."""

import json
from base64 import b64encode
from typing import Any

import pytest

from control_plane.domain.request import RowValue
from control_plane.domain.secrets import (
    header_secrets,
    hide,
    hide_cut,
    hide_spec,
    is_secret_header,
    revealed,
    secret_texts,
)
from control_plane.domain.spec import Stream
from control_plane.domain.spec_json import stored_spec

KEY = b"k" * 32


def document(headers: Any, values: Any = None) -> dict[str, Any]:
    request = {"path": "/", "headers": headers, "values": values or {}}
    load = {"model": "closed", "concurrency": 1}
    stream = {"requests": [request], "load": load, "stop": {"requests": 1}}
    return {"workload": {"streams": [stream]}}


def hidden_request(headers: Any, values: Any = None, key: bytes = KEY) -> dict[str, Any]:
    hidden = hide_spec(document(headers, values), key).document
    request: dict[str, Any] = hidden["workload"]["streams"][0]["requests"][0]
    return request


def stream_of(hidden: dict[str, Any]) -> Stream:
    return stored_spec(json.dumps(hidden)).workload.streams[0]


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *((name, True) for name in (
            "Authorization", "proxy-authorization", "Cookie", "X-Api-Key", "X-Auth-Token",
            "X-AccessToken", "Ocp-Apim-Subscription-Key", "X-Amz-Security-Token", "X_Session_Id",
            "X-Client-Secret", "Private-Token", "apikey",
        )),
        *((name, False) for name in (
            "Accept", "Idempotency-Key", "Author", "X-Tokenizer", "Content-Type", "X-Keyboard",
        )),
    ],
)  # fmt: skip
def test_names_of_secret_headers(name: str, secret: bool) -> None:
    assert is_secret_header(name) == secret


def test_equal_values_have_one_placeholder_under_one_key_alone() -> None:
    headers = {"Authorization": "Bearer a b", "X-Token": "Bearer a b", "Cookie": "c=d"}
    shown = hidden_request(headers)["headers"]
    assert shown["Authorization"] == shown["X-Token"] != shown["Cookie"]
    assert "Bearer" not in str(shown)
    assert hidden_request(headers, key=b"another")["headers"]["Cookie"] != shown["Cookie"]
    assert hidden_request(shown)["headers"] == shown


@pytest.mark.parametrize(
    ("text", "stays"),
    [("{t}", True), ("Bearer {t}", True), ("", True), ("Bearer {t}x", False), ("x", False)],
)
def test_a_template_is_shown_where_nothing_secret_stands_around_its_value(
    text: str,
    stays: bool,
) -> None:
    values = {"t": {"kind": "choice", "of": ["first", 2]}} if "{" in text else {}
    request = hidden_request({"Authorization": text}, values)
    assert (request["headers"]["Authorization"] == text) == stays
    if values:
        assert "{t}" in request["headers"]["Authorization"]
        assert request["values"]["t"]["secret"] is True
        assert "first" not in str(request["values"])


def test_what_is_taken_out_is_put_back_as_it_was() -> None:
    values = {
        "n": {"kind": "integer", "low": 1, "high": 2},
        "own": {"kind": "choice", "of": ["{x}", 7, 1.5], "secret": True},
        "plain": {"kind": "choice", "of": ["shown"]},
    }
    headers = {
        "Cookie": "a={n}; b={{n}}",
        "X-Own": "{own}{plain}",
        "X-Hook": "http://user:password@host/",
    }
    hidden = hide_spec(document(headers, values), KEY)
    assert "password" not in str(hidden.document)
    assert "a=" not in str(hidden.document)
    assert "shown" in str(hidden.document)
    stream = stream_of(hidden.document)
    assert revealed(stream, hidden.values) == stream_of(
        document(headers, values | {"own": values["own"]})
    )
    assert secret_texts(stream.requests, hidden.values)["own"] == "{x}"


@pytest.mark.parametrize(
    "wrong",
    [{"workload": 1}, {"workload": {"streams": [1, {"requests": {}}]}}, document([]),
     document({"Cookie": 1}), document({}, {"n": []}), document({}, {"n": {"of": 1}})],
)  # fmt: skip
def test_a_document_may_be_wrong_anywhere(wrong: dict[str, Any]) -> None:
    assert hide_spec(wrong, KEY).document == wrong


def test_a_placeholder_that_does_not_stand_alone_stands_for_nothing() -> None:
    shown = hidden_request({"Cookie": "a=secret"})["headers"]["Cookie"]
    hidden = hide_spec(document({"X-Other": shown, "Cookie": f"x{shown}"}), KEY)
    assert [digest for _, digest in hidden.digests] == [shown[8:24], ""]


def test_values_that_stand_in_secret_headers_come_back_as_parts_of_these() -> None:
    choice = {"kind": "choice", "of": [b64encode(b"user:pass:word").decode(), "abcdef; ghijkl"]}
    headers = {"Authorization": "Basic {v}", "Cookie": "{v}", "Accept": "{v}"}
    hidden = hide_spec(document(headers, {"v": choice}), KEY)
    texts = {*secret_texts(stream_of(hidden.document).requests, hidden.values).values()}
    assert {"user:pass:word", "pass:word", "abcdef", "ghijkl"} <= texts


def test_parts_that_may_come_back() -> None:
    basic = b64encode(b"user:pass:word").decode()
    assert {*header_secrets("Authorization", f"Basic {basic}").values()} == {
        f"Basic {basic}", basic.rstrip("="), "user:pass:word", "pass:word",
    }  # fmt: skip
    assert {*header_secrets("Cookie", "session=abc; flag").values()} == {
        "session=abc; flag", "abc", "flag",
    }  # fmt: skip


@pytest.mark.parametrize(
    "written",
    ['pa/ss"wo rd&', "pa%2Fss%22wo%20rd%26", "pa%2fss%22wo%20rd%26", "pa%2Fss%22wo+rd%26",
     'pa/ss\\"wo rd&', "pa/ss&quot;wo rd&amp;",
     repr("'pa/ss\"wo rd&")[3:-1]],
)  # fmt: skip
def test_a_secret_is_hidden_however_it_is_written(written: str) -> None:
    assert hide(f"before {written} after", {"Cookie": 'pa/ss"wo rd&'}) == "before [Cookie] after"


def test_the_beginning_of_a_secret_at_the_end_of_a_text_is_cut_off() -> None:
    secrets = {"Cookie": "abcdefghijkl"}
    assert hide_cut("it is abcdefgh", secrets) == "it is [Cookie]"
    assert hide_cut("it is abcde", secrets) == "it is abcde"


def test_a_table_is_kept_apart_and_its_secret_columns_are_found_in_texts() -> None:
    content = (
        "user,password,note,token\nann,winter-7,common-note,tok-1234\nbob,summer-8,x,tok-5678\n"
    )
    values = {
        "account": {
            "kind": "row",
            "file": {"content": content, "name": "users.csv"},
            "columns": ["user", "password", "note", "token"],
            "secret": ["user"],
        }
    }
    hidden = hide_spec(document({"Authorization": "{token}", "X-Note": "{note}"}, values), KEY)
    (request,) = hidden.document["workload"]["streams"][0]["requests"]
    account = request["values"]["account"]
    assert account["file"]["rows"] == 2
    assert account["secret"] == ["user", "password", "token"]
    assert "winter" not in json.dumps(hidden.document)
    again = hide_spec(hidden.document, KEY)
    assert (again.document, again.values) == (hidden.document, {})
    assert [digest for _, digest in again.digests] == [*hidden.values]
    stream = stream_of(hidden.document)
    shown = revealed(stream, hidden.values).requests[0].values["account"]
    assert isinstance(shown, RowValue)
    assert shown.file.content == content
    texts = secret_texts(stream.requests, hidden.values)
    told = hide("common-note of bob: summer-8, tok-5678", texts)
    assert told.startswith("common-note of bob: [password")
    assert "summer" not in told
    assert "5678" not in told


def test_secrets_that_overlap_are_hidden_as_one() -> None:
    secrets = {"first": "abcdefgh", "second": "fghijklmno", "third": "opqrstuv"}
    assert hide("-abcdefghijklmno-opqrstuv.", secrets) == "-[first]-[third]."


def test_a_table_of_a_wrong_shape_is_hidden_as_far_as_it_has_one() -> None:
    file = {"content": "a,b\n1"}
    value = {"kind": "row", "file": file, "columns": [{}, "password"], "secret": 7}
    hidden = hidden_request({}, {"x": value, "y": {"kind": "row", "file": "users.csv"}})
    assert hidden["values"]["x"]["file"]["content"].startswith("(secret ")
    assert hidden["values"]["y"]["file"] == "users.csv"
    (marked,) = hidden_request({}, {"x": value | {"secret": [[]]}})["values"]["x"]["secret"]
    assert marked == "password"
