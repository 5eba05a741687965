"""Listening sockets, read from /proc: by address, and the processes that have them open."""

import os
import sys
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from control_plane.targets.observation import procfs

_LISTENING = "0A"


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
    suffix = f":{port:04X}"
    try:
        lines = Path(table).read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split(None, 10)
        if fields[3] == _LISTENING and fields[1].endswith(suffix):
            yield _parse_address(fields[1].partition(":")[0]), int(fields[9])


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


def owner_of(host: str, port: int) -> str | None:
    """Return who listens there: `python3 (process 4711)`; None when nobody does."""
    inodes = inodes_at(host, port)
    return holder_name(inodes) if inodes else None


def holder_name(inodes: Collection[int]) -> str:
    """Return the name of a process that has one of the sockets open."""
    pid = min(holders(inodes, procfs.pids()), default=None)
    return f"{procfs.command_name(pid)} (process {pid})" if pid else "a process of another user"
