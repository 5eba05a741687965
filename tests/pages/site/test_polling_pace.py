"""How seldom pages ask while a run measures."""

from control_plane.pages.site import PAGES_CPU, SLOWEST, WATCHING_CPU, PollingPace


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
        assert Machine(viewers, cost_s=0.01).used() <= PAGES_CPU * 1.1


def test_few_pages_and_many_cores_wait_as_they_are_told() -> None:
    for machine in (Machine(1, 0.01), Machine(50, 0.01, cores=4)):
        assert [machine.wait() for _ in range(9)] == [1.0] * 9


def test_they_ask_as_before_when_nothing_measures() -> None:
    machine = Machine(50, 0.01)
    for _ in range(9):
        machine.wait()
    assert machine.wait() > 10
    assert machine.wait(loads=False) == 1.0


def test_a_page_asks_within_half_a_minute_whatever_it_costs() -> None:
    machine = Machine(1_000, 0.01)
    assert max(machine.wait() for _ in range(20)) == SLOWEST
