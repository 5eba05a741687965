"""How seldom pages ask while a run measures, and that many of them cost one rendering."""

import asyncio
import heapq
import threading

import pytest

from control_plane.domain.errors import NotFound
from control_plane.pages.site import PAGES_CPU, SLOWEST, WATCHING_CPU, PollingPace, RenderCache

ASKS_EACH_S = 1.0
SHARE_S = PAGES_CPU * ASKS_EACH_S
"""What all answers of a page that asks each second may cost, at that pace."""


class Machine:
    """Viewers who each cost `cost_s` whenever they ask, and a clock that they wait by."""

    def __init__(self, viewers: int, cost_s: float, cores: int = 2) -> None:
        self.now_s = self.spent_s = 0.0
        self.viewers, self.cost_s = viewers, cost_s
        self.pace = PollingPace(cores, lambda: self.now_s, lambda: self.spent_s)

    def wait(self, *, loads: bool = True) -> float:
        """Let all of them ask once and wait; return how long they waited."""
        waits_s = [self.pace.every(ASKS_EACH_S, loads=loads) for _ in range(self.viewers)]
        self.spent_s += self.viewers * self.cost_s + WATCHING_CPU * waits_s[-1]
        self.now_s += waits_s[-1]
        return waits_s[-1]

    def used(self) -> float:
        """Return the cores that they use once the pace is found."""
        for _ in range(20):
            self.wait()
        before_s, spent_s = self.now_s, self.spent_s
        for _ in range(5):
            self.wait()
        return (self.spent_s - spent_s) / (self.now_s - before_s) - WATCHING_CPU


@pytest.mark.parametrize("viewers", [1, 3, 10, 50])
@pytest.mark.parametrize("demand", [1.2, 4, 15])
def test_all_pages_together_stay_below_their_share(viewers: int, demand: float) -> None:
    """Whatever an answer costs: `demand` is how many times their share they would use."""
    machine = Machine(viewers, cost_s=demand * SHARE_S / viewers)
    assert machine.used() <= PAGES_CPU * 1.1
    assert machine.wait() >= ASKS_EACH_S * demand / 1.1


def test_pages_within_their_share_and_those_of_many_cores_ask_as_often_as_they_want() -> None:
    few, many = Machine(2, 0.45 * SHARE_S), Machine(50, SHARE_S, cores=4)
    for machine in (few, many):
        assert [machine.wait() for _ in range(9)] == [ASKS_EACH_S] * 9


def test_they_ask_as_before_when_nothing_measures() -> None:
    machine = Machine(50, 0.3 * SHARE_S)
    for _ in range(9):
        machine.wait()
    assert machine.wait() > 10
    assert machine.wait(loads=False) == 1.0


def test_a_page_asks_within_half_a_minute_whatever_it_costs() -> None:
    machine = Machine(1_000, SHARE_S)
    assert max(machine.wait() for _ in range(20)) == SLOWEST


def used_by_crowd(viewers: int, cost_s: float, within_s: float) -> float:
    """Return the cores that viewers use who opened the page at any time of the first second."""
    machine = Machine(viewers, cost_s)
    asks_s = [place / viewers for place in range(viewers)]
    while (now_s := asks_s[0]) < within_s:
        machine.spent_s += cost_s + WATCHING_CPU * (now_s - machine.now_s)
        machine.now_s = now_s
        heapq.heapreplace(asks_s, now_s + machine.pace.every(ASKS_EACH_S, loads=True))
    return machine.spent_s / within_s - WATCHING_CPU


@pytest.mark.parametrize("within_s", [5, 10, 20, 60, 300])
def test_a_crowd_takes_little_of_a_run_from_its_beginning(within_s: float) -> None:
    """Pages that were told to wait long come back together, and the wait does not swing by that."""
    assert used_by_crowd(100, 0.8e-3, within_s) < 3 * PAGES_CPU


def test_one_who_opens_an_expensive_page_is_not_kept_waiting_for_long() -> None:
    machine = Machine(1, 0.1 * SHARE_S)
    machine.wait()
    machine.spent_s += 2.0
    waits_s = [machine.wait() for _ in range(6)]
    assert max(waits_s) <= 10
    assert waits_s[-1] == ASKS_EACH_S


class Maker:
    """What is made of a page, each time another text."""

    def __init__(self) -> None:
        self.now_s, self.times = 0.0, 0
        self.may_end = threading.Event()
        self.cache = RenderCache(lambda: self.now_s)

    def make(self) -> bytes:
        self.times += 1
        assert self.may_end.wait(timeout=5)
        return f"{self.times}".encode()

    async def look(self, key: str = "a") -> bytes:
        return await self.cache.shared(key, self.make, 1.0)


async def test_all_who_ask_in_the_time_share_one_rendering() -> None:
    page = Maker()
    asked = [asyncio.create_task(page.look()) for _ in range(16)]
    await asyncio.sleep(0)
    page.may_end.set()
    assert await asyncio.gather(*asked) == [b"1"] * 16
    assert await page.look("another") == b"2"
    page.now_s = 0.99
    assert await page.look() == b"1"
    page.now_s = 1.0
    assert await page.look() == b"3"


async def test_who_goes_away_takes_nothing_from_the_others() -> None:
    page = Maker()
    gone, stays = (asyncio.create_task(page.look()) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    page.may_end.set()
    assert await stays == b"1"


async def test_what_failed_is_tried_again() -> None:
    cache, found = RenderCache(lambda: 0.0), [NotFound("no such run")]

    def make() -> bytes:
        if found:
            raise found.pop()
        return b"there"

    with pytest.raises(NotFound):
        await cache.shared("a", make, 1.0)
    assert await cache.shared("a", make, 1.0) == b"there"
