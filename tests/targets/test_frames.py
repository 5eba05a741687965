"""Stacks as faulthandler writes them, read."""

from pathlib import Path

import pytest

from control_plane.targets.frames import DEPTH, Common, commonest, stacks_in

HOME = Path("/srv/shop")


def dump(*frames: tuple[str, int, str], more: str = "") -> bytes:
    lines = [f'  File "{file}", line {line} in {function}\n' for file, line, function in frames]
    return ("Stack (most recent call first):\n" + "".join(lines) + more).encode()


def test_frames_are_read_innermost_first_and_shortened() -> None:
    written = dump(
        ("/usr/lib/python3.11/json/decoder.py", 353, "raw_decode"),
        ("/srv/shop/orders/cart.py", 38, "total"),
        ("/srv/shop/.venv/lib/python3.11/site-packages/fastapi/routing.py", 762, "app"),
        ("/opt/x/looplab_probe/counting.py", 30, "looplab_probe"),
        ("/opt/other/tool.py", 3, "<module>"),
        ("<frozen runpy>", 88, "_run_code"),
        more="  ...\n",
    )
    assert list(stacks_in(written, HOME)) == [
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
        b"Stack (most recent call first):\n  <no Python frame>\n",
        dump(("/a.py", 1, "work"))[:-6] + dump(("/b.py", 2, "work"))[:40],
        dump(("/a.py", 1, "work"), ("/usr/lib/python3.11/threading.py", 1002, "_bootstrap")),
    ],
)
def test_what_is_no_stack_of_the_loop_is_left_out(written: bytes) -> None:
    found = list(stacks_in(written, HOME))
    assert all(len(stack) == 1 and stack[0].startswith("/a.py:1 ") for stack in found)
    assert len(found) <= 1


def test_the_innermost_are_kept() -> None:
    written = dump(*((f"/f{number}.py", number, "f") for number in range(80)))
    (stack,) = stacks_in(written, HOME)
    assert (len(stack), stack[0]) == (DEPTH, "/f0.py:0 f")


def test_the_commonest_of_the_commonest_end() -> None:
    slow, slower, other = ("a.py:1 f", "m"), ("a.py:2 f", "m"), ("b.py:9 g", "m")
    assert commonest([slow, slower, other, slower]) == Common(slower, 4, alike=3, there=2)
    assert commonest([]) == Common()


def test_what_the_application_called_is_one_place() -> None:
    """A library that moves on below it does not part its samples."""
    below = [(f"lib/python3.11/json/encoder.py:{line} e{line}", "a.py:7 f") for line in range(4)]
    seen = commonest([*below, ("a.py:9 f",), ("b.py:1 g",)])
    assert (seen.stack[-1], seen.samples, seen.alike, seen.there) == ("a.py:7 f", 6, 5, 4)
