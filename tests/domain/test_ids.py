"""The runs that a comparison's URL names."""

import pytest

from control_plane.domain.errors import InvalidInput, NotFound
from control_plane.domain.ids import compared_ids, is_id, new_id
from control_plane.domain.limits import MAX_COMPARED_RUNS


def test_new_ids_are_ids_and_do_not_repeat():
    made = {new_id() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(is_id(run_id) for run_id in made)


@pytest.mark.parametrize(
    "text", ["", "012345678", "01234567890", "012345678i", "012345678l", "012345678o", "A123456789"]
)
def test_what_is_no_id(text):
    assert not is_id(text)


def test_a_line_end_is_not_overlooked():
    assert not is_id("0123456789\n")


A, B = "0123456789", "abcdefghjk"


@pytest.mark.parametrize(
    ("runs", "baseline", "expected"),
    [
        (A, None, ((A,), A)),
        (f"{A},{B}", None, ((A, B), A)),
        (f"{B}, {A},", A, ((B, A), A)),
        (f"{A},{B}", "", ((A, B), A)),
    ],
)
def test_runs_in_their_order_and_the_baseline(runs, baseline, expected):
    assert compared_ids(runs, baseline) == expected


@pytest.mark.parametrize(
    ("runs", "baseline"),
    [
        ("", None),
        (" , ", None),
        (f"{A},{A}", None),
        (A, B),
        (",".join(f"{index:010}" for index in range(MAX_COMPARED_RUNS + 1)), None),
    ],
)
def test_choices_that_are_refused(runs, baseline):
    with pytest.raises(InvalidInput):
        compared_ids(runs, baseline)


@pytest.mark.parametrize("runs", ["x", f"{A},../etc", "0123456789a", "012345678i", "' OR 1=1"])
def test_what_cannot_be_an_id_is_not_found(runs):
    with pytest.raises(NotFound):
        compared_ids(runs, None)
