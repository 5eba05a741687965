"""Names of configurations beside each other: the same settings, or other ones, are said so."""

import pytest

from control_plane.analysis.configuration_names import configuration_names


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([("A", "one", 1)], ("one",)),
        ([("A", "one", 1), ("B", "one", 1)], ("one", "one")),
        ([("A", "one", 1), ("B", "two", 2)], ("one", "two")),
        ([("A", "one", 1), ("B", "two", 1)], ("one", "two (same settings as A)")),
        ([("A", "one", 1), ("B", "one", 2)], ("one", "one (other settings than A)")),
        (
            [("A", "one", 1), ("B", "two", 2), ("C", "three", 2)],
            ("one", "two", "three (same settings as B)"),
        ),
    ],
)
def test_words(runs, words) -> None:
    assert configuration_names(runs) == words
