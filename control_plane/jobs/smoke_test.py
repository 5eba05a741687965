"""The smoke test of a new run: each of its requests sent once, to a target as a trial starts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from secrets import token_hex
from typing import TYPE_CHECKING

from control_plane.analysis.start_hints import start_hints
from control_plane.domain.errors import InvalidInput, TargetFailed
from control_plane.domain.load_models import Closed
from control_plane.domain.secrets import SecretFinder, revealed, secret_texts
from control_plane.domain.spec import Spec
from control_plane.domain.units import size
from control_plane.jobs import Runtime
from control_plane.jobs.application_check import OpenApiCache
from control_plane.jobs.before_requests import BeforeRequests, Prepared, one_line, sent, told
from control_plane.jobs.manual_targets import STOP_GRACE_S
from control_plane.jobs.queue import IdleTasks
from control_plane.load.request_source import Numbering, Request, RequestFactory
from control_plane.load.responses import UserCookies
from control_plane.load.worker_protocol import WHOLE, seeds_of
from control_plane.store.store import Draft, Store
from control_plane.targets.application import Application, resolve_application
from control_plane.targets.environment_variables import secret_variables
from control_plane.targets.http_get_and_delayed_ack import open_session
from control_plane.targets.launch import RunningTarget, start_application

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_SHOWN = 300
"""So much of an answer is shown."""

_READ_S = 5.0
"""An answer that goes on for longer is told as one that did not end."""


@dataclass(frozen=True)
class TriedRequest:
    """A request that was sent once. `line` is its method and path as they were sent.

    `answer` says status, size and type, or why there was none. `leads` is where it redirects to,
    `begins` how its body begins and `fault` what is not as expected; each may be empty.
    """

    line: str
    answer: str
    leads: str = ""
    begins: str = ""
    fault: str = ""


@dataclass(frozen=True)
class TriedTarget:
    """What the requests of a run met at a target. `name` is that of its configuration.

    `fault` says why it could not be tried, with its `remedy` and what the target printed last.
    """

    name: str
    requests: tuple[TriedRequest, ...] = ()
    fault: str = ""
    remedy: str = ""
    log: tuple[str, ...] = ()


class SmokeTests:
    """Checks, one at a time, and none while a run measures."""

    def __init__(
        self, idle_tasks: IdleTasks, runtime: Runtime, store: Store, openapi_cache: OpenApiCache
    ) -> None:
        self._idle_tasks, self._runtime, self._store = idle_tasks, runtime, store
        self._openapi_cache = openapi_cache

    async def check(self, drafts: Sequence[Draft], form: str) -> tuple[TriedTarget, ...]:
        """Send the requests of runs once, where several ask the same of a target only those of one.

        `form`: key of the form that asks. Another look for it is given up, for others it is not
        done. Raises Conflict then, while a run measures, or when it was given up, as it is where
        nobody waits any more.
        """
        found: list[TriedTarget] = []

        async def work() -> None:
            for draft in {_asked(draft.spec): draft for draft in reversed(drafts)}.values():
                secrets = await asyncio.to_thread(self._store.revealed_secrets, draft.secrets)
                check = _SmokeTest(draft, secrets, self._runtime, self._openapi_cache)
                found.insert(0, await check.execute())

        task = await self._idle_tasks.begin(work, f"form {form}")
        await self._idle_tasks.wait(task, "check again")
        return tuple(found)


def _asked(spec: Spec) -> str:
    requests = [stream.requests for stream in spec.workload.streams]
    return repr((spec.target, spec.before, requests, spec.client.cookies))


class _SmokeTest:
    def __init__(
        self,
        draft: Draft,
        secrets: Mapping[str, str],
        runtime: Runtime,
        openapi_cache: OpenApiCache,
    ) -> None:
        user = Closed("closed", concurrency=1)
        streams = tuple(replace(stream, load=user) for stream in draft.spec.workload.streams)
        workload = replace(draft.spec.workload, streams=streams)
        self._spec = replace(draft.spec, workload=workload)
        self._name, self._secrets, self._runtime = draft.name, secrets, runtime
        self._texts = secret_texts((request for _, request in draft.spec.requests()), secrets)
        self._openapi_cache = openapi_cache

    async def execute(self) -> TriedTarget:
        """Return what came back; no process is left."""
        python = ""
        try:
            application = self._application()
            python = str(application.interpreter) if application else ""
            if application is not None:
                self._texts |= secret_variables(application)
            async with self._target(application) as target:
                tried = await self._requests(target)
                wrong = any(request.fault for request in tried)
                known = await self._listed(target, application) if wrong else ""
                return TriedTarget(self._name, tried, remedy=known)
        except TargetFailed as fault:
            hints = start_hints(str(fault), fault.log, python)
            log = tuple(SecretFinder(self._texts).hide(line) for line in fault.log)
            return TriedTarget(self._name, (), f"{fault}.", " ".join(hints), log)

    def _application(self) -> Application | None:
        started = self._spec.target.started
        if started is None:
            return None
        paths = [request.path for _, request in self._spec.requests()]
        return resolve_application(started, self._runtime.applications, paths)

    @asynccontextmanager
    async def _target(self, application: Application | None) -> AsyncIterator[RunningTarget]:
        asked, started = self._spec.target, self._spec.target.started
        if application is None or started is None:
            yield await self._runtime.reach(asked)
            return
        context = replace(self._runtime.launch_context(), secrets=self._texts)
        target = await start_application(application, started, context)
        try:
            yield target
        finally:
            await target.stop(min(application.stop_timeout_s, STOP_GRACE_S))

    async def _listed(self, target: RunningTarget, application: Application | None) -> str:
        """Return what an application says that it answers, which a first run then asks for."""
        if application is None or not application.own:
            return ""
        try:
            offer = await self._openapi_cache.keep_of(target, application.name)
        except (InvalidInput, TargetFailed):
            return ""
        operations = [operation.key for operation in offer.operations if operation.request]
        others = f" and {len(operations) - 1} more" if operations[1:] else ""
        listed = f"{operations[0]}{others}" if operations else ""
        return f"Its OpenAPI document lists {listed}: pick them in the form." if listed else ""

    async def _requests(self, target: RunningTarget) -> tuple[TriedRequest, ...]:
        seeds = seeds_of(self._spec.seed, token_hex(5), WHOLE, 0)
        before = BeforeRequests(self._spec, self._secrets, seeds, target.url, target.host_header)
        try:
            prepared = await before.send()
        finally:
            self._texts |= before.captured
        async with open_session(target.host_header) as client:
            return tuple(
                [await self._tried(client, target, made) for made in self._made(prepared, target)]
            )

    def _made(self, prepared: Prepared, target: RunningTarget) -> Iterator[Request]:
        """Yield the first request of each class, with what was captured for its user."""
        run = token_hex(5)
        for place, stream in enumerate(self._spec.workload.streams):
            captured = prepared.of(place, 1, WHOLE)
            own = captured.users[0] if captured.users else None
            seeds = seeds_of(self._spec.seed, run, WHOLE, place)
            for kind, request in enumerate(revealed(stream, self._secrets).requests):
                factory = RequestFactory(
                    request, seeds, kind, Numbering(WHOLE, iter(range(1, 2))), captured
                )
                made = factory.make(0, own)
                yield made._replace(cookies=self._cookies(captured.cookies, target))

    def _cookies(
        self, kept: Sequence[Sequence[tuple[str, str]]], target: RunningTarget
    ) -> UserCookies | None:
        if not self._spec.client.cookies:
            return None
        cookies = UserCookies(target.url, target.host_header)
        for path, text in kept[0] if kept else ():
            cookies.keep(path, [text])
        return cookies

    async def _tried(
        self, client: ClientSession, target: RunningTarget, made: Request
    ) -> TriedRequest:
        # Only here, because it would take a tenth of a second of every start.
        from aiohttp import ClientError

        headers = {"Accept": "*/*", **made.headers}
        if made.cookies is not None and (text := made.cookies.header(made.path)):
            headers["Cookie"] = "; ".join(filter(None, (headers.get("Cookie"), text)))
        finder = SecretFinder(self._texts)
        line = f"{made.method} {finder.hide(made.path)}"
        try:
            async with (
                asyncio.timeout(self._spec.timeout_s),
                sent(client, target.url, made, headers) as response,
            ):
                return await self._told(line, made, response, finder)
        except TimeoutError:
            none = f"no answer within {self._spec.timeout_s:g} s"
            return TriedRequest(line, none, fault="Each would be a timeout.")
        except (ClientError, OSError, ValueError) as error:
            none = f"no answer: {finder.hide_cut(one_line(told(error)))[:_SHOWN]}"
            return TriedRequest(line, none, fault="Each would be an error.")

    async def _told(
        self, line: str, made: Request, response: ClientResponse, finder: SecretFinder
    ) -> TriedRequest:
        body, ended = await _read(response, self._spec.client.max_body_bytes)
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        coding = response.headers.get("Content-Encoding", "")
        parts = [_status(response.status), _length(body, ended=ended), kind, coding]
        location = response.headers.get("Location", "") if 300 <= response.status <= 399 else ""
        begins = body[: 4 * _SHOWN].decode("utf-8", "replace") if not coding else ""
        return TriedRequest(
            line,
            ", ".join(filter(None, map(one_line, parts))),
            finder.hide_cut(one_line(location))[:_SHOWN],
            finder.hide_cut(one_line(begins))[:_SHOWN],
            _fault(made, response.status, body, ended=ended),
        )


async def _read(response: ClientResponse, most_bytes: int) -> tuple[bytes, bool]:
    """Return the body, and whether it came to its end; not in `_READ_S`, or beyond the bytes."""
    body = bytearray()

    async def read() -> None:
        while len(body) <= most_bytes and (chunk := await response.content.readany()):
            body.extend(chunk)

    with suppress(TimeoutError):
        await asyncio.wait_for(read(), _READ_S)
    return bytes(body), response.content.at_eof()


def _status(status: int) -> str:
    known = {each.value: each.phrase for each in HTTPStatus}
    return f"{status} {known.get(status, '')}".rstrip()


def _length(body: bytes, *, ended: bool) -> str:
    return size(len(body)) if ended else f"{size(len(body))} and did not end within {_READ_S:g} s"


def _fault(made: Request, status: int, body: bytes, *, ended: bool) -> str:
    """Return why such an answer would count as an error; "" where it would not."""
    if made.expect is None and not 200 <= status <= 299:
        return "Each would be an error: 200 to 299 is expected."
    if made.expect is not None and status not in made.expect:
        expected = ", ".join(map(str, sorted(made.expect)))
        return f"Each would be an error: {expected} is expected."
    if ended and made.content and (unmet := made.content.unmet(body, len(body))):
        return f"Each would be an error: {unmet}."
    return "" if ended or made.until else "It may never end: name until where its reading ends."
