"""Stalls from heartbeats and a file of stacks: tables, no clock."""

from pathlib import Path

from control_plane.targets.stalls import KEPT, StackFile, StallBook
from tests.targets.test_frames import dump
from tests.targets.test_slots import MS, OPENED, beat

ORDER = dump(("/srv/shop/cart.py", 38, "total"))
OTHER = dump(("/srv/shop/mail.py", 7, "send"))


def book(path: Path, written: bytes = b"") -> StallBook:
    path.write_bytes(written)
    return StallBook(7, OPENED, StackFile(path, Path("/srv/shop")))


def test_a_late_beat_is_a_stall_with_its_own_stacks(tmp_path: Path) -> None:
    stalls = book(tmp_path / "7.stacks", OTHER + ORDER + ORDER + OTHER)
    seen = len(OTHER)
    stalls.take(beat(80, lag_ms=90, stack_bytes=seen))
    stalls.take(beat(600, lag_ms=500, stack_bytes=seen + 2 * len(ORDER)))
    (stall,) = stalls.longest()
    assert (stall.worker, stall.at_s, stall.duration_s) == (7, 0.1, 0.5)
    assert (stall.stack, stall.samples, stall.alike) == (("cart.py:38 total",), 2, 2)
    assert (stalls.number, stalls.total_s) == (1, 0.5)


def test_the_part_before_the_window_does_not_count(tmp_path: Path) -> None:
    stalls = book(tmp_path / "7.stacks")
    stalls.take(beat(-400, lag_ms=900))
    stalls.take(beat(300, lag_ms=680))
    (stall,) = stalls.longest()
    assert (stall.at_s, stall.duration_s, stall.stack) == (0, 0.3, ())


def test_a_stall_that_lasts_is_there_and_ends_once(tmp_path: Path) -> None:
    stalls = book(tmp_path / "7.stacks", ORDER)
    last = beat(80)
    stalls.owed(OPENED + 150 * MS, last)
    assert stalls.number == 0
    stalls.owed(OPENED + 350 * MS, last)
    assert (stalls.number, stalls.total_s) == (1, 0.25)
    with stalls.stacks.path.open("ab") as more:
        more.write(OTHER + OTHER)
    stalls.owed(OPENED + 850 * MS, last)
    (stall,) = stalls.longest()
    assert (stall.duration_s, stall.stack, stall.samples, stall.alike) == (
        0.75, ("mail.py:7 send",), 3, 2,
    )  # fmt: skip
    stalls.take(beat(1_000, lag_ms=900, stack_bytes=len(ORDER + OTHER + OTHER)))
    assert [one.duration_s for one in stalls.longest()] == [0.9]
    assert (stalls.number, stalls.total_s, stalls.longest()[0].samples) == (1, 0.9, 3)


def test_all_are_counted_and_the_longest_kept(tmp_path: Path) -> None:
    stalls = book(tmp_path / "7.stacks")
    for number in range(KEPT + 50):
        stalls.take(beat(2_000 * (number + 1), lag_ms=200 + number))
    assert (stalls.number, len(stalls.longest())) == (KEPT + 50, KEPT)
    assert min(stall.duration_s for stall in stalls.longest()) == 0.25
    assert stalls.total_s == round(sum(200 + number for number in range(KEPT + 50)) / 1000, 6)


def test_without_a_file_there_are_stalls_without_stacks(tmp_path: Path) -> None:
    stalls = StallBook(7, OPENED, StackFile(tmp_path / "none", tmp_path))
    stalls.take(beat(300, lag_ms=200, stack_bytes=0))
    assert stalls.longest()[0].stack == ()
