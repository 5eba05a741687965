"""Run ids."""

import pytest

from control_plane.domain.identity import is_id, new_id


def test_new_ids_are_ids_and_do_not_repeat():
    made = {new_id() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(is_id(one) for one in made)


@pytest.mark.parametrize(
    "text", ["", "012345678", "01234567890", "012345678i", "012345678l", "012345678o", "A123456789"]
)
def test_what_is_no_id(text):
    assert not is_id(text)


def test_a_line_end_is_not_overlooked():
    assert not is_id("0123456789\n")
