import json
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.load import request_templates

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/items/{id}", "/items/a%2Fb%20%C3%A9"),
        ("/{id}{id}?q={id}&r={other}", "/a%2Fb%20%C3%A9a%2Fb%20%C3%A9?q=a%2Fb%20%C3%A9&r=7"),
        ("/plain", "/plain"),
        ("/kept%20as%2Fit:is@here", "/kept%20as%2Fit:is@here"),
        ('/a"quote|here[1]', '/a"quote|here[1]'),
        ("/{unknown}", "/{unknown}"),
    ],
)
def test_values_in_paths_are_encoded_and_nothing_else(text: str, expected: str) -> None:
    values = {"id": "a/b é", "other": "7"}
    assert request_templates.path_template(text, values.keys()).render(values) == expected


@given(TEXT)
def test_a_value_stays_in_its_segment(value: str) -> None:
    segment = request_templates.path_template("/a/{v}/b", ["v"]).render({"v": value}).split("/")
    assert len(segment) == 4
    assert unquote(segment[2]) == value
    assert segment[2].isascii()


@given(TEXT)
def test_a_value_cannot_end_a_header(value: str) -> None:
    rendered = request_templates.header_template("token {v}", ["v"]).render({"v": value})
    assert rendered.startswith("token ")
    assert rendered.isascii()
    assert rendered.isprintable()


@given(TEXT)
def test_a_value_stays_in_its_json_string(value: str) -> None:
    document = {"{v}": ["{v}", 1, None, {"deep": "x{v}y{w}"}], "n": True}
    filled = request_templates.json_template(document, ["v"])
    expected = {value: [value, 1, None, {"deep": f"x{value}y{{w}}"}], "n": True}
    assert json.loads(filled.render({"v": value})) == (expected if value != "n" else {"n": True})


@given(TEXT)
def test_a_value_stays_in_its_field_of_a_form(value: str) -> None:
    filled = request_templates.form_template({"a": "x{v}", "b": "{v}"}, ["v"])
    found = parse_qsl(filled.render({"v": value}), keep_blank_values=True)
    assert found == [("a", f"x{value}"), ("b", value)]


def test_json_without_placeholders_has_no_names() -> None:
    assert request_templates.json_template({"a": "{b}"}, ["c"]).names == frozenset()
    assert request_templates.json_template({"a": "{c}"}, ["c"]).names == {"c"}
