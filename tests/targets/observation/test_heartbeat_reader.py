"""What one side writes the other reads, and nonsense is nothing."""

import os
import random
from array import array
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from control_plane.domain.observations import Stall, WorkerSeries
from control_plane.targets.inside.looplab_probe.ring import FILE_BYTES, RING, VERSION, RingWriter
from control_plane.targets.observation.probe_reader import (
    CLOCK_SLACK_NS,
    HeartbeatReader,
    ProbeOutput,
    ProbeReader,
)
from tests.targets.observation.test_time_buckets import HALF_S, MS, OPENED, beat


def test_each_beat_is_read_once_and_the_end_is_told(tmp_path: Path) -> None:
    writer = RingWriter(str(tmp_path / "7.beats"))
    file = HeartbeatReader(tmp_path / "7.beats")
    written = [beat(20 * number, completed=number) for number in range(5)]
    for heartbeat in written[:3]:
        writer.write(heartbeat)
    assert file.read(OPENED) == written[:3]
    for heartbeat in written[3:]:
        writer.write(heartbeat)
    assert (file.read(OPENED), file.read(OPENED), file.over) == (written[3:], [], False)
    writer.close(OPENED)
    assert (file.read(OPENED), file.over) == ([], True)


def test_a_second_start_leaves_the_memory_of_the_first(tmp_path: Path) -> None:
    first, second = (RingWriter(str(tmp_path / "7.beats")) for _ in range(2))
    first.write(beat(0))
    second.write(beat(20))
    assert HeartbeatReader(tmp_path / "7.beats").read(OPENED) == [beat(20)]


def test_a_reader_that_was_held_up_gets_the_newest(tmp_path: Path) -> None:
    writer = RingWriter(str(tmp_path / "7.beats"))
    written = [beat(20 * number) for number in range(RING + 100)]
    for heartbeat in written:
        writer.write(heartbeat)
    read = HeartbeatReader(tmp_path / "7.beats").read(written[-1].at_ns)
    assert read == written[-len(read) :]
    assert len(read) >= RING - 1


def test_beats_out_of_time_are_left_out(tmp_path: Path) -> None:
    writer = RingWriter(str(tmp_path / "7.beats"))
    ahead = CLOCK_SLACK_NS // MS + 1
    for heartbeat in (beat(0), beat(ahead), beat(-20), beat(20), beat(40, lag_ms=-1)):
        writer.write(heartbeat)
    assert HeartbeatReader(tmp_path / "7.beats").read(OPENED) == [beat(0), beat(20)]


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\xff" * FILE_BYTES, b"\0" * FILE_BYTES])
def test_a_file_of_something_else_holds_no_beats(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "7.beats").write_bytes(content)
    assert HeartbeatReader(tmp_path / "7.beats").read(OPENED) == []


def test_what_a_target_leaves_in_the_folder_is_survived(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.beats")
    os.mkfifo(tmp_path / "1.stacks")
    (tmp_path / "2.beats").symlink_to("/dev/zero")
    (tmp_path / "3.beats").mkdir()
    for name in ("x.beats", "-4.beats", "²5.beats", ".beats"):
        (tmp_path / name).touch()
    RingWriter(str(tmp_path / f"{os.getpid()}.beats")).write(beat(10))
    reader = ProbeReader(ProbeOutput(tmp_path, tmp_path), OPENED, 500 * MS)
    reader.read(OPENED + 20 * MS)
    assert [worker.pid for worker in reader.workers(1)] == [os.getpid()]
    assert reader.stalls() == ()


@pytest.mark.parametrize("seed", range(20))
def test_rubbish_in_a_file_disturbs_no_reader(tmp_path: Path, seed: int) -> None:
    """Cells of any size, small ones often, so that many look like beats."""
    chance = random.Random(seed)
    reader = ProbeReader(ProbeOutput(tmp_path, tmp_path), OPENED, HALF_S)
    (tmp_path / f"{os.getpid()}.stacks").write_bytes(chance.randbytes(5_000))
    for look in range(5):
        cells = array("q", (chance.getrandbits(chance.choice(BITS)) for _ in range(CELLS)))
        cells[0], cells[1] = VERSION, chance.choice([RING * look, cells[1], -1])
        (tmp_path / f"{os.getpid()}.beats").write_bytes(cells.tobytes())
        reader.read(OPENED + look * HALF_S)
        seen: list[WorkerSeries | Stall] = [*reader.workers(2 * look), *reader.stalls()]
        assert all(SERIES.dump_json(series) for series in seen)


CELLS = FILE_BYTES // 8
SERIES = TypeAdapter(WorkerSeries | Stall)
BITS = (1, 20, 34, 35, 62, 63)
