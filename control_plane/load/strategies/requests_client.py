"""Sends requests with requests, as the strategies with threads (`threaded`) and without
(`blocking`) do.
"""

import http.client
import logging
import os
import ssl
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from itertools import count
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from control_plane.load.clock import clock_ns, sleep_until
from control_plane.load.outcome import (
    ERROR_MASK,
    BodySample,
    Ended,
    ErrorTypes,
    classify,
    error_chain,
    failure,
    outcome_of,
    response_outcome,
)
from control_plane.load.request_source import Request, RequestHeaders
from control_plane.load.responses import Reading
from control_plane.load.schedule import Phase
from control_plane.load.strategies import StrategyContext, tls_context
from control_plane.load.strategies.tracked_pool import ConnectionTracker, pools
from control_plane.load.virtual_users import StartTimes, start_times

EXPECTED_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)
"""What requests and the libraries below it raise for what a server may do."""

ERROR_TYPES: ErrorTypes = (
    (TimeoutError, "timeout"),
    (urllib3.exceptions.TimeoutError, "timeout"),
    (http.client.RemoteDisconnected, "disconnected"),
    (urllib3.exceptions.InvalidChunkLength, "protocol"),
    (http.client.IncompleteRead, "truncated"),
    (http.client.HTTPException, "protocol"),
    (urllib3.exceptions.InvalidHeader, "protocol"),
    (urllib3.exceptions.ProtocolError, "truncated"),
)

_CHUNK_BYTES = 65_536


class RequestsClient:
    """Sends the requests of users over sessions: one, or as many as there are users."""

    def __init__(self, context: StrategyContext, sessions: int) -> None:
        urllib3.disable_warnings()
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)
        self._context = context
        self._url = context.plan.base_url
        self._headers = RequestHeaders(context.plan, context.source)
        self._limit = context.plan.client.max_body_bytes
        self._tracker = ConnectionTracker(
            context.connections, context.kept_connections(), context.samples.hear
        )
        self._tls = tls_context()
        self._tracker.watch(context.samples, context.timeout_ns)
        self._sessions = [self._session(context.plan.users // sessions) for _ in range(sessions)]

    def drive(self, user: int, start_times: StartTimes, ready: Callable[[], object]) -> None:
        """Send all requests of a user, in the calling thread, from when `ready` returns."""
        context = self._context
        samples, draw = context.samples, context.source.draw_for(user)
        session = self._sessions[user % len(self._sessions)]
        self._tracker.enter(user)
        ready()
        due_ns = start_times.first(user)
        while due_ns is not None:
            sleep_until(due_ns)
            request = draw()
            start_ns = clock_ns()
            samples.begin(user, due_ns, start_ns)
            answered = self._send(session, request)
            end_ns = clock_ns()
            late = end_ns - start_ns >= context.timeout_ns
            ended = failure("timeout", len(request.body)) if late else outcome_of(answered)
            response = self._tracker.response()
            if late and response is not None:
                headers = _raw_headers(response.raw)
                context.failures.keep_cut_off(request, response.status_code, headers)
            elif ended[0] & ERROR_MASK:
                context.failures.keep(ended, request)
            samples.end(user, end_ns, ended)
            due_ns = start_times.after(due_ns, end_ns)

    def _send(self, session: requests.Session, request: Request) -> Ended:
        ended, again = self._attempt(session, request, only_new=False)
        return self._attempt(session, request, only_new=True)[0] if again else ended

    def _attempt(
        self, session: requests.Session, request: Request, *, only_new: bool
    ) -> tuple[Ended, bool]:
        """Return how the request ended, and whether it goes out again."""
        tracker = self._tracker
        tracker.set_request(request.path, self._headers.of(request), only_new=only_new)
        try:
            return self._sent(session, request), False
        except EXPECTED_ERRORS as error:
            unanswered = tracker.unanswered()
            if unanswered is None:
                return failure(_class_of(error), len(request.body)), False
            number, ending = unanswered
            again = tracker.kept.send_again(request.method, number, ending)
            return failure(ending.error_class, len(request.body)), again

    def _sent(self, session: requests.Session, request: Request) -> Ended:
        response, sent = None, len(request.body)
        try:
            response = session.request(
                request.method,
                self._url,
                data=request.body or None,
                allow_redirects=False,
                stream=True,
                timeout=(self._context.plan.timeout_s, None),
            )
            self._tracker.set_response(response)
            _check_length(response.headers.get("content-length"))
            sample = self._context.failures.sample(response.status_code, request)
            reading = request.reading()
            if response.raw.length_remaining is None:
                media_type = response.headers.get("content-type")
                self._context.failures.note_open_end(request, media_type)
            received = self._received(response, sample, reading)
        except EXPECTED_ERRORS:
            if response is not None:
                response.close()
            raise
        _take_cookies(request, response.raw)
        ended = response_outcome(response.status_code, request.expect, sent, received)
        if received > self._limit:
            response.close()
            ended = failure("body_too_large", sent, received)
        elif reading is not None:
            if reading.ended:
                response.close()
            raw_headers = _raw_headers(response.raw)
            return self._context.read_until(reading, ended, request, raw_headers, sample)
        if sample is None and not ended[0] & ERROR_MASK:
            return ended
        headers = partial(_raw_headers, response.raw)
        return self._context.failures.response(ended, request, headers, sample)

    def _received(
        self, response: requests.Response, sample: BodySample | None, reading: Reading | None
    ) -> int:
        if _is_interim(response):
            return 0
        if reading is None:
            return self._read(response.raw, sample)
        return self._read_until(response.raw, sample, reading)

    def _read_until(self, raw: Any, sample: BodySample | None, reading: Reading) -> int:
        """Read what is there each time: `stream` would wait for whole chunks of its own size."""
        reading.begin(clock_ns())
        try:
            while reading.received <= self._limit:
                self._tracker.set_read_timeout(reading.left_s(clock_ns()))
                chunk = raw.read1(_CHUNK_BYTES, decode_content=False)
                if sample is not None:
                    sample.add(chunk)
                if not chunk or reading.add(chunk):
                    break
        except urllib3.exceptions.ReadTimeoutError:
            reading.end()
        return reading.received

    def _read(self, raw: Any, sample: BodySample | None) -> int:
        """Bytes of the body, never unpacked; reading ends above the limit.

        `sample` takes the first ones.
        """
        received = 0
        for chunk in raw.stream(_CHUNK_BYTES, decode_content=False):
            received += len(chunk)
            if sample is not None:
                sample.add(chunk)
            if received > self._limit:
                break
        return received

    def _session(self, connections: int) -> requests.Session:
        session = _Session()
        session.trust_env = False
        session.verify = False
        session.headers.clear()
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(self._tracker, connections, self._tls)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session


def _check_length(content_length: str | None) -> None:
    """Raise HTTPException for what is not one number: http.client would read until the end."""
    if content_length is not None and not content_length.strip().isdecimal():
        raise http.client.HTTPException(f"Content-Length: {content_length}")


def _take_cookies(request: Request, raw: Any) -> None:
    if request.cookies is not None:
        request.take_cookies(_raw_headers(raw))


def _raw_headers(raw: Any) -> list[tuple[bytes, bytes]]:
    return [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in raw.headers.items()
    ]


def _is_interim(response: requests.Response) -> bool:
    """Close the connection of an interim response, and return whether it is one.

    http.client takes any 1xx but 100 for the final response, which may still come: the next request
    would get it.
    """
    if response.status_code < 200:
        response.close()
    return response.status_code < 200


def _class_of(error: Exception) -> str:
    name = classify(error, ERROR_TYPES)
    if name == "protocol":
        # A status line without its end is all that came before the connection was closed.
        chain = error_chain(error)
        lines = [str(part) for part in chain if isinstance(part, http.client.BadStatusLine)]
        return "disconnected" if any(not line.endswith("\n") for line in lines) else name
    return name


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, or requests would read the whole body of a redirect to prepare the next one."""


class _Adapter(HTTPAdapter):
    """An adapter with a pool as large as the number of its users."""

    def __init__(self, tracker: ConnectionTracker, connections: int, tls: ssl.SSLContext) -> None:
        self._pools, self._tls = pools(tracker), tls
        super().__init__(pool_connections=1, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=self._tls)
        self.poolmanager.pool_classes_by_scheme = self._pools


class BlockingClient:
    """One user, who sends one request at a time in the thread of the load."""

    def __init__(self, context: StrategyContext) -> None:
        self._client = RequestsClient(context, sessions=1)

    def run(self, phase: Phase) -> None:
        self._client.drive(0, start_times(phase), phase.start)


_WAKE_UPS_PER_S = 10_000


class ThreadedClient:
    """All users as threads, which have a session each or share one."""

    def __init__(self, context: StrategyContext) -> None:
        shared = context.plan.client.session == "shared"
        self._client = RequestsClient(context, sessions=1 if shared else context.plan.users)
        self._threads = ThreadPoolExecutor(max_workers=context.plan.users)
        # Each thread that waits for the interpreter wakes up once in an interval; hundreds that do
        # so all the time take the core from those that could work.
        sys.setswitchinterval(max(sys.getswitchinterval(), context.plan.users / _WAKE_UPS_PER_S))

    def run(self, phase: Phase) -> None:
        barrier = _StartBarrier(phase.users, phase.start)
        times = start_times(phase)
        users = [
            self._threads.submit(self._client.drive, user, times, barrier.wait)
            for user in range(phase.users)
        ]
        for user in users:
            user.result()
        barrier.remove()


class _StartBarrier:
    """Holds threads back until all are there, then lets them go at once.

    It is a pipe, which wakes all its readers together. A Barrier wakes one after the other, and
    each waits for the interpreter between those that work already: 500 took seconds.
    """

    def __init__(self, users: int, opened: Callable[[], None]) -> None:
        self._users, self._opened = users, opened
        self._arrivals = count(1)
        self._reader, self._writer = os.pipe()

    def wait(self) -> None:
        """Return when all are there; the last one to come calls `opened` before anybody goes."""
        if next(self._arrivals) == self._users:
            self._opened()
            os.close(self._writer)
        else:
            os.read(self._reader, 1)

    def remove(self) -> None:
        os.close(self._reader)
