"""The trap is found where it is, and nowhere else; checked with real servers."""

import asyncio
import time
from dataclasses import replace

import pytest

from control_plane.analysis.validity.response_gates import ACK_HIGH_S, ACK_LOW_S
from control_plane.domain.spec import Target
from control_plane.targets.http_get_and_delayed_ack import ACK_TIMEOUT_S, MIN_REQUESTS, slower_by
from tests.targets.site import Site

ASYNCIO = Target(loop="asyncio")
LOOKS = 5


@pytest.mark.parametrize(
    ("usual", "quick", "expected"),
    [
        ([0.045] * 12, [0.001] * 12, 0.044),
        ([0.245] * 4, [0.2] * 4, 0.045),
        ([0.001] * 12, [0.001] * 12, 0.0),
        ([0.045] * 4 + [0.001] * 8, [0.001] * 12, 0.0),
        ([0.001] * 12, [0.045] * 12, -0.044),
        ([0.045] * (MIN_REQUESTS - 1), [0.001] * 12, None),
        ([], [], None),
    ],
)
def test_a_delay_counts_where_nearly_all_show_it(
    usual: list[float], quick: list[float], expected: float | None
) -> None:
    assert slower_by(usual, quick) == (expected and pytest.approx(expected))


@pytest.mark.parametrize(
    ("target", "trapped"),
    [
        (replace(ASYNCIO, workers=2), True),
        (replace(ASYNCIO, workers=1), False),
        (Target(workers=2), False),
    ],
    ids=["asyncio x2", "asyncio x1", "uvloop x2"],
)
async def test_workers_on_asyncio_are_flagged(site: Site, target: Target, trapped: bool) -> None:
    """One look may wait for the processor in between: one of all finds the trap, and where there is
    none most of them find none.
    """
    async with site.running("probe", target) as started:
        found: list[bool | None] = []
        for _ in range(LOOKS):
            await started.check()
            slower_s = started.delayed_ack_s
            found.append(None if slower_s is None else ACK_LOW_S <= slower_s <= ACK_HIGH_S)
        assert found.count(trapped) >= (1 if trapped else LOOKS // 2 + 1), found


async def test_answers_that_drip_hold_a_trial_up_for_a_bounded_time(site: Site) -> None:
    async with site.running("drip", Target(loop="asyncio")) as started:
        began = time.monotonic()
        await started.check()
        assert time.monotonic() - began < ACK_TIMEOUT_S + 1
        assert started.delayed_ack_s is None
        checking = asyncio.create_task(started.check())
        await asyncio.wait([checking], timeout=0.2)
        checking.cancel()
        await asyncio.wait([checking], timeout=1)
        assert checking.cancelled()


async def test_what_leaves_http_is_not_judged(site: Site) -> None:
    async with site.running("switching") as started:
        await started.check()
        assert started.delayed_ack_s is None
