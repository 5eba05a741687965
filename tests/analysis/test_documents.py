"""The documents name every metric and error class that there is."""

from pathlib import Path

import pytest

from control_plane.domain.metrics import METRICS
from control_plane.domain.result import ERROR_CLASSES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", sorted({metric.name.partition(".")[0] for metric in METRICS}))
def test_every_metric_is_explained(name):
    assert f"| `{name}" in (DOCS / "glossary.md").read_text()


@pytest.mark.parametrize("error", ERROR_CLASSES)
def test_every_error_class_is_explained(error):
    assert f"| `{error}` |" in (DOCS / "glossary.md").read_text()


JUDGED = ("block", "job", "gate", "contender", "ratio", "verdict", "baseline", "support", "trial")


@pytest.mark.parametrize("word", JUDGED)
def test_pages_and_documents_explain_the_same_words(word):
    words = (DOCS.parent / "control_plane" / "pages" / "site" / "glossary.toml").read_text()
    assert f'key = "{word}"' in words
    assert f"| {word} |" in (DOCS / "glossary.md").read_text()
