"""The dashboard as a process: its socket, its signals, its start and its end."""

import asyncio
import contextlib
import errno
import functools
import html
import logging
import math
import resource
import secrets
import signal
import socket
import sys
import tempfile
import traceback
import webbrowser
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from control_plane import NEW_OBJECTS_OF_PAGES, collect_from_now
from control_plane.access.login import Caller, Login, other_users
from control_plane.app import all_routes, create_app
from control_plane.domain.errors import SettingsError, StoreError
from control_plane.domain.run import State
from control_plane.domain.target_addresses import ALLOWED_TARGETS
from control_plane.jobs import complete_blocks_text, lower_priority, recover
from control_plane.settings import TOKEN_WORDS, Settings
from control_plane.store.store import Store
from control_plane.targets.observation.procfs import owner_of

FIRST_ANSWER_S = 0.5
"""After so long the first answer has been given, and no run has load yet."""

REQUESTS_GRACE_S = 2
"""How long open responses may take to end when Looplab stops."""

PATIENCE_S = 2
"""How long the owner of a taken port may take to say who it is."""

MOST_REQUESTS = 500
"""How many are answered at once; the next ones get 503."""

WANTED_FILES = 65_536
LISTEN_BACKLOG = 2_048
"""How many connections the system keeps for us that are not taken yet, where it allows so many."""
TAKEN_AT_ONCE = 64
"""How many of them are taken before the event loop turns to anything else."""
MOST_PAUSED_ARMS = 200
"""So many arms are looked at for experiments that wait, paused, to be told at start and end."""
HEAD_TIMEOUT_S = 10.0
"""How long a connection may take to send the whole head of a request."""
BODY_TIMEOUT_S = 60.0
MOST_WAITING = 200
"""How many connections may owe us a request; above that, each peer has an equal share of them."""
YOUNG_S = 1.0
"""So young a connection is not one too many: its request may be on its way."""
_TICKS = 5
_TOLD_EVERY_S = 60.0
_NO_FILES = {errno.EMFILE, errno.ENFILE}

log = logging.getLogger("looplab")


class ServedConnection(HttpToolsProtocol):
    """One connection. `owes_since` and `deadline_s` tell of the request that it has yet to send.

    Both are times of the event loop; None while a request is answered, or none was begun. Where
    `most_open` are open the oldest that owes a request makes way for each new one, so that files
    are left for what is answered.
    """

    owes_since: float | None = None
    deadline_s = 0.0

    def __init__(self, *args: Any, most_open: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._most_open = most_open

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._owe()
        if len(self.connections) > self._most_open:
            min(_owing(self.connections), key=lambda link: link.owes_since or 0).end()

    def data_received(self, data: bytes) -> None:
        if self.owes_since is None and (self.cycle is None or self.cycle.response_complete):
            self._owe()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Refuse one request too many: connections that send none do not count."""
        self.deadline_s = self.loop.time() + BODY_TIMEOUT_S
        serves, self.app = self.app, self.app
        if len(self.tasks) >= MOST_REQUESTS:
            self.app = service_unavailable
        super().on_headers_complete()
        self.app = serves

    def on_message_complete(self) -> None:
        self.owes_since = None
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.owes_since = None
        super().connection_lost(exc)

    def end(self) -> None:
        """Close it, because its request does not come."""
        self.owes_since = None
        self.transport.close()

    def _owe(self) -> None:
        self.owes_since = self.loop.time()
        self.deadline_s = self.owes_since + HEAD_TIMEOUT_S


def overdue(connections: Iterable[object], now_s: float, most: int) -> list[ServedConnection]:
    """Return which connections are to be ended at `now_s`, so that `most` owe a request."""
    owing = _owing(connections)
    late = [link for link in owing if link.deadline_s <= now_s]
    rest = sorted(set(owing) - {*late}, key=lambda link: link.owes_since or 0)
    peers = Counter(link.client and link.client[0] for link in rest)
    share = most // max(1, len(peers))
    for link in rest:
        peer = link.client and link.client[0]
        old = now_s - (link.owes_since or 0) >= YOUNG_S
        if old and peers.total() > most and peers[peer] > share:
            peers[peer] -= 1
            late.append(link)
    return late


def _owing(connections: Iterable[object]) -> list[ServedConnection]:
    """Return those that have yet to send a request."""
    served = (link for link in connections if isinstance(link, ServedConnection))
    return [link for link in served if link.owes_since is not None]


class DashboardServer(uvicorn.Server):
    """Every signal asks for one orderly stop, however often it comes.

    Connections that owe a request are ended in time, and at once where no file is left. It stops by
    itself, and is `broken`, where pages or API cannot be served.
    """

    broken = False
    _told_s = -math.inf

    def __init__(
        self, config: uvicorn.Config, before_stop: Callable[[], object] | None = None
    ) -> None:
        """Call `before_stop` in a thread before anything that runs is stopped."""
        super().__init__(config)
        self._before_stop = before_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self.on_fault)
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(LISTEN_BACKLOG)
        self._reading = asyncio.create_task(self._read_routes())
        self._reading.add_done_callback(self._on_read)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._reading.cancel()
        if self._before_stop:
            await asyncio.to_thread(self._before_stop)
        await super().shutdown(sockets)

    async def _read_routes(self) -> None:
        """Read what is read late, before a request that comes while a run has load would do so."""
        await asyncio.sleep(FIRST_ANSWER_S)
        app: Any = self.config.app
        await asyncio.to_thread(lambda: [*all_routes(app)])

    def _on_read(self, reading: asyncio.Task[None]) -> None:
        if reading.cancelled() or (fault := reading.exception()) is None:
            return
        *_, place = traceback.extract_tb(fault.__traceback__)
        log.error(
            "Looplab stops, because its pages or its API cannot be served: %s: %s (%s, line %s)",
            type(fault).__name__, fault, place.filename, place.lineno,
        )  # fmt: skip
        self.broken = self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS == 0:
            now_s = asyncio.get_running_loop().time()
            for link in overdue(self.server_state.connections, now_s, MOST_WAITING):
                link.end()
        return await super().on_tick(counter)

    def on_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Answer a lack of files; what else broke is told as asyncio does."""
        fault = context.get("exception")
        if not isinstance(fault, OSError) or fault.errno not in _NO_FILES:
            loop.default_exception_handler(context)
            return
        owing = _owing(self.server_state.connections)
        for link in owing:
            link.end()
        if loop.time() - self._told_s > _TOLD_EVERY_S:
            self._told_s = loop.time()
            log.warning(
                "no file is left for a connection (ulimit -n): %d that sent no request are ended",
                len(owing),
            )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True


def serve(settings: Settings, store: Store, listener: socket.socket, *, open_page: bool) -> None:
    """Serve until a signal comes; nothing that was started is left behind.

    Exits with 1 where pages or API cannot be served.
    """
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    token, reason = asked_token(settings)
    store.announce(url, token)
    login = login_of(settings, token, port) if token else None
    runtime = recover(store, {port}, lower_priority(), settings.applications)
    paused, waiting = _paused(store), dict[str, str]()
    app = create_app(settings, store, runtime, login)
    connection: Any = functools.partial(ServedConnection, most_open=raise_file_limit() // 2)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=REQUESTS_GRACE_S,
        server_header=False, http=connection, ws="none", backlog=TAKEN_AT_ONCE,
    )  # fmt: skip
    server = DashboardServer(config, lambda: waiting.update(_paused(store)))
    print(f"Looplab is at {url} (Ctrl-C stops it)", flush=True)  # noqa: T201 - the command's answer
    for experiment_id, state in paused.items():
        print(f"{state}: resume it at {url}/experiments/{experiment_id}")  # noqa: T201 - the same
    if login:
        url = f"{url}{login.new_address()}"
        print(f"{reason}: open {url} (once, within an hour)", flush=True)  # noqa: T201 - the same
    collect_from_now(NEW_OBJECTS_OF_PAGES)
    if open_page and not login:
        webbrowser.open(url)
    with _opened(url) if open_page and login else contextlib.nullcontext():
        asyncio.run(server.serve(sockets=[listener]))
    for experiment_id, state in _paused(store).items() - waiting.items():
        how = f"start Looplab again and resume it at /experiments/{experiment_id}"
        print(f"{state}: {how}")  # noqa: T201 - the same
    print("Looplab has stopped; nothing of it runs any more", flush=True)  # noqa: T201 - the same
    if server.broken:
        sys.exit(1)


def _paused(store: Store) -> dict[str, str]:
    """Return by id what is told of the experiments of the newest paused arms.

    Empty where the database cannot be read: what is paused stays so.
    """
    with contextlib.suppress(StoreError):
        arms = store.runs(limit=MOST_PAUSED_ARMS, state=State.PAUSED).runs
        found = {each.id: each for each in store.experiments_of([arm.id for arm in arms]).values()}
        return {
            experiment_id: f"Experiment {experiment_id} is paused with {complete_blocks_text(each)}"
            for experiment_id, each in found.items()
        }
    return {}


@contextlib.contextmanager
def _opened(url: str) -> Iterator[None]:
    """Open an address that logs in, by a file of ours: other users can read command lines."""
    with tempfile.NamedTemporaryFile("w", prefix="looplab-", suffix=".html") as page:
        refresh = f'<meta http-equiv="refresh" content="0; url={html.escape(url)}">'
        page.write(f"<!doctype html>{refresh}")
        page.flush()
        webbrowser.open(Path(page.name).as_uri())
        yield


def raise_file_limit() -> int:
    """Allow as many open files as many connections need, as far as the system does; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= allowed:
        return allowed
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def asked_token(settings: Settings) -> tuple[str | None, str]:
    """Return the token that requests are asked for, and why; None where everybody may do all.

    Where passwords alone are set there is a token, too: the command line reads it in the lock file.
    """
    if settings.token not in TOKEN_WORDS:
        return settings.token, "It asks for the token of LOOPLAB_TOKEN"
    made = secrets.token_urlsafe(32)
    if settings.token == "on":
        return made, "It asks for a token"
    if settings.password or settings.viewer_password:
        return made, "It asks for a password"
    if settings.limits.allowed_targets:
        return made, f"It asks for a token, because {ALLOWED_TARGETS} lets load go elsewhere"
    others = other_users() if settings.token == "auto" else []
    if not others:
        return None, ""
    named = ", ".join(others[:3]) + (" and others" if len(others) > 3 else "")
    return made, f"It asks for a token, because {named} can reach it too"


def login_of(settings: Settings, token: str, port: int) -> Login:
    """Return the login of a dashboard: its token, and the passwords of the settings."""
    callers = {
        settings.viewer_password: Caller("viewer", "viewer password"),
        settings.password: Caller("operator", "password"),
    }
    passwords = {password: caller for password, caller in callers.items() if password}
    return Login(token, passwords, port)


def listen(settings: Settings) -> socket.socket:
    """Bind host and port. Raises SettingsError naming who has the port."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # asyncio sets this on listeners that it opens itself only; without it responses wait 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise SettingsError(_refusal(settings, error)) from None
    listener.listen(LISTEN_BACKLOG)
    return listener


def _refusal(settings: Settings, error: OSError) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE and _is_looplab(f"http://{where}"):
        return f"Another Looplab is at http://{where}. Open that, or choose another --port."
    owner = owner_of(settings.host, settings.port)
    if owner is None:
        return f"Cannot listen on {where}: {error.strerror}. Choose another with --port."
    return f"Port {where} belongs to {owner}. Choose another with --port."


def _is_looplab(url: str) -> bool:
    # Only here, because it would take a twentieth of a second of every start.
    import requests

    with requests.Session() as session, contextlib.suppress(requests.RequestException):
        session.trust_env = False
        response = session.get(f"{url}/healthz", timeout=PATIENCE_S, allow_redirects=False)
        return response.content.startswith(b'{"name":"looplab"')
    return False
