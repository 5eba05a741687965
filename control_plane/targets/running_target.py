"""A target that serves: one that was started here, or one that somebody else runs."""

import asyncio
import os
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

import psutil

from control_plane.domain.errors import TargetFailed
from control_plane.domain.target_addresses import (
    AllowedTarget,
    is_here,
    is_localhost,
    may_be_asked,
    may_connect,
    not_allowed,
    port_of,
)
from control_plane.targets.guarded_server import GRACE_S, GuardedServer
from control_plane.targets.http_get_and_delayed_ack import delayed_ack_s
from control_plane.targets.observation import procfs
from control_plane.targets.observation.machine import pids_of, program_name
from control_plane.targets.observation.probe_reader import ProbeOutput
from control_plane.targets.observation.worker_watch import EndedWorkers, WorkerWatch
from control_plane.targets.readiness import ReadinessProbe, protocol_fault


class RunningTarget(Protocol):
    """A server under test, started by us or found running.

    `command`, `ready_s` and `probe_output` are None and `pid` is 0 for a server
    that we did not start.
    """

    @property
    def url(self) -> str: ...
    @property
    def host_header(self) -> str:
        """The Host that requests to it carry, which need not be that of `url`."""
        ...

    @property
    def command(self) -> str | None: ...
    @property
    def pid(self) -> int: ...
    @property
    def ready_s(self) -> float | None: ...
    @property
    def probe_output(self) -> ProbeOutput | None: ...
    @property
    def delayed_ack_s(self) -> float | None:
        """How much longer responses took whose head was acknowledged late, once checked."""
        ...

    async def check(self, path: str) -> None:
        """Run the self-check for delayed ACKs with a few GET requests.

        `path` is asked for where the target itself names none.
        """
        ...

    def pids(self) -> list[int]:
        """Return all processes of the server; none where they cannot be seen."""
        ...

    def companions(self) -> dict[int, str]:
        """Return the other programs that count to it, by pid."""
        ...

    def ended_workers(self) -> EndedWorkers | None:
        """Return how many workers ended since it was ready; None where nobody watches them."""
        ...

    def failure(self) -> str | None:
        """Return why it is gone, such as `target died, signal 9`; None while it runs."""
        ...

    async def ended(self) -> str:
        """Wait until it is gone by itself; return what `failure` does then."""
        ...

    def log(self, lines: int = 20) -> tuple[str, ...]:
        """Return the last lines that it printed, oldest first."""
        ...

    def hide(self, secrets: Mapping[str, str]) -> None:
        """Let these texts, each by what it is called, stand in no line of its log."""
        ...

    @property
    def killed_after_s(self) -> float | None:
        """How long it had to end before it was killed; None unless it was."""
        ...

    async def stop(self, grace_s: float | None = None) -> None:
        """End all its processes; once they are gone, nothing happens.

        `grace_s`: how long they have to end in order, by default what their application says. A
        second call can shorten it.
        """
        ...


HURRIED_GRACE_S = 1.5
"""The most that a target has to end where somebody waits: a cancellation is over within 2 s."""

SETTLE_S = 0.03
"""After so long without a request a process that served a single connection is gone."""


@dataclass
class StartedTarget:
    """A server that we started; `port` on `host` is its own.

    `probe_output` is None where it was started without the probe. `own_command`: it is no server
    that we know. `belongs`: names of programs elsewhere that work for it.
    """

    server: GuardedServer
    command: str
    pid: int
    host: str
    port: int
    host_header: str
    ready_s: float
    probe_output: ProbeOutput | None = None
    ready_path: str = "/"
    own_command: bool = False
    belongs: tuple[str, ...] = ()
    scheme: str = "http"
    stop_timeout_s: float = GRACE_S
    delayed_ack_s: float | None = None

    def __post_init__(self) -> None:
        inodes = procfs.inodes_at(self.host, self.port)
        holders = procfs.holders(inodes, self.server.pids())
        folder = self.probe_output.folder if self.probe_output else None
        self._watch = WorkerWatch(self.pid, holders, single=not self.own_command, folder=folder)
        own = {os.getpid(), *self.server.pids(), *self.server.guards()}
        self._companions = {
            pid: (procfs.started_at(pid), program_name(pid))
            for pid in pids_of(self.belongs)
            if pid not in own
        }
        self.pids()

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    async def check(self, path: str = "/") -> None:  # noqa: ARG002 - it has a path of its own
        if self.own_command:
            await asyncio.sleep(SETTLE_S)
        self.pids()
        self.delayed_ack_s = await delayed_ack_s(self.url, self.ready_path, self.host_header)

    def pids(self) -> list[int]:
        pids = self.server.pids()
        if not self.server.stopping:
            self._watch.look(pids)
        return pids

    def companions(self) -> dict[int, str]:
        alive = {
            pid: name
            for pid, (start, name) in self._companions.items()
            if procfs.started_at(pid) == start
        }
        below = {child: name for pid, name in alive.items() for child in procfs.descendants(pid)}
        return below | alive

    def ended_workers(self) -> EndedWorkers:
        self.pids()
        return self._watch.ended

    def failure(self) -> str | None:
        return self._failure_text(self.server.reason) if self.server.reason else None

    async def ended(self) -> str:
        return self._failure_text(await self.server.ended())

    def _failure_text(self, reason: str) -> str:
        if reason != "exit code 0":
            return f"target died, {reason}"
        unclear = ", which hypercorn gives also when its worker died"
        return f"target ended, {reason}{unclear if '-m hypercorn' in self.command else ''}"

    def log(self, lines: int = 20) -> tuple[str, ...]:
        return self.server.output.lines()[-lines:]

    def hide(self, secrets: Mapping[str, str]) -> None:
        self.server.output.hide(secrets)

    @property
    def killed_after_s(self) -> float | None:
        return self.stop_timeout_s if self.server.killed else None

    async def stop(self, grace_s: float | None = None) -> None:
        await self.server.stop(self.stop_timeout_s if grace_s is None else grace_s)


CONNECT_TIMEOUT_S = 3.0
RESOLVE_TIMEOUT_S = 5.0
PROTOCOL_TIMEOUT_S = 2.0
"""How long the first response may take to tell whether it is one of HTTP/1.1."""


class ExternalTarget:
    """A server that we did not start, known by its address; its processes where we may see them."""

    command: str | None = None
    pid = 0
    ready_s: float | None = None
    probe_output: ProbeOutput | None = None
    delayed_ack_s: float | None = None
    killed_after_s: float | None = None

    def __init__(self, url: str, host: str, port: int, host_header: str) -> None:
        self.url, self.host_header = url, host_header
        self._host, self._port = host, port
        if _is_ours(host):
            holders = procfs.holders(procfs.inodes_at(host, port), procfs.pids())
        else:
            holders = procfs.holders_in_containers(host, port)
        self._holders = {pid: procfs.started_at(pid) for pid in holders}
        self._watch = WorkerWatch(_master(holders), holders, single=False)
        self.pids()

    async def check(self, path: str) -> None:
        """Raise TargetFailed where the server speaks something else than its URL says."""
        self.pids()
        probe = ReadinessProbe(
            self._host, self._port, path, None, 1, PROTOCOL_TIMEOUT_S, self.host_header
        )
        if fault := await protocol_fault(probe, secure=self.url.startswith("https:")):
            raise TargetFailed(f"The server at {self.url} {fault}.")
        self.delayed_ack_s = await delayed_ack_s(self.url, path, self.host_header)

    def pids(self) -> list[int]:
        """Return who had the listener when it was reached, and their descendants; [] if unseen."""
        alive = [pid for pid, since in self._holders.items() if procfs.started_at(pid) == since]
        below = [child for pid in alive for child in procfs.descendants(pid)]
        pids = list(dict.fromkeys(alive + below))
        self._watch.look(pids)
        return pids

    def companions(self) -> dict[int, str]:
        """Return none: they belong to applications of the settings."""
        return {}

    def ended_workers(self) -> EndedWorkers | None:
        """Return how many ended since it was reached; None where none of its processes is seen."""
        self.pids()
        return self._watch.ended if self._holders else None

    def failure(self) -> str | None:
        """Return None: a server that is not ours fails by its responses alone."""
        return None

    def hide(self, secrets: Mapping[str, str]) -> None:
        """Nothing: it has no log here."""

    async def ended(self) -> str:
        """Never return: only its responses show."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    def log(self, lines: int = 20) -> tuple[str, ...]:  # noqa: ARG002 - as every target has it
        """Return no line: it prints elsewhere."""
        return ()

    async def stop(self, grace_s: float | None = None) -> None:
        """Do nothing: it is not ours to end."""


async def reach(
    url: str,
    forbidden_ports: Collection[int],
    host: str | None = None,
    allowed: Collection[AllowedTarget] = (),
    before: str | None = None,
) -> RunningTarget:
    """Resolve the host once, keep to that address, and see that it takes connections.

    Requests carry `host`, by default host and port as they stand in the URL. `before` is what this
    returned as the URL of an earlier trial: that address is asked, wherever the host leads now.

    Raises TargetFailed when nothing listens there, when it is neither this machine nor `allowed`,
    or when the port is one of `forbidden_ports` of this machine, which are the dashboard's own.
    """
    parts = urlsplit(url)
    name, port = parts.hostname or "", port_of(parts)
    if not may_be_asked(url, allowed):
        raise TargetFailed(not_allowed(url, allowed))
    pinned_name = name if before is None else urlsplit(before).hostname or ""
    addresses = await _addresses(pinned_name, port, here=is_here(url))
    if port in forbidden_ports and any(map(_is_ours, addresses)):
        raise TargetFailed(f"Port {port} is this dashboard: load would go to itself.")
    for address in addresses:
        if await _listens(address, port):
            shown = f"[{address}]" if ":" in address else address
            pinned = f"{parts.scheme}://{shown}:{port}"
            return ExternalTarget(pinned, address, port, host or parts.netloc)
    if before is not None:
        raise TargetFailed(
            f"Nothing listens at {before} any more, where trials before found {url}: start that "
            "server, then run again."
        )
    if is_here(url) and (instead := await _listening_instead(parts.scheme, port)):
        raise TargetFailed(f"Nothing listens at {url}, but at {instead}: give that.")
    raise TargetFailed(f"Nothing listens at {url}: start that server, then run again.")


async def _listening_instead(scheme: str, port: int) -> str:
    """Return the URL of who listens on that port by the other version of IP; "" for nobody."""
    for address, shown in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
        if await _listens(address, port):
            return f"{scheme}://{shown}:{port}"
    return ""


def _master(holders: Collection[int]) -> int:
    """Return the holder that all others descend from; 0 where none has a process below it.

    Workers that bind the address themselves (SO_REUSEPORT) may hang on a master that does not.
    """
    for pid in holders:
        below = set(procfs.descendants(pid))
        if below and below.issuperset(set(holders) - {pid}):
            return pid
    return 0


def _is_ours(address: str) -> bool:
    """Return whether an address is of this machine, so that who listens there can be seen."""
    known = (entry.address for entries in psutil.net_if_addrs().values() for entry in entries)
    return ip_address(address).is_loopback or address in known


async def _addresses(host: str, port: int, *, here: bool) -> list[str]:
    """Return the addresses of a host, those of one elsewhere sorted: each trial asks the same.

    No resolver is asked for a name below localhost: it has the addresses of localhost, as in curl
    and browsers. Raises TargetFailed unless load may go to all of them.
    """
    loop = asyncio.get_running_loop()
    looked_up = "localhost" if is_localhost(host) else host
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await loop.getaddrinfo(looked_up, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        raise TargetFailed(f"{host} has no address on this machine.") from None
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not may_connect(ip_address(address), here=here):
            raise TargetFailed(f"{host} is {address}, where no load may go.")
    return addresses if here else sorted(addresses, key=lambda text: (":" in text, text))


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
