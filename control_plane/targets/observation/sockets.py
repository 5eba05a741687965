"""Listening sockets, read from /proc: by address, and the processes that have them open."""

import os
import sys
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from control_plane.targets.observation import procfs

_LISTENING = "0A"
_ACCEPTS_CONNECTIONS = 0x10000
"""The flag of /proc/net/unix of a socket that listens (__SO_ACCEPTCON of the kernel)."""


def inodes_at(host: str, port: int) -> set[int]:
    """Return the listening sockets that a connection to the address could reach, with wildcards."""
    wanted = ip_address(host)
    return {
        inode
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for address, inode in _listening(table, port)
        if address.is_unspecified or _unmapped(address) == wanted
    }


def _listening(table: str, port: int) -> Iterable[tuple[IPv4Address | IPv6Address, int]]:
    # Asked for again and again while a server starts: most rows are not parsed.
    for address, _, inode in _all_listening(table, f":{port:04X}"):
        yield address, inode


def _all_listening(
    table: str, suffix: str = ""
) -> Iterable[tuple[IPv4Address | IPv6Address, int, int]]:
    for line in _rows(table):
        fields = line.split(None, 10)
        if fields[3] == _LISTENING and fields[1].endswith(suffix):
            address, _, port = fields[1].partition(":")
            yield _parse_address(address), int(port, 16), int(fields[9])


def _rows(table: str) -> list[str]:
    try:
        return Path(table).read_text(errors="replace").splitlines()[1:]
    except OSError:
        return []


def _parse_address(text: str) -> IPv4Address | IPv6Address:
    """Parse an address of the kernel: 32-bit words in the byte order of the machine."""
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    return ip_address(raw)


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address


def held_inodes(inodes: Collection[int], pids: Iterable[int]) -> set[int]:
    """Return those of the sockets that at least one of the processes has open."""
    links = {link for pid in pids for _, link in _descriptors(pid)}
    return {inode for inode in inodes if f"socket:[{inode}]" in links}


def holders(inodes: Collection[int], pids: Iterable[int]) -> dict[int, set[int]]:
    """Return the descriptors of each process that has one of the sockets open."""
    links = {f"socket:[{inode}]" for inode in inodes}
    descriptors = {}
    for pid in pids:
        numbers = {number for number, link in _descriptors(pid) if link in links}
        if numbers:
            descriptors[pid] = numbers
    return descriptors


def accepting(inodes: Collection[int], pids: Iterable[int]) -> list[int]:
    """Return the processes whose event loop waits for connections on one of the sockets.

    A server's master holds the listener of its workers without accepting; a worker accepts once its
    application has started. Both show in the epoll instances of the process (proc_pid_fdinfo(5)).
    """
    return [pid for pid, numbers in holders(inodes, pids).items() if numbers & _awaited(pid)]


def _awaited(pid: int) -> set[int]:
    """Return the descriptors in any epoll instance of the process."""
    awaited = set()
    for number, link in _descriptors(pid):
        if link == "anon_inode:[eventpoll]":
            try:
                text = Path(f"/proc/{pid}/fdinfo/{number}").read_text()
            except OSError:
                continue
            awaited |= {int(row.split()[1]) for row in text.splitlines() if row.startswith("tfd:")}
    return awaited


def _descriptors(pid: int) -> Iterable[tuple[int, str]]:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            yield int(name), os.readlink(f"{folder}/{name}")
        except OSError:
            continue


def listening_places(pids: Iterable[int]) -> list[str]:
    """Return where processes listen, as they are written: `[::1]:8000`, `unix socket /tmp/a`."""
    known = {
        f"socket:[{inode}]": _address_text(address, port)
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for address, port, inode in _all_listening(table)
    } | {f"socket:[{inode}]": f"unix socket {path}" for path, inode in _unix_listening()}
    links = [link for pid in pids for _, link in _descriptors(pid)]
    return sorted({known[link] for link in links if link in known})


def _address_text(address: IPv4Address | IPv6Address, port: int) -> str:
    address = _unmapped(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def _unix_listening() -> Iterable[tuple[str, int]]:
    for line in _rows("/proc/net/unix"):
        fields = line.split(None, 7)
        if int(fields[3], 16) & _ACCEPTS_CONNECTIONS:
            yield (fields[7] if len(fields) > 7 else "without a name"), int(fields[6])


def owner_of(host: str, port: int) -> str | None:
    """Return who listens there: `python3 (process 4711)`; None when nobody does."""
    inodes = inodes_at(host, port)
    return holder_name(inodes) if inodes else None


def holder_name(inodes: Collection[int]) -> str:
    """Return the name of a process that has one of the sockets open."""
    pid = min(holders(inodes, procfs.pids()), default=None)
    return f"{procfs.command_name(pid)} (process {pid})" if pid else "a process of another user"
