"""No message at a field speaks of the JSON of a spec; the API says how to write it there."""

from pathlib import Path

import pytest

from control_plane.analysis import field_labels
from control_plane.domain.errors import InvalidInput
from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import Document, read_spec
from control_plane.pages.form import FormData
from control_plane.pages.form.field_types import LINES, SEGMENTS, FormField, Option, Section
from control_plane.pages.form.fields import CONFIGURATION_FORM, FORM, field_message, label_of
from control_plane.pages.form.from_spec import form_from_spec
from control_plane.pages.form.to_spec import form_arms
from control_plane.targets.configurations import BUILTIN_CONFIGURATIONS
from tests.builders import runs


@pytest.mark.parametrize(
    ("field", "label"),
    [
        ("timeout_s", "Deadline"),
        ("target.threads", "Pool threads"),
        ("client.max_body_bytes", "Largest answer"),
        ("workload.streams.0.load.concurrency", "Concurrency"),
        ("workload.streams.0.requests.0.expect.statuses", "Expected statuses"),
        ("workload.streams.0.start_after_s", "Starts after"),
    ],
)
def test_form_and_comparison_agree(field: str, label: str) -> None:
    assert label_of(field) == label
    assert field_labels.label_of(field) == label


@pytest.mark.parametrize(
    ("field", "label"),
    [
        ("", "Spec"),
        ("target.configuration", "Configurations"),
        ("workload.streams.1.requests.0.path", "Stream 2: Path"),
        ("workload.streams.0.requests.0.values.item_id.low", "item_id: low"),
        ("workload.streams.0.requests.0.values.weight", "weight"),
        ("workload.other", "workload.other"),
    ],
)
def test_fields_of_the_form_alone(field: str, label: str) -> None:
    assert label_of(field) == label


@pytest.mark.parametrize("section", [*FORM.values(), *CONFIGURATION_FORM.values()])
def test_a_choice_has_no_more_options_than_the_style_sheet_numbers(section: Section) -> None:
    style = (Path(__file__).parents[3] / "static/css/new_run.css").read_text(encoding="utf-8")
    options = section.choice.options if section.choice else ()
    for number in range(1, len(options) + 1):
        rule = f'.case-{number}:checked) [data-cases]:not([data-cases~="{number}"])'
        assert rule in style


@pytest.mark.parametrize("when", [("text",), ()])
def test_a_field_that_no_option_asks_for_is_refused(when: tuple[str, ...]) -> None:
    choice = FormField("", SEGMENTS, "Body", options=(Option("json", "JSON"),))
    with pytest.raises(ValueError, match=r"no option asks for text"):
        Section("body", (FormField("text", LINES, "Text", when=when),), choice)


REQUEST = "workload.streams.0.requests.0"
LOAD = "workload.streams.0.load"
SETTINGS = "target.settings"
EXAMPLE = 'Write names with their values, as {"cpu_n": 5}.'


def filled(**changes: str) -> FormData:
    given = form_from_spec(runs.items(), BUILTIN_CONFIGURATIONS)
    return FormData({**given.values, **{name: (text,) for name, text in changes.items()}})


def told(form: FormData) -> dict[str, str]:
    """The messages of a form by the field that they stand at."""
    (arm,), wrong = form_arms(form)
    try:
        read_spec(arm.document, Limits())
    except InvalidInput as error:
        wrong += error.fields
    return {form.nearest(error.field): field_message(form, error) for error in reversed(wrong)}


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        (
            {f"{REQUEST}.path": "/items/{word}"},
            f"{REQUEST}.path",
            "{word} has no value: choose it below.",
        ),
        (
            {f"{REQUEST}.path": "/items/{1st}"},
            f"{REQUEST}.path",
            "{1st} is no placeholder: a name begins with a letter, "
            "then come letters, digits and _, up to 40. To send it so, double its braces.",
        ),
        (
            {LOAD: "burst", f"{LOAD}.connections": "5", "workload.streams.0.stop": "duration_s"},
            "workload.streams.0.stop",
            "A burst stops after a number of requests: choose that.",
        ),
        (
            {f"{REQUEST}.headers": "Bad Name: x"},
            f"{REQUEST}.headers",
            "Bad Name: This is not the name of a header.",
        ),
        (
            {
                f"{REQUEST}.path": "/items/{word}",
                f"{REQUEST}.values.word.kind": "choice",
                f"{REQUEST}.values.word.of": "[1, 2",
            },
            f"{REQUEST}.values.word.of",
            "'[1, 2' is no list: write red, green, or [1, 2] for numbers.",
        ),
        ({"target.configuration": "own", SETTINGS: "{"}, SETTINGS, EXAMPLE),
        ({"target.configuration": "own", SETTINGS: "[5]"}, SETTINGS, EXAMPLE),
        ({"target.configuration": "own", SETTINGS: '"five"'}, SETTINGS, EXAMPLE),
        (
            {"target.configuration": "own", SETTINGS: '{"colour": 1}'},
            SETTINGS,
            "colour: The bundled application has no such setting.",
        ),
    ],
)
def test_what_stands_at_a_field(changes: dict[str, str], field: str, said: str) -> None:
    assert told(filled(**changes)) == {field: said}


def test_the_api_keeps_its_words() -> None:
    document: Document = {
        "workload": {
            "streams": [
                {
                    "requests": [{"path": "/items/{word}"}],
                    "load": {"model": "burst", "connections": 5},
                    "stop": {"duration_s": 5},
                }
            ]
        }
    }
    with pytest.raises(InvalidInput) as refused:
        read_spec(document, Limits())
    path, stop = (error.message for error in refused.value.fields)
    assert '"values": {"word": {"kind": "integer"' in path
    assert stop == "A burst stops by requests: give stop.requests."
