"""What was started by hand leaves no process and no descriptor, however it ends."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from control_plane.domain.errors import Conflict
from control_plane.domain.spec import Target
from control_plane.jobs.manual_targets import MOST_TARGETS, ManualTarget
from control_plane.jobs.run_service import RunService


def descriptors() -> int:
    """Without those of the database, whose connections are opened when they are needed."""
    links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum("runs.db" not in link for link in links)


async def until(service: RunService, state: str) -> ManualTarget:
    async with asyncio.timeout(20):
        while (found := service.manual_targets.all()[-1]).state != state:
            await asyncio.sleep(0.02)
    return found


async def test_descriptors_go_with_it(service: RunService) -> None:
    before = descriptors()
    for _ in range(2):
        await service.manual_targets.start("one", Target())
        running = await until(service, "running")
        os.kill(running.pid, signal.SIGKILL)
        ended = await until(service, "ended")
        assert ended.reason == "target died, signal 9"
        assert ended.log
    async with service.manual_targets.stopped_during("0000000000") as stopped:
        assert stopped == ()
        with pytest.raises(Conflict, match="measures now"):
            await service.manual_targets.start("one", Target())
    assert descriptors() <= before + 1
    assert service.manual_targets.all()[-1].log == ended.log


async def test_one_that_starts_makes_way_too(service: RunService) -> None:
    starting = asyncio.create_task(service.manual_targets.start("one", Target()))
    await asyncio.sleep(0)
    async with service.manual_targets.stopped_during("0000000000") as stopped:
        assert stopped == ("one",)
    await starting
    assert service.manual_targets.all()[-1].reason == "stopped because run 0000000000 began"


async def test_one_without_a_folder_says_so(service: RunService, tmp_path: Path) -> None:
    (tmp_path / "runs.db.state").write_text("in the way")
    await service.manual_targets.start("one", Target())
    assert (await until(service, "ended")).reason.startswith("start: File exists: ")


async def test_only_the_last_that_ended_are_shown(service: RunService) -> None:
    broken = Target(application="gone")
    for number in range(MOST_TARGETS + 3):
        await service.manual_targets.start(f"number {number}", broken)
        await until(service, "ended")
    shown = service.manual_targets.all()
    assert [target.name for target in shown] == [
        f"number {number}" for number in range(2, MOST_TARGETS + 3)
    ]
    assert all(target.reason.startswith("start") for target in shown)
