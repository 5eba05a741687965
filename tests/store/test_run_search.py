"""The search of the history by words, and what is looked up of runs that are like others."""

import pytest

from control_plane.store.store import Store
from tests.builders.runs import ASYNC, finished, items
from tests.builders.states import draft

KELVIN, LONG_S = "\N{KELVIN SIGN}", "\N{LATIN SMALL LETTER LONG S}"


@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("k", f"300 {KELVIN} cold"),
        ("K", f"300 {KELVIN} cold"),
        ("10k", f"10{KELVIN} users"),
        ("stream", f"{LONG_S}tream slow"),
        ("STR", f"{LONG_S}tream slow"),
        ("k-", f"a{KELVIN}-b"),
        (KELVIN, "300 k"),
        (f"{LONG_S}low", "slow"),
        ("ÉCOLE", "école"),
    ],
)
def test_a_filter_takes_no_match_away(store: Store, word: str, title: str) -> None:
    finished(store, items(title=title, trials=1), ASYNC)
    for validity in (None, "valid"):
        found = store.runs(limit=9, text=word, validity=validity).runs
        assert [run.title for run in found] == [title]


def test_tags_are_listed_once(store: Store) -> None:
    store.add([draft(tags=["b", "a"]), draft(tags=["b", "é"])])
    assert store.tags() == ["a", "b", "é"]
