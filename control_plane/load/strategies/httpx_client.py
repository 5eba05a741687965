"""`httpx`: AsyncClient, one coroutine for each user, all in one event loop."""

import asyncio
import logging
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from control_plane.load.crew import Crew
from control_plane.load.faults import Types, classify
from control_plane.load.outcome import Ended, answered, failed
from control_plane.load.phase import Phase
from control_plane.load.source import Request
from control_plane.load.strategies.httpx_transport import Lanes
from control_plane.load.strategies.loops import new_loop
from control_plane.load.strategies.strategy import HEADERS, LONGEST_HEADER, MOST_HEADERS, Gear

FAULTS = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError)
"""What httpx raises for what a server may do."""

TYPES: Types = ((httpx.TimeoutException, "timeout"), (TimeoutError, "timeout"))

_BY_MESSAGE = {
    "Server disconnected without sending a response": "disconnected",
    "peer closed connection without sending complete message body": "truncated",
}
"""Faults that httpx tells apart in its messages alone."""


class HttpxClient:
    def __init__(self, gear: Gear) -> None:
        logging.getLogger("httpx").setLevel(logging.CRITICAL)
        self._base_url = gear.plan.base_url.rstrip("/")
        self._limit = gear.plan.client.max_body_bytes
        self._loop = new_loop(gear.plan.client)
        kept = "keep-alive" if gear.plan.client.reuse_connections else "close"
        self._headers = httpx.Headers({**HEADERS, "Connection": kept})
        self._lanes = Lanes(gear)
        self._clients = [self._client() for _ in range(gear.plan.users)]
        self._crew = Crew(gear, self._send)

    def run(self, phase: Phase) -> None:
        self._loop.run_until_complete(self._crew.run(phase))

    async def _send(self, request: Request) -> Ended:
        """The client that was idle last sends it, so that a light load needs few connections."""
        client = self._clients.pop()
        try:
            return await self._sent(client, request)
        except asyncio.CancelledError:
            # httpcore does not shield its clearing up from this: nothing of it is used again.
            await client.aclose()
            client = self._client()
            raise
        finally:
            self._clients.append(client)

    async def _sent(self, client: httpx.AsyncClient, request: Request) -> Ended:
        response, sent = None, len(request.body)
        try:
            made = client.build_request(
                request.method,
                self._base_url + request.path,
                headers=request.headers,
                content=request.body or None,
            )
            response = await client.send(made, stream=True)
            endless = _is_endless(response)
            received = 0 if endless else await self._read(response)
        except FAULTS as error:
            return failed(_class_of(error), sent)
        finally:
            # Closed before its end, an answer takes its connection with it.
            if response is not None:
                await response.aclose()
        if endless:
            return failed("protocol", sent)
        if received > self._limit:
            return failed("body_too_large", sent, received)
        return answered(response.status_code, request.expect, sent, received)

    async def _read(self, response: httpx.Response) -> int:
        """Bytes of the body, never unpacked; reading ends above the limit."""
        received = 0
        async for chunk in response.aiter_raw():
            received += len(chunk)
            if received > self._limit:
                break
        return received

    def _client(self) -> httpx.AsyncClient:
        """One for each connection: a pool of httpcore looks at every connection it has, twice for
        each request, which took seconds with some hundred of them.
        """
        client = httpx.AsyncClient(
            transport=self._lanes.transport(),
            timeout=None,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        client.headers = self._headers
        return client


def _is_endless(response: httpx.Response) -> bool:
    """h11 bounds the whole head, not the number and the length of its lines."""
    lines = response.headers.raw
    return len(lines) > MOST_HEADERS or any(len(text) > LONGEST_HEADER for _, text in lines)


def _class_of(error: Exception) -> str:
    name = classify(error, TYPES)
    if name == "protocol":
        told = [kind for start, kind in _BY_MESSAGE.items() if str(error).startswith(start)]
        return told[0] if told else name
    return name
