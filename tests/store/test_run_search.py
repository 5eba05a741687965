"""The search of the history by words, and what is looked up of runs that are like others."""

import pytest

from control_plane.domain.run import State
from control_plane.store.store import Store
from tests.builders.runs import ASYNC, finished, items
from tests.builders.states import draft, in_state

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


COMMIT = "b176e59d0c4f3a2b1e8d7c6f5a4b3c2d1e0f9a8b"


@pytest.mark.parametrize("digits", [7, 12, 40])
def test_a_run_is_found_by_the_commit_that_it_measured(store: Store, digits: int) -> None:
    """That of the application; Looplab's own where the bundled application was measured."""
    for title, target, name in (
        ("bundled", {}, "commit"),
        ("own", {"target": {"url": "http://127.0.0.1:9"}}, "application_commit"),
        ("other", {"target": {"url": "http://127.0.0.1:9"}}, "commit"),
    ):
        run = in_state(store, State.STARTING, title=title, **target)
        store.move(run.id, State.STARTING, State.WARMING, environment={name: COMMIT})
    for text in (COMMIT[:digits], f"{COMMIT[:digits]} own", COMMIT[:digits].upper()):
        found = [run.title for run in store.runs(limit=9, text=text).runs]
        assert found == (["own"] if "own" in text else ["own", "bundled"])
    assert not store.runs(limit=9, text=COMMIT[:6] + "0").runs


def test_tags_are_listed_once(store: Store) -> None:
    store.add([draft(tags=["b", "a"]), draft(tags=["b", "é"])])
    assert store.tags() == ["a", "b", "é"]
