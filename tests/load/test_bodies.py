import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.spec import RequestClass
from control_plane.load.bodies import body, content_type, name_data
from tests.load.workers import plan_of


def request_of(**parts) -> RequestClass:
    plan = plan_of("http://127.0.0.1:1", request={"method": "POST", **parts})
    return plan.stream.requests[0]


@given(st.integers(32, 5_000), st.integers(0, 2**32))
def test_name_data_has_the_size_that_was_asked_for(size: int, seed: int) -> None:
    made = name_data(size, Random(seed))
    assert len(made) == size
    found = json.loads(made)
    assert list(found) == ["name", "data"]
    assert found["name"].isalpha()
    assert found["name"].islower()
    assert all(1_000 <= number <= 9_999 for number in found["data"].values())
    assert made == name_data(size, Random(seed))


def test_a_generated_body_is_made_once() -> None:
    request = request_of(body={"generated": {"shape": "name-data", "size_bytes": 300_000}})
    render = body(request, (), Random(1))
    assert render({}) is render({})
    assert len(render({})) == 300_000


@pytest.mark.parametrize(
    ("content", "expected", "kind"),
    [
        ({"text": "é"}, "é".encode(), "text/plain; charset=utf-8"),
        ({"json": {"a": ["é", 1.5]}}, '{"a":["é",1.5]}'.encode(), "application/json"),
        (None, b"", None),
    ],
)
def test_bodies_and_their_types(content, expected: bytes, kind: str | None) -> None:
    request = request_of(body=content)
    assert body(request, (), Random(1))({}) == expected
    assert content_type(request) == kind


def test_values_fill_json_bodies() -> None:
    values = {"name": {"kind": "string", "length": 4}}
    request = request_of(body={"json": {"user": "{name}!"}}, values=values)
    assert body(request, values.keys(), Random(1))({"name": "anna"}) == b'{"user":"anna!"}'
