"""Limits as data: the level of a value, the limit that it is told with, and their text."""

import pytest

from control_plane.analysis.validity import COUNT, SECONDS, SHARE, GateLimits, judgement
from tests.builders.trials import with_spaces

AT_MOST = GateLimits("≤", 0.1, 0.5)
BELOW = GateLimits("<", 0.1, 0.5)
AT_LEAST = GateLimits("≥", 100, 10)
EXACTLY = GateLimits("=", suspect=0)
FATAL = GateLimits("≤", invalid=0.5)
BY_RUN = GateLimits("≤", note="the timeout")


@pytest.mark.parametrize(
    ("limits", "value", "level", "limit"),
    [
        (AT_MOST, 0.1, "ok", 0.1),
        (AT_MOST, 0.100_001, "suspect", 0.1),
        (AT_MOST, 0.5, "suspect", 0.1),
        (AT_MOST, 0.500_001, "invalid", 0.5),
        (BELOW, 0.099, "ok", 0.1),
        (BELOW, 0.1, "suspect", 0.1),
        (BELOW, 0.5, "invalid", 0.5),
        (AT_LEAST, 100, "ok", 100),
        (AT_LEAST, 99, "suspect", 100),
        (AT_LEAST, 10, "suspect", 100),
        (AT_LEAST, 9, "invalid", 10),
        (EXACTLY, 0, "ok", 0),
        (EXACTLY, 1, "suspect", 0),
        (EXACTLY, -1, "suspect", 0),
        (FATAL, 0.5, "ok", 0.5),
        (FATAL, 0.6, "invalid", 0.5),
        (BY_RUN, 1e9, "ok", None),
        (AT_MOST, float("inf"), "invalid", 0.5),
        (AT_MOST, float("nan"), "invalid", 0.5),
    ],
)
def test_level_and_limit(limits: GateLimits, value: float, level: str, limit: float | None) -> None:
    assert (limits.level(value), limits.limit(value)) == (level, limit)


@pytest.mark.parametrize(
    ("limits", "written", "text"),
    [
        (AT_MOST, SHARE, "≤ 10 %, invalid over 50 %"),
        (BELOW, SHARE, "< 10 %, invalid over 50 %"),
        (AT_LEAST, COUNT, "≥ 100, invalid below 10"),
        (EXACTLY, COUNT, "0"),
        (FATAL, SECONDS, "≤ 500 ms"),
        (GateLimits("<", 0.85, note=" of one core"), SHARE, "< 85 % of one core"),
        (BY_RUN, SECONDS, "≤ the timeout"),
    ],
)
def test_the_text_of_limits(limits: GateLimits, written, text: str) -> None:
    assert with_spaces(limits.text(written.limit)) == text


def test_a_doubt_follows_only_where_a_limit_is_broken() -> None:
    found = [judgement(AT_MOST, value, "Late", ": look.") for value in (0.05, 0.2, 0.9)]
    assert [(judged.level, judged.text, judged.limit) for judged in found] == [
        ("ok", "Late.", 0.1),
        ("suspect", "Late: look.", 0.1),
        ("invalid", "Late: look.", 0.5),
    ]
