import os
import signal
import subprocess
from pathlib import Path

from control_plane.targets.guarded_server import OUTPUT_READ_BYTES, ChildProcess, ServerOutput


def test_the_newest_lines_are_kept() -> None:
    with ServerOutput(3) as output:
        assert output.lines() == ()
        os.write(output.descriptor, b"one\ntwo\nthree\nfour\nhalf")
        assert output.lines() == ("three", "four", "half")
    assert output.lines() == ("three", "four", "half")


def test_bytes_that_are_no_text_and_lines_without_end_do_no_harm() -> None:
    with ServerOutput(5) as output:
        os.write(output.descriptor, b"\xff\xfe\n" + b"x" * 3 * OUTPUT_READ_BYTES + b"\nlast\n")
        assert output.lines() == ("last",)
        os.write(output.descriptor, b"y" * 2_000)
        assert output.lines() == ("last", "y" * 500)


def test_colours_and_titles_of_a_terminal_are_left_out() -> None:
    with ServerOutput(5) as output:
        os.write(output.descriptor, b"\x1b[32m\x1b[1mINFO\x1b[0m: started [1]\n")
        os.write(output.descriptor, b"\x1b]0;served\x07\x1b[2K\x1b[1Aready\n\x1b]no end\n")
        assert output.lines() == ("INFO: started [1]", "ready", "\x1b]no end")


def test_writers_append_wherever_readers_are() -> None:
    with ServerOutput(5) as output:
        os.write(output.descriptor, b"one\n")
        os.lseek(output.descriptor, 0, os.SEEK_SET)
        os.write(output.descriptor, b"two\n")
        assert output.lines() == ("one", "two")


def test_it_kills_a_child_and_then_nobody() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        before = open_files()
        handle = ChildProcess(child.pid)
        handle.send(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        handle.send(signal.SIGKILL)
        handle.close()
        handle.close()
        assert open_files() == before


def test_one_that_was_reaped_or_is_no_child_is_left_alone() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    before = open_files()
    for pid in (gone.pid, os.getpid(), os.getppid()):
        ChildProcess(pid).send(signal.SIGKILL)
    assert open_files() == before


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
