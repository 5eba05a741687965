import re

import pytest

from control_plane.domain.errors import LooplabError
from control_plane.domain.stream_record import ERROR_CLASSES
from control_plane.pages.site.templating import groups, term
from scripts.budget import ROOT
from tests.dashboard import Dashboard

TERM = re.compile(r'ui\.term\("([a-z0-9-]+)"')


def test_keys_are_unique_and_meanings_are_sentences() -> None:
    terms = [entry for group in groups() for entry in group.terms]
    assert len({entry.key for entry in terms}) == len(terms)
    assert all(entry.meaning.endswith(".") for entry in terms)


def test_every_term_of_the_templates_is_explained() -> None:
    texts = [path.read_text() for path in (ROOT / "templates").rglob("*.html")]
    keys = {key for text in texts for key in TERM.findall(text)}
    assert keys
    for key in keys:
        assert term(key).meaning


def test_every_error_class_is_named() -> None:
    assert all(name in term("error").meaning for name in ERROR_CLASSES)


def test_an_unknown_word_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError) as caught:
        term("latency")
    assert not isinstance(caught.value, LooplabError)


def test_the_page_has_an_anchor_for_each_word(empty: Dashboard) -> None:
    page = empty.get("/glossary").text
    assert all(f'id="{entry.key}"' in page for group in groups() for entry in group.terms)
