"""The tests that one value can fail, each with the message that names value, limit and remedy."""

import unicodedata
from collections.abc import Iterator

from control_plane.domain.errors import FieldError
from control_plane.domain.limits import Limits

Wrong = Iterator[FieldError]


def bounded(field: str, value: float, low: float, high: float, limit: str | None = None) -> Wrong:
    """`limit` names the field of Limits that a setting raises."""
    if value < low:
        yield FieldError(
            field, f"{_shown(value)} is below the smallest value of {_shown(low)}.", low
        )
    elif value > high:
        remedy = f" Raise {Limits.setting(limit)} to allow it." if limit else ""
        yield FieldError(
            field, f"{_shown(value)} is above the limit of {_shown(high)}.{remedy}", high
        )


def _shown(value: float) -> str:
    """`900`, `0.1`, `1,000`; whole numbers without a point."""
    if abs(value) >= 10**16:
        return "This number"
    return f"{int(value) if value == int(value) else value:,}"


def text(field: str, value: str, longest: int, *, empty: bool = True) -> Wrong:
    """Refuse control characters and overrides of the writing direction: they hide what is there."""
    if len(value) > longest:
        yield FieldError(
            field,
            f"{len(value):,} characters are above the limit of {longest}.",
            longest,
        )
    elif not value.strip() and not empty:
        yield FieldError(field, "This must not be empty.")
    elif any(unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for sign in value):
        yield FieldError(field, "Control characters cannot be used here.")


def counted(field: str, count: int, low: int, high: int, what: str) -> Wrong:
    if not low <= count <= high:
        yield FieldError(field, f"{count:,} {what}: give {low} to {high:,}.", high)
