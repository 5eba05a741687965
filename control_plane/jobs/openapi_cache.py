"""The OpenAPI documents of targets: read on demand, and kept while Looplab runs."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from control_plane.domain.application_report import Offer
from control_plane.domain.errors import Conflict, InvalidInput, TargetFailed
from control_plane.domain.limits import Limits
from control_plane.domain.spec import AnyTarget
from control_plane.jobs.manual_targets import STOP_GRACE_S
from control_plane.jobs.queue import IdleTasks
from control_plane.jobs.runtime import Runtime
from control_plane.targets.application import resolve_application
from control_plane.targets.http_get import get
from control_plane.targets.interpreter_packages import default_target
from control_plane.targets.launch import RunningTarget, start_application
from control_plane.targets.openapi_operations import operations_of
from control_plane.targets.running_target import reach

PATHS = ("/openapi.json", "/schema/openapi.json")
"""Where documents are by default: that of FastAPI and most others, then that of Litestar."""

MOST_KEPT = 50


class OpenApiCache:
    """The operations that targets offer. `entries` by application name or URL, for any thread."""

    def __init__(self, idle_tasks: IdleTasks, runtime: Runtime, limits: Limits) -> None:
        self._idle_tasks, self._runtime, self._limits = idle_tasks, runtime, limits
        self.entries: dict[str, Offer] = {}

    async def read(self, target: AnyTarget) -> Offer:
        """Start the application, or go to the URL, and read its OpenAPI document.

        Raises Conflict while a run measures, or when one needed the machine; InvalidInput with what
        is wrong with the response or the start.
        """
        of = target.url or str(target.application)

        async def work() -> None:
            self._keep(await self._read(target, of))

        task = self._idle_tasks.begin(work, f"openapi {of}")
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            raise Conflict("A run needed the machine: read it again after the run.") from None
        except TargetFailed as fault:
            raise InvalidInput(f"Its OpenAPI document was not read. {fault}") from None
        return self.entries[of]

    def _keep(self, offer: Offer) -> None:
        self.entries.pop(offer.of, None)
        self.entries[offer.of] = offer
        while len(self.entries) > MOST_KEPT:
            del self.entries[next(iter(self.entries))]

    async def _read(self, target: AnyTarget, of: str) -> Offer:
        running = await self._running(target)
        try:
            return await self._offer(running, of)
        finally:
            await running.stop(STOP_GRACE_S)

    async def keep_of(self, running: RunningTarget, of: str) -> Offer:
        """Read the document of a target that runs, and keep it. Raises InvalidInput."""
        offer = await self._offer(running, of)
        self._keep(offer)
        return offer

    async def _offer(self, running: RunningTarget, of: str) -> Offer:
        statuses = []
        for path in PATHS:
            response = await get(running.url, path, running.host_header)
            if response.status == 200:
                read = await asyncio.to_thread(operations_of, response.body, self._limits)
                return Offer(of, datetime.now(UTC), *read)
            statuses.append(f"GET {path} answers {response.status}")
        raise InvalidInput(f"{', '.join(statuses)}: there is nothing to pick.")

    async def _running(self, target: AnyTarget) -> RunningTarget:
        started = target.started
        if started is None:
            return await reach(target.url, self._runtime.own_ports, target.host)
        application = resolve_application(started, self._runtime.applications)
        if application.own:
            interpreters = self._runtime.interpreters
            found = await asyncio.to_thread(default_target, application, interpreters)
            started = replace(found or started, host=started.host)
        context = self._runtime.launch_context()
        return await start_application(application, started, context)
