import os

from control_plane.targets.supervisor import OUTPUT_READ_BYTES, ServerOutput


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


def test_writers_append_wherever_readers_are() -> None:
    with ServerOutput(5) as output:
        os.write(output.descriptor, b"one\n")
        os.lseek(output.descriptor, 0, os.SEEK_SET)
        os.write(output.descriptor, b"two\n")
        assert output.lines() == ("one", "two")
