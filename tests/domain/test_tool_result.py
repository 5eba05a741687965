"""What a report of another tool may not say: the first of it is told."""

from dataclasses import replace
from typing import Any

import pytest

from control_plane.domain.limits import MAX_PERCENTILES, MAX_TOOL_STREAMS
from control_plane.domain.tool_result import (
    ToolReport,
    ToolSeconds,
    ToolStream,
    ToolTimes,
    report_fault,
)

TIMES = ToolTimes(0.001, 0.002, 0.009, {"50": 0.002, "99": 0.008})
COURSE = ToolSeconds(
    (0.0, 1.0), (10.0, 12.0), (0.0, None), (0.002, 0.002), (None,) * 2, (None,) * 2
)
STREAM = ToolStream("GET /", 100, 3, TIMES, {"timeout": 3}, {"200": 97}, 2.0, 48.5, 200)


def fault(**changes: Any) -> str:
    """Of a report whose one stream has these changes."""
    return report_fault(ToolReport("wrk", "service", (replace(STREAM, **changes),)))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"seconds": COURSE}, ""),
        ({"requests": None, "failed": None, "duration_s": None}, ""),
        ({"throughput_per_s": -1.0}, "the throughput is -1.0, and no number from 0"),
        ({"errors": {"reset": 10**16}}, "the number of reset is 10000000000000000, and no number"),
        ({"failed": 101}, "more requests failed than there are"),
        ({"statuses": {"ok": 1}}, "'ok' is no status"),
        ({"times": replace(TIMES, max=0.0005)}, "the maximum is below the minimum"),
        ({"times": ToolTimes(percentiles={"101": 1.0})}, "'101' is no percentile"),
        (
            {"times": ToolTimes(percentiles={f"1.{place}": 1.0 for place in range(1_001)})},
            f"there are more than {MAX_PERCENTILES:,} percentiles",
        ),
        ({"seconds": replace(COURSE, p95=(None,))}, "not every moment has all of its numbers"),
        ({"seconds": replace(COURSE, at_s=(1.0, 0.0))}, "its times go backwards"),
        ({"seconds": replace(COURSE, errors=(0.0, -1.0))}, "a moment has a number that is not"),
    ],
)
def test_the_first_fault_of_a_report_is_told(changes: dict[str, Any], told: str) -> None:
    assert told in fault(**changes)
    assert bool(told) == bool(fault(**changes))


def test_a_report_has_a_name_of_requests_and_not_too_many() -> None:
    for many in (0, MAX_TOOL_STREAMS + 1):
        assert report_fault(ToolReport("wrk", "service", (STREAM,) * many)).startswith(
            f"{many} names of requests are not 1 to "
        )
