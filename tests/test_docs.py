"""The documents name files that exist and explain what the product names; its walks are short."""

import ast
import re
from collections.abc import Iterator

import pytest

from control_plane.analysis.prose.experiment_sentences import REASONS
from control_plane.analysis.start_hints import (
    LOG_HINTS,
    OTHER_REASONS,
    REASON_HINTS,
    StartHint,
    StartReason,
)
from control_plane.domain.metrics_and_objectives import METRICS
from control_plane.domain.stream_record import ERROR_CLASSES
from scripts.budget import ROOT

DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))
ROOMS = ("control_plane", "target_app", "templates", "static", "scripts", "tests", "docs", "bench")
FILES = [path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*")]
KNOWN = {f"/{path}" for path in (*FILES, *ROOMS)}

NAMED = re.compile(r"`([\w-][\w./-]*(?:/|\.py|\.html|\.js))`")
"""What stands as code and looks like a folder, or like a file of ours."""

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
JUDGED = ("block", "job", "gate", "contender", "ratio", "verdict", "baseline", "support", "trial")
WALKS = {
    "One sample": 5,
    "The start of a server": 7,
    "From the form to `queued`": 7,
    "One chart": 6,
    "The end of a run": 3,
}
"""The most files of each walk."""
CHARTS, LONGEST_CHART = 11, 6
NOT_IMPORTED = {
    "targets/guard.py": "a program of its own, which `guarded_server.py` starts by its path",
    "store/writer.py": "a part of `Store`, which is what others import",
    "templates/macros/figures.html": "a template, which the page of the view imports",
}
"""Files of a walk that Python does not reach from those before it, each with the reason."""


def exists(name: str) -> bool:
    """Whether a file or folder has this path, or a path that ends with it."""
    return any(path.endswith(f"/{name.rstrip('/')}") for path in KNOWN)


def named_paths() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        for name in NAMED.findall(document.read_text(encoding="utf-8")):
            yield document.name, name


@pytest.mark.parametrize(("document", "name"), sorted(set(named_paths())))
def test_what_documents_name_exists(document: str, name: str) -> None:
    assert exists(name)


def test_a_file_that_is_gone_is_found() -> None:
    assert NAMED.findall("in `jobs/gone.py` and `gone/`") == ["jobs/gone.py", "gone/"]
    assert not exists("jobs/gone.py")
    assert not exists("ueue.py")


def walks() -> dict[str, list[str]]:
    """The files of each walk, and those of each chart from its view on, in order."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    chapter = text.split("\n## Walks\n")[1].split("\n## ")[0]
    sections = [section.partition("\n") for section in chapter.split("\n### ")[1:]]
    found = {title: re.findall(r"^\d+\. `([^`]+)`", body, re.M) for title, _, body in sections}
    charts = re.findall(r"^\| ([a-z ]+) \| (`.+) \|$", chapter, re.M)
    return found | {f"chart: {name}": re.findall(r"`([^`]+)`", files) for name, files in charts}


WALKED = walks()


def test_walks_are_short() -> None:
    charts = dict.fromkeys(WALKED.keys() - WALKS.keys(), LONGEST_CHART)
    assert len(charts) == CHARTS
    assert [name for name in charts if not name.startswith("chart: ")] == []
    assert [name for files in WALKED.values() for name in files if not exists(name)] == []
    limits = WALKS | charts
    too_long = [title for title, files in WALKED.items() if not 0 < len(files) <= limits[title]]
    assert too_long == []


def test_every_reason_for_no_verdict_is_listed() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| `reason` \| [^|]+ \| (.+) \|$", text, re.M)
    assert {*re.findall(r"`([a-z_]+)`", row)} == REASONS.keys()


def imported(name: str) -> set[str]:
    """The modules that a file of the product imports, dotted."""
    (path,) = (path for path in FILES if path.endswith(f"/{name}") and "/tests/" not in f"/{path}")
    nodes = list(ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}" for node in froms} | {
        f"{node.module}.{alias.name}" for node in froms for alias in node.names
    }


def imports(first: str, second: str) -> bool:
    module = second.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return any(name.endswith(f".{module}") for name in imported(first))


@pytest.mark.parametrize("walk", WALKED)
def test_each_file_of_a_walk_is_reached_from_one_before_it(walk: str) -> None:
    files = [name for name in WALKED[walk] if name not in NOT_IMPORTED]
    for index, name in enumerate(files[1:], start=1):
        before = files[:index]
        assert any(imports(name, other) or imports(other, name) for other in before), name


@pytest.mark.parametrize("name", sorted({metric.name.partition(".")[0] for metric in METRICS}))
def test_every_metric_is_explained(name: str) -> None:
    assert f"| `{name}" in GLOSSARY


@pytest.mark.parametrize("error", ERROR_CLASSES)
def test_every_error_class_is_explained(error: str) -> None:
    assert f"| `{error}` |" in GLOSSARY


@pytest.mark.parametrize("word", JUDGED)
def test_pages_and_documents_explain_the_same_words(word: str) -> None:
    words = (ROOT / "control_plane/pages/site/glossary.toml").read_text(encoding="utf-8")
    assert f'key = "{word}"' in words
    assert f"| {word} |" in GLOSSARY


NOT_STARTING = " ".join((ROOT / "docs" / "not-starting.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize("hint", [*LOG_HINTS, *REASON_HINTS], ids=lambda hint: hint.general[:40])
def test_every_hint_is_explained(hint: StartHint) -> None:
    assert f"| {hint.cause} | {hint.general} |" in NOT_STARTING


@pytest.mark.parametrize("reason", OTHER_REASONS, ids=lambda reason: reason.says[:40])
def test_every_reason_is_explained(reason: StartReason) -> None:
    assert f"| {reason.says} | {reason.means} |" in NOT_STARTING
