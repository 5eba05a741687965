"""What programs beside a run used, by name."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from control_plane.domain.result import Throttling
from control_plane.targets.observation.machine import (
    QuotaWatch,
    Snapshot,
    available_cores,
    program_name,
    spent_between,
)
from control_plane.targets.observation.procfs import CpuUse, Process


def of(uses: Iterable[tuple[int, int, float]]) -> Snapshot:
    """Return a snapshot of processes by pid, parent and CPU seconds."""
    return {
        Process(pid, pid): CpuUse(Process(pid, pid), parent, used) for pid, parent, used in uses
    }


@pytest.mark.parametrize(
    ("before", "after", "spent_s"),
    [
        ([(5, 1, 2.0)], [(5, 1, 2.5)], {5: 0.5}),
        ([], [(5, 1, 0.5)], {5: 0.5}),
        ([(5, 1, 0.0), (6, 5, 2.6)], [(5, 1, 3.0)], {5: 0.4}),
        ([(5, 1, 0.0), (6, 5, 0.1), (7, 6, 2.6)], [(5, 1, 3.1)], {5: 0.4}),
        ([(6, 5, 2.6)], [(8, 1, 0.1)], {8: 0.1}),
    ],
    ids=["goes on", "new", "child ended", "child and grandchild ended", "all ended"],
)
def test_cpu_time_between_two_looks(
    before: list[tuple[int, int, float]],
    after: list[tuple[int, int, float]],
    spent_s: dict[int, float],
) -> None:
    assert spent_between(of(before), of(after)) == pytest.approx(spent_s)


def test_a_script_has_its_own_name(tmp_path: Path) -> None:
    script = tmp_path / "helper.py"
    script.write_text("import sys; print(); sys.stdin.read()")
    assert name_of([sys.executable, str(script)], b"") == "helper.py"


def test_a_script_from_an_open_file_has_the_name_of_its_interpreter() -> None:
    assert name_of(["bash", "/dev/fd/0"], b"echo; read never\n") == "bash"


def name_of(command: list[str], sent: bytes) -> str:
    """Return how the program is called while it runs, which is told by its first line."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(sent)
        process.stdin.flush()
        process.stdout.readline()
        name = program_name(process.pid)
        process.stdin.close()
    return name


def test_this_machine_has_cores() -> None:
    assert available_cores() == tuple(sorted(available_cores())) != ()


def version_1(quota_us: int, *counts: int) -> dict[str, str]:
    """A group by its files: periods, of which throttled, and for how many seconds."""
    periods, throttled, throttled_s = counts
    stat = (
        f"nr_periods {periods}\nnr_throttled {throttled}\nthrottled_time {throttled_s}000000000\n"
    )
    return {
        "cpu.cfs_quota_us": f"{quota_us}\n",
        "cpu.cfs_period_us": "100000\n",
        "cpu.stat": f"{stat}throttled_time {throttled_s}000000000\n",
    }


def version_2(quota: str, *counts: int) -> dict[str, str]:
    periods, throttled, throttled_s = counts
    return {
        "cpu.max": f"{quota}\n",
        "cpu.stat": f"usage_usec 7\nuser_usec 7\nsystem_usec 0\nnr_periods {periods}\n"
        f"nr_throttled {throttled}\nthrottled_usec {throttled_s}000000\nnr_bursts 0\n",
    }


NONE_1, NONE_2 = version_1(-1, 0, 0, 0), version_2("max 100000", 0, 0, 0)
Groups = dict[str, dict[str, str]]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        # The group above has the quota, as a container's has.
        (
            {"box": version_1(20_000, 5, 1, 1), "box/app": NONE_1},
            {"box": version_1(20_000, 55, 31, 4), "box/app": NONE_1},
            Throttling(0.2, 50, 30, 3.0),
        ),
        # Each has one: that of the slice was spent first.
        (
            {"slice": version_2("50000 100000", 0, 0, 0), "slice/a": version_2("2 1", 0, 0, 0)},
            {"slice": version_2("50000 100000", 9, 8, 7), "slice/a": version_2("2 1", 9, 0, 0)},
            Throttling(0.5, 9, 8, 7.0),
        ),
        ({"a": NONE_2}, {"a": version_2("50000 100000", 9, 3, 1)}, Throttling(0.5, 9, 3, 1.0)),
        (
            {"a": version_1(150_000, 9, 3, 1)},
            {"a": version_1(-1, 12, 6, 3)},
            Throttling(1.5, 3, 3, 2.0),
        ),
        ({"a": NONE_1}, {"a": NONE_1}, None),
        # Of a group that the processor's controller does not govern.
        ({"a": {"cpu.stat": "usage_usec 7\n"}}, {"a": {"cpu.stat": "usage_usec 9\n"}}, None),
        ({"a": version_2("50000 100000", 0, 0, 0)}, {}, None),
    ],
    ids=["above", "both", "set on the way", "lifted on the way", "none", "not governed", "gone"],
)
def test_the_group_that_was_held_back_most_is_told(
    before: Groups, after: Groups, found: Throttling | None, tmp_path: Path
) -> None:
    place(before, tmp_path)
    watch = QuotaWatch([tmp_path / name for name in before])
    place(after, tmp_path)
    assert watch.throttling() == found


def place(groups: Groups, folder: Path) -> None:
    """Write the files of the groups, and leave no others."""
    shutil.rmtree(folder)
    folder.mkdir()
    for name, files in groups.items():
        (folder / name).mkdir()
        for file, text in files.items():
            (folder / name / file).write_text(text)
