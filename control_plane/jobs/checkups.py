"""The looks at applications of the settings, each the latest of its application."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime

from control_plane.domain.checkup import Checkup, Finding
from control_plane.domain.errors import Conflict
from control_plane.jobs.bench import Bench
from control_plane.jobs.checkup_job import CheckupJob
from control_plane.jobs.errands import Errands
from control_plane.targets.application import Application

log = logging.getLogger("looplab.jobs")


class Checkups:
    """`latest` may be used from any thread."""

    def __init__(self, errands: Errands, bench: Bench) -> None:
        self._errands, self._bench = errands, bench
        self._jobs: dict[str, CheckupJob] = {}

    def latest(self, name: str) -> Checkup | None:
        job = self._jobs.get(name)
        return job.checkup if job else None

    def begin(self, application: Application) -> None:
        """Raises Conflict while a run measures or another look lasts."""
        job = CheckupJob(application, Checkup(application.name, datetime.now(UTC)), self._bench)
        task = self._errands.begin(job.execute, f"check {application.name}")
        self._jobs[application.name] = job
        task.add_done_callback(lambda task: _settle(task, job))


def _settle(task: asyncio.Task[None], job: CheckupJob) -> None:
    """What was not carried through says so."""
    fault = None if task.cancelled() else task.exception()
    gave_way = fault is None or isinstance(fault, Conflict)
    if not gave_way:
        log.error("check of %s", job.checkup.application, exc_info=fault)
    if job.checkup.outcome is None:
        why = "A run needed the machine." if gave_way else "Something went wrong in Looplab."
        note = Finding("doubt", why, "Check again.")
        findings = (*job.checkup.findings, note)
        job.checkup = replace(job.checkup, outcome="stopped", findings=findings)
