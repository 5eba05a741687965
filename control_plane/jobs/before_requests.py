"""The requests before the load of a trial: they log users in, and capture what later ones need."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from control_plane.domain.errors import TargetFailed
from control_plane.domain.request import Capture, CookieCapture, HeaderCapture, Scalar
from control_plane.domain.secrets import SecretFinder, revealed_request, secret_texts
from control_plane.domain.spec import BeforeRequest, Spec
from control_plane.load.request_source import Numbering, Request, RequestFactory
from control_plane.load.responses import UserCookies, cookie_of, json_value, set_cookies
from control_plane.load.worker_protocol import WHOLE, Captured, Seeds, SetCookie, Shard
from control_plane.targets.http_get_and_delayed_ack import open_session

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

AT_ONCE = 16
"""So many users are made ready at the same time."""

_SHOWN = 300
"""So much is told of what went wrong."""

_READ_BYTES = 2_000


@dataclass(frozen=True)
class Prepared:
    """What was captured: for all users, and for each one, in the order of the streams.

    `requests` were sent for it. `users` and `cookies` are empty where no user has anything of its
    own. `secrets` are all of these texts, by what they are called.
    """

    requests: int = 0
    shared: Mapping[str, Scalar] = field(default_factory=dict, repr=False)
    users: Sequence[Mapping[str, Scalar]] = field(default=(), repr=False)
    cookies: Sequence[Sequence[SetCookie]] = field(default=(), repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def of(self, first: int, users: int, share: Shard) -> Captured:
        """Return what one process is told of a stream, whose users follow `first` others."""
        own = slice(first + share.first, first + users, share.of)
        return Captured(
            dict(self.shared),
            tuple(dict(values) for values in self.users[own]),
            tuple(tuple(found) for found in self.cookies[own]),
        )


@dataclass
class _Preparing:
    """What one user has so far, or the run before there are users."""

    number: int
    values: dict[str, Scalar]
    cookies: UserCookies | None
    kept: list[SetCookie]

    def keep(self, path: str, found: Sequence[str]) -> None:
        if self.cookies is not None:
            self.cookies.keep(path, found)
            self.kept += ((path, text) for text in found)


@dataclass(frozen=True)
class _WholeAnswer:
    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


class BeforeRequests:
    """Sends them to one target. `secrets` are what placeholders of the spec stand for.

    `captured` is what was found so far, also where one of them fails, by what it is called.
    """

    def __init__(
        self, spec: Spec, secrets: Mapping[str, str], seeds: Seeds, url: str, host: str
    ) -> None:
        self._spec, self._url, self._host, self._sent = spec, url, host, 0
        self._secrets = secrets
        self.captured: dict[str, str] = {}
        names = [name for request in spec.before for name in request.capture]
        captured = Captured(users=(dict.fromkeys(names, ""),))
        numbering = Numbering(WHOLE, iter(()))
        self._factories = [
            RequestFactory(revealed_request(request, secrets), seeds, kind, numbering, captured)
            for kind, request in enumerate(spec.before)
        ]

    async def send(self) -> Prepared:
        """Send them all. Raises TargetFailed where one is not answered as it should be."""
        if not self._spec.before:
            return Prepared()
        async with open_session(self._host) as client:
            shared = self._session(0)
            await self._send_all(client, "run", shared)
            users = await self._each_user(client, shared)
        own = len(shared.values) < sum(len(request.capture) for request in self._spec.before)
        return Prepared(
            self._sent,
            shared.values,
            [user.values for user in users] if own else (),
            [user.kept for user in users] if self._spec.client.cookies else (),
            self.captured,
        )

    def _session(self, number: int, shared: _Preparing | None = None) -> _Preparing:
        keeps = self._spec.client.cookies
        cookies = UserCookies(self._url, self._host) if keeps else None
        made = _Preparing(number, {}, cookies, [])
        if shared is not None:
            made.values |= shared.values
            for path, text in shared.kept:
                made.keep(path, [text])
        return made

    async def _each_user(self, client: ClientSession, shared: _Preparing) -> list[_Preparing]:
        count = sum(stream.load.users for stream in self._spec.workload.streams)
        users = [self._session(number, shared) for number in range(count)]
        waiting = iter(users)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, count)):
                    group.create_task(self._work(client, waiting))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return users

    async def _work(self, client: ClientSession, waiting: Iterator[_Preparing]) -> None:
        for user in waiting:
            await self._send_all(client, "user", user)

    async def _send_all(self, client: ClientSession, per: str, session: _Preparing) -> None:
        for request, factory in zip(self._spec.before, self._factories, strict=True):
            if request.per == per:
                factory.go_to(session.number)
                made = factory.make(session.number, session.values)
                answer = await self._answered(client, request, made, session)
                for name, source in request.capture.items():
                    session.values[name] = self._captured(request, name, source, answer)

    async def _answered(
        self,
        client: ClientSession,
        request: BeforeRequest,
        made: Request,
        session: _Preparing,
    ) -> _WholeAnswer:
        # Only here, because it would take a tenth of a second of every start.
        from aiohttp import ClientError

        self._sent += 1
        headers = {"Accept": "*/*", **made.headers}
        if session.cookies is not None and (text := session.cookies.header(made.path)):
            headers["Cookie"] = "; ".join(filter(None, (headers.get("Cookie"), text)))
        timeout_s = self._spec.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._answer(client, made, headers)
        except TimeoutError:
            raise self._failed(request, f"no whole answer within {timeout_s:g} s") from None
        except (ClientError, OSError, ValueError) as error:
            raise self._failed(request, told(error)) from None
        found = set_cookies(answer.headers)
        session.keep(made.path, found)
        for text in found:
            self._note("cookie", cookie_of(text)[1])
        # Also of an answer that is not as expected, whose beginning is told.
        for name, source in request.capture.items():
            with suppress(LookupError):
                self._note(name, str(_value(source, answer)))
        self._check(request, made, answer)
        return answer

    def _note(self, name: str, text: str) -> None:
        self.captured[f"{name} {len(self.captured) + 1}"] = text

    async def _answer(
        self, client: ClientSession, made: Request, headers: Mapping[str, str]
    ) -> _WholeAnswer:
        async with sent(client, self._url, made, headers) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > self._spec.client.max_body_bytes:
                    raise ValueError("its answer is larger than a client may take")
            return _WholeAnswer(response.status, response.raw_headers, bytes(body))

    def _check(self, request: BeforeRequest, made: Request, answer: _WholeAnswer) -> None:
        """Raise TargetFailed unless it is answered as it should be, with the beginning of that."""
        status, body = answer.status, answer.body
        expected = 200 <= status <= 299 if made.expect is None else status in made.expect
        unmet = made.content.unmet(body, len(body)) if expected and made.content else ""
        if expected and not unmet:
            return
        begun = body[:_READ_BYTES].decode("utf-8", "replace")
        parts = [str(status), unmet, _redirect(answer), begun]
        raise self._failed(request, ", ".join(filter(None, parts)))

    def _captured(
        self, request: BeforeRequest, name: str, source: Capture, answer: _WholeAnswer
    ) -> Scalar:
        """Return what an answer has for a placeholder. Raises TargetFailed without it."""
        try:
            return _value(source, answer)
        except LookupError as missing:
            why = f"{answer.status}, and it {missing.args[0]}, so {{{name}}} has no value"
            raise self._failed(request, why) from None

    def _failed(self, request: BeforeRequest, why: str) -> TargetFailed:
        """Return the failure without secrets: a piece of one would not be found in what is cut."""
        texts = secret_texts((request for _, request in self._spec.requests()), self._secrets)
        shown = SecretFinder({**texts, **self.captured}).hide_cut(why)
        return TargetFailed(f"{request.line} before the load: {one_line(shown)[:_SHOWN]}")


def sent(
    client: ClientSession, url: str, made: Request, headers: Mapping[str, str]
) -> AbstractAsyncContextManager[ClientResponse]:
    """Send a request exactly as it was made, and give its response without following it."""
    from yarl import URL

    return client.request(
        made.method,
        URL(f"{url}{made.path}", encoded=True),
        headers=headers,
        data=made.body or None,
        allow_redirects=False,
        skip_auto_headers=("Content-Type",),
    )


def told(error: Exception) -> str:
    """Return what an error says, without the URL, which holds what was filled in."""
    from aiohttp import ClientResponseError

    if isinstance(error, ClientResponseError):
        # aiohttp marks the place in what came, below it, by a caret.
        return error.message.rstrip(" ^\n'\"") or type(error).__name__
    return str(error) or type(error).__name__


def one_line(text: str) -> str:
    """Return the text on one line, without signs that a terminal would obey."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _redirect(answer: _WholeAnswer) -> str:
    leads = [value for name, value in answer.headers if name.lower() == b"location"]
    if not leads or not 300 <= answer.status <= 399:
        return ""
    remedy = f"expect {answer.status} where that is right"
    return f"redirect ({remedy}) to {leads[0].decode('latin-1')}"


def _value(source: Capture, answer: _WholeAnswer) -> Scalar:
    """Return the value of an answer. Raises LookupError with what it does not have."""
    if isinstance(source, CookieCapture):
        cookies = dict(map(cookie_of, set_cookies(answer.headers)))
        found, what = cookies.get(source.cookie), f"sets no cookie {source.cookie}"
    elif isinstance(source, HeaderCapture):
        headers = {key.decode("latin-1").lower(): text for key, text in answer.headers}
        text = headers.get(source.header.lower())
        found = None if text is None else text.decode("latin-1")
        what = f"has no header {source.header}"
    else:
        try:
            return _scalar(json_value(answer.body, source.json))
        except LookupError as missing:
            raise LookupError(f"has no JSON value {source.json}: {missing.args[0]}") from None
    if found is None:
        raise LookupError(what)
    return found


def _scalar(value: object) -> Scalar:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise LookupError("it is neither a text nor a number")
    return value
