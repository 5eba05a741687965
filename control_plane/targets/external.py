"""A server that runs already on this machine."""

import asyncio
import socket
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from control_plane.domain.errors import TargetFailed
from control_plane.targets.observation import procfs
from control_plane.targets.observation.delayed_ack import delayed_ack_s
from control_plane.targets.observation.probe_reader import ProbeOutput
from control_plane.targets.observation.worker_watch import EndedWorkers, WorkerWatch
from control_plane.targets.readiness import ReadinessProbe, protocol_fault
from control_plane.targets.running_target import RunningTarget

CONNECT_TIMEOUT_S = 3.0
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
        holders = procfs.holders(procfs.inodes_at(host, port), procfs.pids())
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
    url: str, forbidden_ports: Collection[int], host: str | None = None
) -> RunningTarget:
    """Resolve the host once, keep to that address, and see that it takes connections.

    Requests carry `host`, by default host and port as they stand in the URL.

    Raises TargetFailed when nothing listens there, when it is not this machine, or when the port is
    one of `forbidden_ports`, which are the dashboard's own.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if port in forbidden_ports:
        raise TargetFailed(f"Port {port} is this dashboard: load would go to itself.")
    for address in await _addresses(parts.hostname or "", port):
        if await _listens(address, port):
            shown = f"[{address}]" if ":" in address else address
            pinned = f"{parts.scheme}://{shown}:{port}"
            return ExternalTarget(pinned, address, port, host or parts.netloc)
    if instead := await _listening_instead(parts.scheme, port):
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


async def _addresses(host: str, port: int) -> list[str]:
    """Return the addresses in the system's order. Raises TargetFailed unless all are loopback."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise TargetFailed(f"{host} has no address on this machine.") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not all(ip_address(address).is_loopback for address in addresses):
        raise TargetFailed(f"{host} is not on this machine: give localhost or 127.0.0.1.")
    return addresses


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
