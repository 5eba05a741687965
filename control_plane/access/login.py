"""Who asks, and what it may ask for: secrets, sessions of those who showed one, wrong guesses.

All of it lives in the memory of the dashboard, as digests: a restart ends every session. A login is
asked for where other people use the machine, who could reach a dashboard on its loopback address.
"""

import hashlib
import hmac
import os
import pwd
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

import psutil
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from control_plane.access.http_errors import header_values
from control_plane.access.route_roles import needed_role
from control_plane.domain.errors import TooManyGuesses
from control_plane.store.audit_log import ACTOR, Actor

SecretRole = Literal["viewer", "operator"]
Refuse = Callable[[Scope, int, str], ASGIApp]
"""Makes the response to a request that is refused, of its status and message."""

LOGIN = "/login"

SESSION_S = 7 * 24 * 3_600
ADDRESS_S = 3_600
"""How long an address that logs in once may wait to be opened."""

MOST_SESSIONS = 1_000
MOST_PEERS = 10_000
"""How many sessions, and how many guessing peers, are remembered; the oldest go first."""

GUESSES, GUESSES_WITHIN_S = 10, 60.0
"""So many wrong secrets of one peer within that time are taken; then it has to wait."""

CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))
_LOGIN_DEFS = Path("/etc/login.defs")
_LOGGED_IN = Path("/run/user")
_NO_SHELLS = frozenset({"nologin", "false", "sync", "halt", "shutdown", ""})
_NOBODY = 65_534
USUAL_RANGE = (1_000, 60_000)


@dataclass(frozen=True)
class Caller:
    """Who asks: what it may do, and how the audit log names it."""

    role: SecretRole
    name: str


ANYONE = Caller("operator", "anyone")
"""Who asks where no login is asked for."""

WITH_TOKEN = Caller("operator", "token")


class Guesses:
    """Counts the wrong secrets of each peer, who has to wait after too many of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._wrong: dict[str, deque[float]] = {}
        self._clock = clock

    def refuse(self, peer: str) -> None:
        """Raise TooManyGuesses where this peer gave too many of late."""
        wrong = self._of(peer)
        if len(wrong) >= GUESSES:
            raise TooManyGuesses(wrong[0] + GUESSES_WITHIN_S - self._clock())

    def count(self, peer: str) -> None:
        """Count one more of this peer."""
        wrong = self._of(peer)
        self._wrong.pop(peer, None)
        while len(self._wrong) >= MOST_PEERS:
            self._wrong.pop(next(iter(self._wrong)))
        self._wrong[peer] = wrong
        wrong.append(self._clock())

    def _of(self, peer: str) -> deque[float]:
        wrong = self._wrong.get(peer, deque())
        while wrong and wrong[0] <= self._clock() - GUESSES_WITHIN_S:
            wrong.popleft()
        return wrong


@dataclass(frozen=True)
class Credentials:
    """What a request shows: the secret of its Authorization, its session cookie, its peer."""

    bearer: str | None
    session: str | None
    peer: str


class Login:
    """The token and the passwords of a dashboard, and who logged in with one.

    `passwords` have the caller of each. The token is too long to be guessed, so that wrong guesses
    of others never keep out who has it. `cookie` is the name of the session cookie, with the port
    in it: browsers send cookies to every port of a host.
    """

    def __init__(
        self,
        token: str,
        passwords: Mapping[str, Caller],
        port: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cookie = f"looplab-{port}"
        self._token = _digest(token)
        self._passwords = {_digest(password): caller for password, caller in passwords.items()}
        self._sessions: dict[bytes, tuple[Caller, float]] = {}
        self._addresses: dict[bytes, float] = {}
        self._guesses = Guesses(clock)
        self._clock = clock

    def caller(self, shown: Credentials) -> Caller | None:
        """Return who shows this; None for nobody. Raises TooManyGuesses for a wrong bearer."""
        if shown.bearer is not None:
            return self._of_secret(shown.bearer, shown.peer)
        known = self._sessions.get(_digest(shown.session)) if shown.session else None
        return known[0] if known and known[1] > self._clock() else None

    def log_in(self, secret: str, name: str, peer: str) -> str | None:
        """Return the cookie of a new session; None for a wrong secret. Raises TooManyGuesses.

        `name` is what the person calls itself, or empty.
        """
        caller = self._of_secret(secret, peer)
        if caller is None:
            return None
        return self._session(
            Caller(caller.role, f"{name} ({caller.name})" if name else caller.name)
        )

    def log_out(self, cookie: str) -> None:
        """End the session of a cookie."""
        self._sessions.pop(_digest(cookie), None)

    def new_address(self) -> str:
        """Return the path of an address that logs in as operator, once."""
        now, code = self._clock(), secrets.token_urlsafe(24)
        waiting = {known: until for known, until in self._addresses.items() if until > now}
        self._addresses = {**waiting, _digest(code): now + ADDRESS_S}
        return f"{LOGIN}/{code}"

    def open_address(self, code: str) -> str | None:
        """Return the cookie of a new session; None for a code that is used, too old or none."""
        until = self._addresses.pop(_digest(code), 0.0)
        return self._session(WITH_TOKEN) if until > self._clock() else None

    def _session(self, caller: Caller) -> str:
        while len(self._sessions) >= MOST_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        cookie = secrets.token_urlsafe(32)
        self._sessions[_digest(cookie)] = (caller, self._clock() + SESSION_S)
        return cookie

    def _of_secret(self, secret: str, peer: str) -> Caller | None:
        """Look for a secret; whoever guessed too often is not told whether a password is right."""
        given = _digest(secret)
        if hmac.compare_digest(self._token, given):
            return WITH_TOKEN
        self._guesses.refuse(peer)
        # Each is compared, so that the time tells nothing.
        found = [
            caller for known, caller in self._passwords.items() if hmac.compare_digest(known, given)
        ]
        if found:
            return found[0]
        self._guesses.count(peer)
        return None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


class LoginMiddleware:
    """Answers 401 to nobody, 403 to viewers who change something, 429 to those who guess.

    Who asks is `caller` in the request's state: None on public routes alone. Without a `login`
    everybody may do everything.
    """

    def __init__(self, app: ASGIApp, login: Login | None, refuse: Refuse) -> None:
        self.app, self._login, self._refuse = app, login, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http":
            app = self._checked(scope)
            caller: Caller | None = scope["state"]["caller"]
            ACTOR.set(Actor(caller.name if caller else "nobody", peer_of(scope)))
        await app(scope, receive, send)

    def _checked(self, scope: Scope) -> ASGIApp:
        state = scope.setdefault("state", {})
        state["caller"] = ANYONE
        if self._login is None:
            return self.app
        needed = needed_role(scope["method"], scope["path"])
        state["caller"] = None
        try:
            caller = self._login.caller(credentials(scope, self._login.cookie))
        except TooManyGuesses as error:
            return self.app if needed == "public" else self._refuse(scope, 429, str(error))
        state["caller"] = caller
        if needed == "public":
            return self.app
        if caller is None:
            return self._refuse(scope, 401, "Log in first, with the token or a password.")
        if needed == "operator" and caller.role != "operator":
            return self._refuse(scope, 403, "This login may look at everything and change nothing.")
        return self.app


class CookieAttributes(TypedDict):
    """What a browser may do with a cookie."""

    httponly: bool
    samesite: Literal["strict"]
    secure: bool


def cookie_attributes(scope: Scope) -> CookieAttributes:
    """Return those of the session's cookie: it is never sent in the clear after https."""
    # uvicorn takes the scheme from a proxy on this machine, or in FORWARDED_ALLOW_IPS.
    return {"httponly": True, "samesite": "strict", "secure": scope["scheme"] == "https"}


def credentials(scope: Scope, cookie: str) -> Credentials:
    """Return what a request shows. `cookie`: the name of the one that holds its session."""
    bearer = None
    for value in header_values(scope, b"authorization"):
        scheme, _, secret = value.partition(" ")
        if scheme.lower() == "bearer":
            bearer = secret.strip()
    return Credentials(bearer, _cookie(scope, cookie), peer_of(scope))


def peer_of(scope: Scope) -> str:
    """Return the address that a request comes from; empty where it is not known."""
    client = scope.get("client")
    return client[0] if client else ""


def _cookie(scope: Scope, name: str) -> str | None:
    # Not http.cookies, to which one odd name, of whatever other server of this host, spoils all.
    cookies = (cookie_parser(value) for value in header_values(scope, b"cookie"))
    return next((found[name] for found in cookies if name in found), None)


def other_users() -> list[str]:
    """Return the names of the people who have an account here beside the one who asks.

    A person is a user id of the range that /etc/login.defs gives to people (1000 to 60000), with a
    shell to log in with and a home that is there; or any above it that is logged in or runs a
    process now. In a container of Docker or Podman accounts are those of the image, so that only
    the latter count.
    """
    people = id_range(_LOGIN_DEFS)
    present = {uid for uid in _present() if uid >= people[0] and uid != _NOBODY}
    accounts = () if any(path.exists() for path in CONTAINER_FILES) else pwd.getpwall()
    present |= {account.pw_uid for account in accounts if is_person(account, people)}
    return sorted(_name(uid) for uid in present - {os.getuid()})


def is_person(account: pwd.struct_passwd, people: tuple[int, int]) -> bool:
    """Return whether somebody may log in with this account: see `other_users`."""
    low, high = people
    shell = Path(account.pw_shell).name
    return low <= account.pw_uid <= high and shell not in _NO_SHELLS and _is_home(account.pw_dir)


def id_range(login_defs: Path) -> tuple[int, int]:
    """Return the lowest and the highest user id of people by /etc/login.defs."""
    try:
        text = login_defs.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return USUAL_RANGE
    found = dict(re.findall(r"^\s*(UID_MIN|UID_MAX)\s+(\d+)\s*$", text, re.MULTILINE))
    return int(found.get("UID_MIN", USUAL_RANGE[0])), int(found.get("UID_MAX", USUAL_RANGE[1]))


def _present() -> Iterable[int]:
    """Yield the user ids that are logged in, or have a process."""
    if _LOGGED_IN.is_dir():
        yield from (int(folder.name) for folder in _LOGGED_IN.iterdir() if folder.name.isdecimal())
    for process in psutil.process_iter(["uids"]):
        if uids := process.info["uids"]:
            yield uids.real


def _is_home(folder: str) -> bool:
    try:
        return Path(folder).is_dir()
    except OSError:
        return True


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
