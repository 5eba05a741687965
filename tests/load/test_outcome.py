import pytest

from control_plane.domain.result import ERROR_CLASSES
from control_plane.load.outcome import answered, counts, error_of, failed


@pytest.mark.parametrize(
    ("status", "expected", "error"),
    [
        (200, None, None),
        (204, None, None),
        (299, None, None),
        (300, None, "status"),
        (304, None, "status"),
        (302, None, "redirect"),
        (308, None, "redirect"),
        (404, None, "status"),
        (302, {302}, None),
        (404, {404, 410}, None),
        (200, {404}, "status"),
        (301, {302}, "redirect"),
    ],
)
def test_the_expected_status_decides(status: int, expected: set[int] | None, error: str) -> None:
    outcome, *sizes = answered(status, frozenset(expected) if expected else None, 7, 9)
    assert error_of(outcome) == error
    assert (outcome >> 4, sizes) == (status, [7, 9])


@pytest.mark.parametrize("name", ERROR_CLASSES)
def test_each_class_has_a_number_of_its_own(name: str) -> None:
    assert failed(name, 3)[1:] == (3, 0)
    assert error_of(failed(name, 3)[0]) == error_of(failed(name, 3, 4, 599)[0]) == name


def test_counts_add_up() -> None:
    pairs = [
        (answered(200, None, 0, 1)[0], 5),
        (answered(201, None, 0, 1)[0], 2),
        (answered(500, None, 0, 1)[0], 3),
        (failed("reset", 0)[0], 4),
    ]
    assert counts(pairs) == ({"status": 3, "reset": 4}, {"200": 5, "201": 2, "500": 3})
