"""The documents name files that exist and explain what the product names; its walks are short."""

import re
from collections.abc import Iterator

import pytest

from control_plane.domain.metrics import METRICS
from control_plane.domain.result import ERROR_CLASSES
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


def test_walks_are_short() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    chapter = text.split("\n## Walks\n")[1].split("\n## ")[0]
    sections = [section.partition("\n") for section in chapter.split("\n### ")[1:]]
    walks = {title: re.findall(r"^\d+\. `([^`]+)`", body, re.M) for title, _, body in sections}
    assert walks.keys() == WALKS.keys()
    assert [name for files in walks.values() for name in files if not exists(name)] == []
    too_long = [title for title, files in walks.items() if not 0 < len(files) <= WALKS[title]]
    assert too_long == []


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
