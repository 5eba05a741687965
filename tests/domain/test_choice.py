"""The runs that a comparison's URL names."""

import pytest

from control_plane.domain.choice import MOST, chosen_ids
from control_plane.domain.errors import InvalidInput, NotFound

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
    assert chosen_ids(runs, baseline) == expected


@pytest.mark.parametrize(
    ("runs", "baseline"),
    [
        ("", None),
        (" , ", None),
        (f"{A},{A}", None),
        (A, B),
        (",".join(f"{index:010}" for index in range(MOST + 1)), None),
    ],
)
def test_choices_that_are_refused(runs, baseline):
    with pytest.raises(InvalidInput):
        chosen_ids(runs, baseline)


@pytest.mark.parametrize("runs", ["x", f"{A},../etc", "0123456789a", "012345678i", "' OR 1=1"])
def test_what_cannot_be_an_id_is_not_found(runs):
    with pytest.raises(NotFound):
        chosen_ids(runs, None)
