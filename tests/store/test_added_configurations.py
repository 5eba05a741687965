from dataclasses import replace

import pytest

from control_plane.domain.errors import Conflict, NotFound
from control_plane.domain.spec import Target
from control_plane.store.added_configurations import MAX_ADDED
from control_plane.store.store import Store

MINE = replace(Target(), threads=8, settings={"log_s": 0.5, "database": "sqlite"})


def test_what_was_added_is_read_back(store: Store) -> None:
    store.add_configuration("b", MINE)
    store.add_configuration("a", Target())
    assert store.configurations() == [("a", Target()), ("b", MINE)]
    with pytest.raises(Conflict, match="'b' already"):
        store.add_configuration("b", Target())
    store.remove_configuration("a")
    assert store.configurations() == [("b", MINE)]
    with pytest.raises(NotFound):
        store.remove_configuration("a")


def test_there_are_not_too_many(store: Store) -> None:
    for number in range(MAX_ADDED):
        store.add_configuration(f"{number:03}", Target())
    with pytest.raises(Conflict, match="remove one"):
        store.add_configuration("one more", Target())
