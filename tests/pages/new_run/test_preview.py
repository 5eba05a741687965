import json
from typing import Any

import pytest

from control_plane.domain.spec_json import write_spec
from control_plane.experiments import preset_catalogue
from control_plane.pages.new_run.preview import WIDTH, spec_lines
from tests.builders import runs

DOCUMENTS: list[Any] = [
    {},
    {"a": 1},
    {"long": ["x" * 30, "y" * 30], "empty": [], "nested": [{"deep": [{"key": "z" * 60}]}]},
    write_spec(runs.items()),
    *(preset.document for preset in preset_catalogue().presets),
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_lines_are_the_document(document: Any) -> None:
    lines = spec_lines(document)
    assert json.loads("\n".join(line.text for line in lines)) == document
    assert not any(line.wrong for line in lines)


def test_lines_are_as_short_as_their_values() -> None:
    lines = spec_lines(write_spec(runs.items()))
    assert all(len(line.text) <= WIDTH for line in lines)


def test_the_line_of_a_wrong_field_is_marked() -> None:
    document = preset_catalogue().presets[0].document
    marked = spec_lines(document, ["workload.streams.0.load.concurrency", "trials"])
    assert [line.text.strip() for line in marked if line.wrong] == [
        '"concurrency": 64',
        f'"trials": {document["trials"]}',
    ]


def test_a_value_on_one_line_stands_for_everything_in_it() -> None:
    marked = spec_lines({"stop": {"requests": 0}, "x": "y" * 40}, ["stop.requests"])
    assert [line.text.strip() for line in marked if line.wrong] == ['"stop": {"requests": 0},']
