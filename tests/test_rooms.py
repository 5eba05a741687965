"""The house rules that no linter knows. An exception stands in a table here, with its reason."""

import re
import sys
from pathlib import Path

import pytest

from scripts.budget import (
    COMMENT_SHARE_LIMIT,
    FILE_LIMIT,
    FUNCTION_LIMIT,
    MODULE_LIMIT,
    ROOMS,
    ROOT,
    Source,
    comment_share,
    functions,
    sources,
)
from tests import smells

PRODUCT = sources(*ROOMS)
OTHERS = sources("tests", "scripts", "bench")
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*") if path.is_file())
FORBIDDEN_NAMES = {"utils", "util", "helpers", "common", "core", "services", "managers", "misc"}

# Name as in the failure message: the reason why it may stay.
LONG_FUNCTIONS: dict[str, str] = {}
LONG_FILES: dict[str, str] = {}
PASS_THROUGH: dict[str, str] = {
    "kept_connections.py::ConnectionCounter.remove": "the counterpart of `add`, which does more",
    "run_service.py::RunService.target_name": "pages may not import targets",
    "stored_experiments.py::Experiments.experiment_of": "of one run, as four callers ask",
    "running_target.py::StartedTarget.hide": "a target that is not ours has no log",
}
BROAD_EXCEPTS = [
    "control_plane/jobs/queue.py",
    "control_plane/jobs/run_job.py",
    "control_plane/targets/inside/looplab_probe/__init__.py",
]
MARKUP_IN_STRINGS: dict[str, str] = {}
SHAPED_TWICE: dict[str, str] = {}
ONE_ROLE = {"dependencies", "routes"}
"""Modules that have the same role in packages beside each other, and so the same name."""
SAME_VALUES = {
    "ERROR_TYPES",  # of each library that strategies send with
    "EXPECTED_ERRORS",
    "STACKS_SUFFIX",  # the guard is a program by its path, which imports nothing of ours
    "log",
    "router",
}
"""Constants that modules beside each other have for the same role."""
ASKS_FOR_CLASS: dict[str, str] = {}


def without(found: list[str], allowed: dict[str, str]) -> list[str]:
    """What is left of the findings; an allowance that nothing needs any more is a finding too."""
    stale = [
        f"no longer needed: {key}" for key in allowed if not any(key in place for place in found)
    ]
    return stale + [place for place in found if not any(key in place for key in allowed)]


def parsed(text: str) -> Source:
    return Source("sample.py", text)


def test_functions_stay_short() -> None:
    found = [
        f"{function.where} has {function.lines} lines"
        for file in PRODUCT
        for function in functions(file)
        if function.lines > FUNCTION_LIMIT
    ]
    assert without(found, LONG_FUNCTIONS) == []


def test_files_stay_short() -> None:
    files = [*PRODUCT, *OTHERS]
    found = [f"{file.path} has {file.lines} lines" for file in files if file.lines > FILE_LIMIT]
    assert without(found, LONG_FILES) == []


def test_comments_are_few() -> None:
    assert comment_share(PRODUCT) <= COMMENT_SHARE_LIMIT


def test_no_markup_in_python() -> None:
    found = [place for file in PRODUCT for place in smells.markup(file)]
    assert without(found, MARKUP_IN_STRINGS) == []


def test_no_function_only_hands_on() -> None:
    found = [place for file in PRODUCT for place in smells.pass_through(file)]
    assert without(found, PASS_THROUGH) == []


def test_broad_excepts_are_few() -> None:
    """A failed run is a result, also one that cannot begin; the probe's faults are no target's."""
    found = [place.partition(":")[0] for file in PRODUCT for place in smells.broad_excepts(file)]
    assert sorted(found) == sorted(BROAD_EXCEPTS)


def test_no_dictionary_is_shaped_twice() -> None:
    assert without(list(smells.shapes(PRODUCT)), SHAPED_TWICE) == []


def test_the_product_is_few_modules() -> None:
    modules = [file for file in PRODUCT if file.path.startswith("control_plane/")]
    assert len(modules) <= MODULE_LIMIT


def test_no_module_or_class_has_the_name_of_another() -> None:
    assert list(smells.namesakes(smells.module_names(PRODUCT), ONE_ROLE)) == []
    assert list(smells.namesakes(smells.class_names(PRODUCT), set())) == []


def test_no_constant_or_type_alias_has_the_name_of_another() -> None:
    files = [file for file in PRODUCT if file.path.startswith("control_plane/")]
    names = [*smells.value_names(files), *smells.class_names(files)]
    assert list(smells.namesakes(iter(names), SAME_VALUES)) == []


def test_a_variable_is_called_after_what_it_holds() -> None:
    files = [*PRODUCT, *OTHERS]
    assert [place for file in files for place in smells.unnamed(file)] == []


def test_target_stop_and_load_are_asked_for_properties() -> None:
    files = [file for file in PRODUCT if not file.path.startswith("control_plane/domain/")]
    found = [place for file in files for place in smells.asks_for_class(file)]
    assert without(found, ASKS_FOR_CLASS) == []


def test_fixtures_of_several_files_belong_in_a_conftest() -> None:
    assert list(smells.taken_fixtures(OTHERS)) == []


def test_exceptions_to_checks_are_explained() -> None:
    files = [*PRODUCT, *OTHERS]
    assert [place for file in files for place in smells.unexplained(file)] == []


def test_rooms_have_names_that_say_what_lives_there() -> None:
    paths = [path for top in (*ROOMS, "tests") for path in (ROOT / top).rglob("*")]
    found = [path for path in paths if path.stem.removeprefix("test_") in FORBIDDEN_NAMES]
    assert found == []


def test_the_look_inside_needs_the_standard_library_only() -> None:
    room = "control_plane.targets.inside"
    found = [
        f"{file.path} imports {name}"
        for file in PRODUCT
        if file.path.startswith(room.replace(".", "/") + "/")
        for name in smells.imported_modules(file)
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith(room)
    ]
    assert found == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_script_or_style(path: Path) -> None:
    assert active_parts(path.read_text(encoding="utf-8")) == []


def active_parts(text: str) -> list[str]:
    """Everything that a strict Content-Security-Policy would block. Data in JSON may stay."""
    scripts = re.findall(r"<script\b[^>]*>[^<]*", text)
    inline = [
        script for script in scripts if "application/json" not in script and not _is_link(script)
    ]
    return inline + re.findall(
        r"<style\b|\s(?:style|on[a-z]+|hx-on[a-z:-]*)\s*=|javascript:|['\"]js:", text
    )


def _is_link(script: str) -> bool:
    tag, _, content = script.partition(">")
    return " src=" in tag and not content.strip()


@pytest.mark.parametrize(
    "text",
    [
        "<script>go()</script>",
        '<script src="/a.js">go()</script>',
        "<style>a {}</style>",
        '<p style="color: red">',
        '<button onclick="go()">',
        '<a href="javascript:go()">',
        "<div hx-vals='js:{a: 1}'>",
    ],
)
def test_active_parts_are_found(text: str) -> None:
    assert active_parts(text)


@pytest.mark.parametrize(
    "text",
    [
        '<script src="/static/page.js" defer></script>',
        '<script type="application/json">{{ figure }}</script>',
        '<p class="style on">',
    ],
)
def test_links_and_data_are_not_active(text: str) -> None:
    assert active_parts(text) == []


@pytest.mark.parametrize(
    ("smell", "text"),
    [
        (smells.markup, "x = '<td class=\"a\">'"),
        (smells.markup, "x = f'<li>{y}</li>'"),
        (smells.markup, "x = 'window.location'"),
        (smells.pass_through, "def f(a, b):\n    'Doc.'\n    return g(a, b=b)"),
        (smells.pass_through, "class A:\n    async def f(self, a):\n        await self.b.f(a)"),
        (smells.broad_excepts, "try:\n    f()\nexcept Exception:\n    g()"),
        (smells.broad_excepts, "try:\n    f()\nexcept:\n    g()"),
        (smells.broad_excepts, "with contextlib.suppress(OSError, Exception):\n    f()"),
        (smells.unnamed, "[one.x for one in rows]"),
        (smells.unnamed, "f = lambda one: one.x"),
        (smells.asks_for_class, "isinstance(load, Open | spec.Closed)"),
        (smells.asks_for_class, "match load:\n    case Open(rate=r):\n        f(r)"),
        (smells.unexplained, "x = 1  # noqa: E501"),
        (smells.unexplained, "x = 1  # type: ignore[misc]"),
        (smells.unexplained, "x = 1  # see issue 12"),
    ],
)
def test_smells_are_found(smell, text: str) -> None:
    assert list(smell(parsed(text)))


@pytest.mark.parametrize(
    ("smell", "text"),
    [
        (smells.markup, "def f():\n    'Fills <td> cells.'"),
        (smells.markup, "x = '%{y} ms<extra></extra>'"),
        (smells.pass_through, "def f(a, b):\n    return g(b, a)"),
        (smells.pass_through, "@app.get('/')\ndef f(a):\n    return g(a)"),
        (smells.pass_through, "def f(a):\n    return SPEC.validate_json(a)"),
        (smells.pass_through, "def f(a):\n    return adapter(Spec).validate_json(a)"),
        (smells.broad_excepts, "try:\n    f()\nexcept BaseException:\n    g()\n    raise"),
        (smells.unnamed, "f(one)"),
        (smells.asks_for_class, "isinstance(load, Opening)"),
        (smells.unexplained, "x = 1  # noqa: SLF001 - aiohttp has no public switch"),
        (smells.unexplained, "x = 1  # uvicorn #3149"),
    ],
)
def test_clean_code_is_left_alone(smell, text: str) -> None:
    assert list(smell(parsed(text))) == []


def test_a_shape_written_twice_is_found() -> None:
    twice = parsed("x = {'a': 1, 'b': 2, 'c': 3, 'd': 4}\ny = {'d': 1, 'c': 2, 'b': 3, 'a': 4}")
    assert len(list(smells.shapes([twice]))) == 1


def test_a_fixture_that_another_file_takes_is_found() -> None:
    makes = Source("tests/test_a.py", "@pytest.fixture\ndef call():\n    return f\ndef g(): ...")
    takes = Source("tests/test_b.py", "from tests.test_a import call, g")
    assert list(smells.taken_fixtures([makes, takes])) == ["tests/test_b.py:1 call"]


def test_a_name_of_two_things_is_found() -> None:
    files = [Source(f"{room}/queue.py", "class Page: ...") for room in "ab"]
    assert list(smells.namesakes(smells.module_names(files), set())) == [
        "queue: a/queue.py, b/queue.py"
    ]
    assert list(smells.namesakes(smells.class_names(files), set())) == [
        "Page: a/queue.py, b/queue.py"
    ]
    assert list(smells.namesakes(smells.module_names(files), {"queue"})) == []


def test_a_constant_or_type_alias_of_two_things_is_found() -> None:
    text = "LIMIT, _HERE = 1, 2\nName: TypeAlias = str\ndef f():\n    LOCAL = 1"
    files = [Source(f"{room}/page.py", text) for room in "ab"]
    assert list(smells.namesakes(smells.value_names(files), set())) == [
        "LIMIT: a/page.py, b/page.py",
        "Name: a/page.py, b/page.py",
    ]
