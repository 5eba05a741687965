"""Workers that end, told from helpers and copies of their parent: real processes, looked at."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from control_plane.targets.inside.looplab_probe.hooks import FORKED, LOG_NAME
from control_plane.targets.observation import procfs
from control_plane.targets.observation.worker_watch import EndedWorkers, WorkerWatch
from tests.targets.family import Family, family, kill, run_another_program


@pytest.fixture
def parent() -> Iterator[Family]:
    with family() as made:
        yield made


def look(watch: WorkerWatch, parent: Family) -> EndedWorkers:
    watch.look([parent.pid, *procfs.descendants(parent.pid)])
    return watch.ended


def watched(parent: Family, *, single: bool = False, folder: Path | None = None) -> WorkerWatch:
    """After two looks at who is there, as before every load."""
    watch = WorkerWatch(parent.pid, (), single=single, folder=folder)
    for _ in range(2):
        look(watch, parent)
    return watch


def log_birth(folder: Path, pid: int, parent: Family, shape: int = FORKED) -> None:
    with (folder / LOG_NAME).open("a") as log:
        log.write(f"born {pid} {procfs.started_at(pid)} {parent.pid} {shape}\n")


@pytest.mark.parametrize("single", [True, False])
def test_copies_that_end_are_counted_once_and_so_are_those_in_their_place(
    single: bool, parent: Family
) -> None:
    first, second = parent.make(), parent.make()
    watch = watched(parent, single=single)
    kill(first)
    assert look(watch, parent) == EndedWorkers(1, 0)
    third = parent.make()
    assert [look(watch, parent) for _ in range(2)] == [EndedWorkers(1, 0)] * 2
    kill(second)
    kill(third)
    assert look(watch, parent) == EndedWorkers(3, 0)


def test_one_that_ends_between_the_first_two_looks_is_counted(parent: Family) -> None:
    copies = [parent.make() for _ in range(3)]
    watch = WorkerWatch(parent.pid, (), single=False)
    look(watch, parent)
    kill(copies[0])
    assert look(watch, parent) == EndedWorkers(1, 0)


@pytest.mark.parametrize("looks", [1, 2])
def test_a_helper_seen_before_it_ran_its_program_is_no_worker(looks: int, parent: Family) -> None:
    parent.make(), parent.make()
    watch = watched(parent)
    helper = parent.make()
    for _ in range(looks):
        look(watch, parent)
        run_another_program(helper)
    kill(helper)
    assert look(watch, parent) == EndedWorkers()


def test_helpers_seen_as_copies_at_the_first_look_are_the_kind_that_they_become(
    parent: Family,
) -> None:
    helpers = [parent.make() for _ in range(2)]
    watch = WorkerWatch(parent.pid, (), single=False)
    look(watch, parent)
    for helper in helpers:
        run_another_program(helper)
    look(watch, parent)
    copy = parent.make()
    for _ in range(2):
        look(watch, parent)
    kill(copy)
    assert look(watch, parent) == EndedWorkers()
    kill(helpers[0])
    assert look(watch, parent) == EndedWorkers(1, 0)


def test_a_copy_that_the_log_names_counts_from_its_first_look(
    parent: Family, tmp_path: Path
) -> None:
    parent.make(), parent.make()
    watch = watched(parent, folder=tmp_path)
    copy = parent.make()
    log_birth(tmp_path, copy, parent)
    look(watch, parent)
    kill(copy)
    assert look(watch, parent) == EndedWorkers(1, 0)


def test_those_that_listen_are_the_workers_and_others_are_not(parent: Family) -> None:
    worker, other = parent.make(), parent.make()
    run_another_program(other)
    watch = WorkerWatch(parent.pid, [worker], single=True)
    look(watch, parent)
    kill(other)
    assert look(watch, parent) == EndedWorkers()
    kill(worker)
    assert look(watch, parent) == EndedWorkers(1, 0)


NEVER_SEEN = 2_000_000_000
"""A pid that no process has: Linux gives none above 2^22."""


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        ("", (0, 0)),
        ("born {pid} 7 {parent} 0\n", (1, 0)),
        ("born {pid} 7 {parent} 0\nended {pid} 7 1\n", (1, 1)),
        ("born {pid} 7 {parent} 0\nended {pid} 7 0\n", (1, 0)),
        ("born {pid} 7 {parent} 0\nborn {pid} 8 {parent} 0\nended {pid} 8 1\n", (2, 1)),
        ("born {pid} 7 {parent} 0\nborn {pid} 7 {parent} 5\n", (1, 0)),
        ("born {pid} 7 {parent} 5\n", (0, 0)),
        ("born {pid} 7 1 0\n", (0, 0)),
        ("ended {pid} 7 1\n", (0, 0)),
        ("born {pid} 7 {parent} 0", (0, 0)),
        ("born {pid}\n\nborn a b c d\n\xff\nborn {pid} 7 {parent} 0\n", (1, 0)),
    ],
    ids=[
        "empty",
        "born and gone",
        "at its limit",
        "below its limit",
        "a pid used again",
        "the first birth holds",
        "another program",
        "of another parent",
        "an end alone",
        "half a line",
        "lines that say nothing",
    ],
)
def test_who_was_never_seen_is_counted_by_the_log(
    text: str, ended: tuple[int, int], parent: Family, tmp_path: Path
) -> None:
    parent.make(), parent.make()
    watch = watched(parent, folder=tmp_path)
    written = text.format(pid=NEVER_SEEN, parent=parent.pid)
    (tmp_path / LOG_NAME).write_text(written, encoding="latin-1")
    assert [look(watch, parent) for _ in range(2)] == [EndedWorkers(*ended)] * 2


def test_a_line_is_read_when_it_is_whole(parent: Family, tmp_path: Path) -> None:
    parent.make(), parent.make()
    watch = watched(parent, folder=tmp_path)
    log = tmp_path / LOG_NAME
    log.write_text(f"born {NEVER_SEEN} 7 {parent.pid}")
    assert look(watch, parent) == EndedWorkers()
    with log.open("a") as more:
        more.write(" 0\n")
    assert look(watch, parent) == EndedWorkers(1, 0)
