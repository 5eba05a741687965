import re

import pytest

from control_plane.domain.errors import LooplabError
from control_plane.domain.result import ERROR_CLASSES
from control_plane.pages.site.glossary import groups, word
from scripts.budget import ROOT
from tests.dashboard import Dashboard

TERM = re.compile(r'ui\.term\("([a-z0-9-]+)"')


def test_keys_are_unique_and_meanings_are_sentences() -> None:
    words = [one for group in groups() for one in group.words]
    assert len({one.key for one in words}) == len(words)
    assert all(one.meaning.endswith(".") for one in words)


def test_every_term_of_the_templates_is_explained() -> None:
    texts = [path.read_text() for path in (ROOT / "templates").rglob("*.html")]
    terms = {key for text in texts for key in TERM.findall(text)}
    assert terms
    for term in terms:
        assert word(term).meaning


def test_every_error_class_is_named() -> None:
    assert all(name in word("error").meaning for name in ERROR_CLASSES)


def test_an_unknown_word_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError) as caught:
        word("latency")
    assert not isinstance(caught.value, LooplabError)


def test_the_page_has_an_anchor_for_each_word(empty: Dashboard) -> None:
    page = empty.get("/glossary").text
    assert all(f'id="{one.key}"' in page for group in groups() for one in group.words)
