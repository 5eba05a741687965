"""The looks at applications of the settings: one at a time, and never while a run measures."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from control_plane.domain.checkup import Checkup, Finding
from control_plane.domain.errors import Conflict
from control_plane.jobs.bench import Bench
from control_plane.jobs.checkup_job import CheckupJob
from control_plane.jobs.queue import Queue
from control_plane.targets.application import Application


class Checkups:
    """Lives in the event loop of the queue; `latest` and `give_way` may be used from any thread."""

    def __init__(self, queue: Queue, bench: Bench) -> None:
        self._queue, self._bench = queue, bench
        self._loop = asyncio.get_running_loop()
        self._jobs: dict[str, CheckupJob] = {}
        self._task: asyncio.Task[None] | None = None

    def latest(self, name: str) -> Checkup | None:
        job = self._jobs.get(name)
        return job.checkup if job else None

    def begin(self, application: Application) -> None:
        """Raises Conflict while a run measures or another look lasts."""
        if self._task is not None:
            raise Conflict("An application is being checked: wait until that is done.")
        if self._queue.busy:
            raise Conflict("A run measures now, and a check would disturb it: check after it.")
        job = CheckupJob(application, Checkup(application.name, datetime.now(UTC)), self._bench)
        self._jobs[application.name] = job
        self._task = asyncio.create_task(self._execute(job), name=f"check {application.name}")

    def give_way(self) -> None:
        """A run waits: the look that lasts is given up."""
        self._loop.call_soon_threadsafe(self._stop)

    async def close(self) -> None:
        task = self._task
        self._stop()
        if task is not None:
            await asyncio.wait([task])

    def _stop(self) -> None:
        if self._task is not None and not self._task.cancelling():
            self._task.cancel()

    async def _execute(self, job: CheckupJob) -> None:
        try:
            async with self._queue.held():
                await job.execute()
        except (asyncio.CancelledError, Conflict):
            note = Finding("doubt", "A run needed the machine.", "Check again when it is over.")
            findings = (*job.checkup.findings, note)
            job.checkup = replace(job.checkup, outcome="stopped", findings=findings)
        finally:
            self._task = None
