"""The dashboard as a process: its socket, its signals, its start and its end."""

import asyncio
import contextlib
import errno
import signal
import socket
import webbrowser
from collections.abc import Iterator

import requests
import uvicorn

from control_plane.app import create_app
from control_plane.domain.errors import SettingsError
from control_plane.jobs.runtime import lower_priority, recover
from control_plane.settings import Settings
from control_plane.store.store import Store
from control_plane.targets.observation.procfs import owner_of

REQUESTS_GRACE_S = 2
"""How long open responses may take to end when Looplab stops."""

PATIENCE_S = 2
"""How long the owner of a taken port may take to say who it is."""

MOST_CONNECTIONS = 500
"""How many viewers and programs are served at once; the next ones get 503."""


class _Server(uvicorn.Server):
    """Every signal asks for one orderly stop, however often it comes."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True


def serve(settings: Settings, store: Store, listener: socket.socket, *, open_page: bool) -> None:
    """Serve until a signal comes; nothing that was started is left behind."""
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    store.announce(url)
    runtime = recover(store, {port}, lower_priority(), settings.applications)
    app = create_app(settings, store, runtime)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=REQUESTS_GRACE_S,
        server_header=False, limit_concurrency=MOST_CONNECTIONS,
    )  # fmt: skip
    server = _Server(config)
    print(f"Looplab is at {url} (Ctrl-C stops it)", flush=True)  # noqa: T201 - the command's answer
    if open_page:
        webbrowser.open(url)
    asyncio.run(server.serve(sockets=[listener]))
    print("Looplab has stopped; nothing of it runs any more", flush=True)  # noqa: T201 - the same


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
    listener.listen(MOST_CONNECTIONS)
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
    with requests.Session() as session, contextlib.suppress(requests.RequestException):
        session.trust_env = False
        response = session.get(f"{url}/healthz", timeout=PATIENCE_S, allow_redirects=False)
        return response.content.startswith(b'{"name":"looplab"')
    return False
