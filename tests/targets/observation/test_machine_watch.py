"""What programs beside a run used, by name."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from control_plane.targets.observation.machine_watch import Snapshot, program_name, spent_between
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
