"""Numbers and moments as templates print them."""

from datetime import UTC, datetime

from control_plane.domain import units
from control_plane.domain.slug import slug
from control_plane.domain.units import SPACE


def ago(at: datetime, now: datetime | None = None) -> str:
    """`now`, `5 min ago`, `2 h ago`, `yesterday`, `3 days ago`, `18 Nov`, `18 Nov 2025`."""
    present = now or datetime.now(UTC)
    past_s = (present - at).total_seconds()
    days = (present.date() - at.astimezone(UTC).date()).days
    if past_s < 60:
        return "now"
    if past_s < 3_600:
        return f"{past_s // 60:.0f}{SPACE}min ago"
    if past_s < 12 * 3_600 or days == 0:
        return f"{past_s // 3_600:.0f}{SPACE}h ago"
    if days < 7:
        return "yesterday" if days == 1 else f"{days}{SPACE}days ago"
    return day(at) if at.year == present.year else f"{day(at)} {at.year}"


def day(at: datetime) -> str:
    return f"{at.day}{SPACE}{at:%b}"


def exact(at: datetime) -> str:
    """`20 Nov 2026, 14:02 UTC`."""
    utc = at.astimezone(UTC)
    return f"{day(utc)} {utc:%Y, %H:%M} UTC"


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def cell(value: str | float | None) -> str:
    """A cell of a figure's table: counts whole, other numbers with four figures."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return units.figures(value, 4)
    return units.count(value)


FILTERS = {
    "ago": ago,
    "cell": cell,
    "exact": exact,
    "iso": iso,
    "rate": units.rate,
    "slug": slug,
    "thousands": units.count,
}
