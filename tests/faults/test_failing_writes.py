"""A write that fails in the middle of a run, on a disk that is full or broken: the run says so."""

import errno
import re
from collections.abc import Container
from itertools import cycle
from pathlib import Path
from typing import Any

from tests.dashboard import BARE, TERMINAL, Dashboard, items_spec, whole
from tests.faults.faulty_disk import FaultyDisk, faulty_disk
from tests.in_process import in_process

SPEC = items_spec(**BARE)
FIRSTS = (1, 4, 30, 70, 120)
REASONS = re.compile(
    r"disk full in trial [01] of 1: make space where the database lies, then run it again"
    r"|the database cannot be used in trial [01] of 1"
)


def measured_while_writes_fail(
    looplab: Dashboard, disk: FaultyDisk, writes: Container[int], error: int
) -> dict[str, Any] | None:
    """Hand in a run of which these writes fail; it ends and says why. None where it is refused."""
    disk.fail(writes, error)
    answer = looplab.post("/api/runs", SPEC)
    if answer.status_code == 503:
        assert answer.json()["error"] in {"disk_full", "database"}
        return None
    assert answer.status_code == 202, answer.text
    run = looplab.until_state(answer.json()["id"], TERMINAL, 90)
    if run["state"] == "failed":
        assert REASONS.fullmatch(run["reason"]), run["reason"]
    else:
        assert run["state"] == "finished", run["reason"]
    return run


def test_a_write_that_fails_ends_no_more_than_its_run(tmp_path: Path) -> None:
    errors = cycle((errno.ENOSPC, errno.EIO))
    kept: list[dict[str, Any]] = []
    with faulty_disk() as disk:
        with in_process(tmp_path) as looplab:
            for first, error in zip(FIRSTS, errors, strict=False):
                run = measured_while_writes_fail(looplab, disk, range(first, first + 2), error)
                kept += [run] if run else []
            disk.mend()
            kept.append(looplab.finished(looplab.submit(SPEC)))
            assert {run["state"] for run in kept} == {"failed", "finished"}
        with in_process(tmp_path) as again:
            assert [again.run(run["id"]) for run in kept] == kept
    assert whole(tmp_path / "runs.db")
