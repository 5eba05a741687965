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
    outcome = answered(status, frozenset(expected) if expected else None)
    assert error_of(outcome) == error
    assert outcome >> 4 == status


@pytest.mark.parametrize("name", ERROR_CLASSES)
def test_each_class_has_a_number_of_its_own(name: str) -> None:
    assert error_of(failed(name)) == name
    assert error_of(failed(name, 599)) == name


def test_counts_add_up() -> None:
    pairs = [
        (answered(200, None), 5),
        (answered(201, None), 2),
        (answered(500, None), 3),
        (failed("reset"), 4),
    ]
    assert counts(pairs) == ({"status": 3, "reset": 4}, {"200": 5, "201": 2, "500": 3})
