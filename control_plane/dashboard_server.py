"""The dashboard as a process: its socket, its signals, its start and its end."""

import asyncio
import contextlib
import errno
import secrets
import signal
import socket
import webbrowser
from collections.abc import Iterator

import requests
import uvicorn

from control_plane.access.login import Caller, Login, other_users
from control_plane.app import create_app
from control_plane.domain.errors import SettingsError
from control_plane.jobs.runtime import lower_priority, recover
from control_plane.settings import TOKEN_WORDS, Settings
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
    token, reason = asked_token(settings)
    store.announce(url, token)
    login = login_of(settings, token, port) if token else None
    runtime = recover(store, {port}, lower_priority(), settings.applications)
    app = create_app(settings, store, runtime, login)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=REQUESTS_GRACE_S,
        server_header=False, limit_concurrency=MOST_CONNECTIONS,
    )  # fmt: skip
    server = _Server(config)
    print(f"Looplab is at {url} (Ctrl-C stops it)", flush=True)  # noqa: T201 - the command's answer
    if login:
        url = f"{url}{login.new_address()}"
        print(f"{reason}: open {url} (once, within an hour)", flush=True)  # noqa: T201 - the same
    if open_page:
        webbrowser.open(url)
    asyncio.run(server.serve(sockets=[listener]))
    print("Looplab has stopped; nothing of it runs any more", flush=True)  # noqa: T201 - the same


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
