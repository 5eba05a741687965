"""Stalls from heartbeats and a file of stacks: tables, no clock."""

from pathlib import Path

import pytest

from control_plane.targets.observation.stalls import (
    MAX_FRAMES,
    MAX_STALLS,
    CommonStack,
    StackReader,
    StallRecorder,
    most_common_stack,
    parse_stacks,
)
from tests.targets.observation.test_time_buckets import MS, OPENED, beat

HOME = Path("/srv/shop")


def dump(*frames: tuple[str, int, str], looks: int = 1) -> bytes:
    lines = [f'  File "{file}", line {line} in {function}\n' for file, line, function in frames]
    return (f"{looks} looks, most recent call first:\n" + "".join(lines)).encode()


def test_frames_are_read_innermost_first_and_shortened() -> None:
    written = dump(
        ("/usr/lib/python3.11/json/decoder.py", 353, "raw_decode"),
        ("/srv/shop/orders/cart.py", 38, "total"),
        ("/srv/shop/.venv/lib/python3.11/site-packages/fastapi/routing.py", 762, "app"),
        ("/opt/x/looplab_probe/counting.py", 30, "looplab_probe"),
        ("/opt/other/tool.py", 3, "<module>"),
        ("<frozen runpy>", 88, "_run_code"),
        looks=2,
    )
    assert list(parse_stacks(written, HOME)) == 2 * [
        (
            "lib/python3.11/json/decoder.py:353 raw_decode",
            "orders/cart.py:38 total",
            "site-packages/fastapi/routing.py:762 app",
            "/opt/other/tool.py:3 <module>",
            "<frozen runpy>:88 _run_code",
        )
    ]


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"\0" * 4096,
        b"no stack at all",
        b"1 looks, most recent call first:\n",
        b"1 looks, most recent call first:\n  <no Python frame>\n",
        dump(("/a.py", 1, "work"))[:-6] + dump(("/b.py", 2, "work"))[:40],
    ],
)
def test_what_is_no_stack_of_the_loop_is_left_out(written: bytes) -> None:
    found = list(parse_stacks(written, HOME))
    assert all(len(stack) == 1 and stack[0].startswith("/a.py:1 ") for stack in found)
    assert len(found) <= 1


def test_the_innermost_are_kept() -> None:
    written = dump(*((f"/f{number}.py", number, "f") for number in range(80)))
    (stack,) = parse_stacks(written, HOME)
    assert (len(stack), stack[0]) == (MAX_FRAMES, "/f0.py:0 f")


def test_the_commonest_of_the_commonest_end() -> None:
    slow, slower, other = ("a.py:1 f", "m"), ("a.py:2 f", "m"), ("b.py:9 g", "m")
    assert most_common_stack([slow, slower, other, slower]) == CommonStack(
        slower, 4, alike=3, there=2
    )
    assert most_common_stack([]) == CommonStack()


def test_what_the_application_called_is_one_place() -> None:
    """A library that moves on below it does not part its samples."""
    below = [(f"lib/python3.11/json/encoder.py:{line} e{line}", "a.py:7 f") for line in range(4)]
    seen = most_common_stack([*below, ("a.py:9 f",), ("b.py:1 g",)])
    assert (seen.stack[-1], seen.samples, seen.alike, seen.there) == ("a.py:7 f", 6, 5, 4)


ORDER = dump(("/srv/shop/cart.py", 38, "total"))
OTHER = dump(("/srv/shop/mail.py", 7, "send"))


def book(path: Path, written: bytes = b"") -> StallRecorder:
    path.write_bytes(written)
    return StallRecorder(7, OPENED, StackReader(path, Path("/srv/shop")))


def test_a_late_beat_is_a_stall_with_its_own_stacks(tmp_path: Path) -> None:
    stalls = book(tmp_path / "7.stacks", OTHER + ORDER + ORDER + OTHER)
    seen = len(OTHER)
    stalls.add(beat(80, lag_ms=90, stack_bytes=seen))
    stalls.add(beat(600, lag_ms=500, stack_bytes=seen + 2 * len(ORDER)))
    (stall,) = stalls.longest()
    assert (stall.worker, stall.at_s, stall.duration_s) == (7, 0.1, 0.5)
    assert (stall.stack, stall.samples, stall.alike) == (("cart.py:38 total",), 2, 2)
    assert (stalls.count, stalls.total_s) == (1, 0.5)


def test_the_part_before_the_window_does_not_count(tmp_path: Path) -> None:
    stalls = book(tmp_path / "7.stacks")
    stalls.add(beat(-400, lag_ms=900))
    stalls.add(beat(300, lag_ms=680))
    (stall,) = stalls.longest()
    assert (stall.at_s, stall.duration_s, stall.stack) == (0, 0.3, ())


def test_a_stall_that_lasts_is_there_and_ends_once(tmp_path: Path) -> None:
    stalls = book(tmp_path / "7.stacks", ORDER)
    last = beat(80)
    stalls.add_overdue(OPENED + 150 * MS, last)
    assert stalls.count == 0
    stalls.add_overdue(OPENED + 350 * MS, last)
    assert (stalls.count, stalls.total_s) == (1, 0.25)
    with stalls.stacks.path.open("ab") as more:
        more.write(OTHER + OTHER)
    stalls.add_overdue(OPENED + 850 * MS, last)
    (stall,) = stalls.longest()
    assert (stall.duration_s, stall.stack, stall.samples, stall.alike) == (
        0.75, ("mail.py:7 send",), 3, 2,
    )  # fmt: skip
    stalls.add(beat(1_000, lag_ms=900, stack_bytes=len(ORDER + OTHER + OTHER)))
    assert [stall.duration_s for stall in stalls.longest()] == [0.9]
    assert (stalls.count, stalls.total_s, stalls.longest()[0].samples) == (1, 0.9, 3)


def test_all_are_counted_and_the_longest_kept(tmp_path: Path) -> None:
    stalls = book(tmp_path / "7.stacks")
    for number in range(MAX_STALLS + 50):
        stalls.add(beat(2_000 * (number + 1), lag_ms=200 + number))
    assert (stalls.count, len(stalls.longest())) == (MAX_STALLS + 50, MAX_STALLS)
    assert min(stall.duration_s for stall in stalls.longest()) == 0.25
    assert stalls.total_s == round(sum(200 + number for number in range(MAX_STALLS + 50)) / 1000, 6)


def test_without_a_file_there_are_stalls_without_stacks(tmp_path: Path) -> None:
    stalls = StallRecorder(7, OPENED, StackReader(tmp_path / "none", tmp_path))
    stalls.add(beat(300, lag_ms=200, stack_bytes=0))
    assert stalls.longest()[0].stack == ()


IDLE = dump(("/usr/lib/python3.11/selectors.py", 468, "select"))


def test_every_stack_of_the_window_is_a_sample_of_the_loop(tmp_path: Path) -> None:
    """Those before it are left out, and of a stall those in which the loop waited for its beat."""
    stalls = book(tmp_path / "7.stacks", OTHER + ORDER + IDLE + ORDER)
    at = len(OTHER)
    stalls.add(beat(-20, stack_bytes=at))
    stalls.add(beat(0, stack_bytes=at))
    stalls.add(beat(20, stack_bytes=at + len(ORDER), cpu_ns=5 * MS))
    stalls.add(beat(240, lag_ms=200, stack_bytes=at + len(ORDER + IDLE + ORDER), cpu_ns=60 * MS))
    samples = stalls.samples.samples()
    assert (samples.stacks, samples.at_work, samples.cpu_share) == (3, 2, 0.25)
    assert samples.places == ((("cart.py:38 total",), 2),)
    assert stalls.longest()[0].samples == 1


def test_a_file_that_began_anew_is_read_on(tmp_path: Path) -> None:
    stalls = book(tmp_path / "7.stacks", OTHER)
    stalls.add(beat(20, stack_bytes=len(OTHER)))
    cut = 10 * len(OTHER)
    stalls.stacks.path.write_bytes(ORDER)
    stalls.stacks.cut_bytes = cut
    stalls.add(beat(40, stack_bytes=cut + len(ORDER)))
    assert [stack for stack, _ in stalls.samples.samples().places] == [
        ("mail.py:7 send",),
        ("cart.py:38 total",),
    ]
