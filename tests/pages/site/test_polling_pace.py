"""How seldom pages ask while a run measures, and that many of them cost one rendering."""

import asyncio
import threading

import pytest

from control_plane.domain.errors import NotFound
from control_plane.pages.site import PAGES_CPU, SLOWEST, WATCHING_CPU, PollingPace, RenderCache

COST_S = 0.003


class Machine:
    """Viewers who each cost `cost_s` whenever they ask, and a clock that they wait by."""

    def __init__(self, viewers: int, cost_s: float, cores: int = 2) -> None:
        self.now_s = self.spent_s = 0.0
        self.viewers, self.cost_s = viewers, cost_s
        self.pace = PollingPace(cores, lambda: self.now_s, lambda: self.spent_s)

    def wait(self, *, loads: bool = True) -> float:
        """Let all of them ask once and wait; return how long they waited."""
        waits_s = [self.pace.every(1.0, loads=loads) for _ in range(self.viewers)]
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


def test_all_pages_together_stay_below_their_share() -> None:
    for viewers in (3, 10, 50):
        assert Machine(viewers, cost_s=COST_S).used() <= PAGES_CPU * 1.1


def test_few_pages_and_many_cores_wait_as_they_are_told() -> None:
    for machine in (Machine(1, COST_S), Machine(50, COST_S, cores=4)):
        assert [machine.wait() for _ in range(9)] == [1.0] * 9


def test_they_ask_as_before_when_nothing_measures() -> None:
    machine = Machine(50, COST_S)
    for _ in range(9):
        machine.wait()
    assert machine.wait() > 10
    assert machine.wait(loads=False) == 1.0


def test_a_page_asks_within_half_a_minute_whatever_it_costs() -> None:
    machine = Machine(1_000, COST_S)
    assert max(machine.wait() for _ in range(20)) == SLOWEST


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
