from datetime import UTC, datetime, timedelta, timezone

import pytest

from control_plane.domain.slug import slug
from control_plane.pages.site.filters import ago, exact, iso

NOW = datetime(2026, 11, 20, 14, 2, tzinfo=UTC)
SPACE = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("past", "text"),
    [
        (timedelta(seconds=-5), "now"),
        (timedelta(seconds=59), "now"),
        (timedelta(minutes=5), f"5{SPACE}min ago"),
        (timedelta(hours=2), f"2{SPACE}h ago"),
        (timedelta(hours=11), f"11{SPACE}h ago"),
        (timedelta(hours=20), "yesterday"),
        (timedelta(days=1), "yesterday"),
        (timedelta(days=3), f"3{SPACE}days ago"),
        (timedelta(days=20), f"31{SPACE}Oct"),
        (timedelta(days=400), f"16{SPACE}Oct 2025"),
    ],
)
def test_ago(past: timedelta, text: str) -> None:
    assert ago(NOW - past, NOW) == text


def test_moments_are_utc() -> None:
    at = datetime(2026, 11, 20, 15, 2, tzinfo=timezone(timedelta(hours=1)))
    assert iso(at) == "2026-11-20T14:02:00Z"
    assert exact(at) == f"20{SPACE}Nov 2026, 14:02 UTC"


def test_slug() -> None:
    assert slug("Values of {a}: 1,2") == "values-of-a-1-2"
