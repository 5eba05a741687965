"""Processes as /proc shows them, with their CPU time and memory, and listening sockets."""

import os
import sys
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_KERNEL_THREAD = 0x200000
"""PF_KTHREAD of the kernel's linux/sched.h."""


def pids() -> list[int]:
    """Return all processes that can be seen; [] on a system without /proc."""
    try:
        return [int(name) for name in os.listdir(PROC) if name.isdigit()]
    except FileNotFoundError:
        return []


def started_at(pid: int) -> int | None:
    """Return the clock ticks from boot to the process's start; None when it is gone or a zombie.

    Pid and start together name a process for as long as the machine runs.
    """
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in {"Z", "X"} else None


def command_name(pid: int) -> str:
    """Return the name of the program; `a process` when it is gone."""
    try:
        return (PROC / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        return "a process"


def command_line(pid: int) -> bytes:
    """Return its arguments, a NUL byte after each; empty when it is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def variables(pid: int) -> dict[str, str]:
    """Return the environment that it was started with; {} where it may not be read."""
    try:
        text = (PROC / str(pid) / "environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    pairs = (entry.partition("=") for entry in text.split("\0"))
    return {name: value for name, sign, value in pairs if sign}


def waited_for_cpu_ns(pid: int) -> int | None:
    """Return how long its main thread was ready and had no processor, since it began.

    None where the kernel does not count that, or the process is gone.
    """
    try:
        return int((PROC / str(pid) / "schedstat").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None


def parent(pid: int) -> int:
    """Return the process that it hangs on; 0 when it is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def is_program(pid: int) -> bool:
    """Return whether the process lives and is not one of the kernel."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in {"Z", "X"} and not int(fields[6]) & _KERNEL_THREAD


def held(pids: Iterable[int]) -> str:
    """Return which of them a signal such as SIGSTOP holds, in words; "" where none is."""
    stopped = [pid for pid in pids if _stat(pid)[:1] in (["T"], ["t"])]
    return f"process {stopped[0]} is held by a signal (SIGSTOP)" if stopped else ""


def descendants(pid: int) -> list[int]:
    """Return children, their children and so on, parents first, without zombies."""
    living: list[int] = []
    waiting = [pid]
    while waiting:
        below = [child for parent in waiting for child in children(parent)]
        living += [child for child in below if started_at(child) is not None]
        waiting = below
    return living


def children(pid: int) -> list[int]:
    """Return the children of all threads of the process, each of which is a parent."""
    return [int(child) for listed in _listed_children(pid) for child in listed.split()]


def _listed_children(pid: int) -> Iterator[str]:
    tasks = PROC / str(pid) / "task"
    try:
        threads = os.listdir(tasks)
    except OSError:
        return
    for thread in threads:
        try:
            yield (tasks / thread / "children").read_text()
        except OSError:
            continue


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on (proc_pid_stat(5))."""
    try:
        with Path(f"/proc/{pid}/stat").open(encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()
    except OSError:
        return []


PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_STOLEN = 8
_BUSY = slice(1, 4)
"""User, nice and system of /proc/stat. Interrupts are left out: they serve our own traffic."""


def cpu_s(pid: int) -> float | None:
    """Return the CPU time of all its threads since its start; None when it is gone.

    One system call with the precision of the scheduler (clock_getcpuclockid(3)); /proc has 10 ms.
    """
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return None


def reaped_cpu_s(pid: int) -> float:
    """Return the CPU time of its children that ended and were waited for, and of theirs."""
    fields = _stat(pid)
    return sum(map(int, fields[13:15])) / TICKS_PER_S if fields else 0.0


class Process(NamedTuple):
    """One process, named by pid and start, in clock ticks, for as long as the machine runs."""

    pid: int
    start: int


class CpuUse(NamedTuple):
    """What a process has used since its start, with the children that it has waited for."""

    process: Process
    parent: int
    cpu_s: float


def all_cpu_use() -> Iterator[CpuUse]:
    """Yield the use of every process that can be seen."""
    for pid in pids():
        if fields := _stat(pid):
            ticks = sum(map(int, fields[11:15]))
            yield CpuUse(Process(pid, int(fields[19])), int(fields[1]), ticks / TICKS_PER_S)


def memory_bytes(pid: int) -> int:
    """Return its resident memory, with pages that it shares; 0 when it is gone."""
    try:
        with Path(f"/proc/{pid}/statm").open(encoding="ascii") as statm:
            return int(statm.read().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


MACHINE_STAT = Path("/proc/stat")


def machine_cpu_s(stat: Path = MACHINE_STAT) -> float | None:
    """Return the CPU time of all processes since boot; None on a system without /proc."""
    fields = _machine_stat(stat)
    return sum(map(int, fields[_BUSY])) / TICKS_PER_S if fields else None


def stolen_cpu_s(stat: Path = MACHINE_STAT) -> float | None:
    """Return the time since boot in which a core was wanted but the host gave it to others."""
    fields = _machine_stat(stat)
    return int(fields[_STOLEN]) / TICKS_PER_S if len(fields) > _STOLEN else None


def _machine_stat(stat: Path) -> list[str]:
    """Return the first line of /proc/stat (proc_stat(5)); [] on a system without it."""
    try:
        with stat.open(encoding="ascii") as lines:
            return lines.readline().split()
    except FileNotFoundError:
        return []


_LISTENING = "0A"
_ACCEPTS_CONNECTIONS = 0x10000
"""The flag of /proc/net/unix of a socket that listens (__SO_ACCEPTCON of the kernel)."""


def inodes_at(host: str, port: int, network: Path = PROC / "net") -> set[int]:
    """Return the listening sockets that a connection to the address could reach, with wildcards.

    `network`: the tables of another network namespace.
    """
    wanted = ip_address(host)
    return {
        inode
        for table in ("tcp", "tcp6")
        for address, inode in _listening(network / table, port)
        if address.is_unspecified or _unmapped(address) == wanted
    }


def holders_in_containers(host: str, port: int) -> dict[int, set[int]]:
    """Return who listens at an address of another network namespace of this machine, as `holders`.

    {} where no namespace has the address, or where its processes may not be looked at.
    """
    namespaces: dict[str, list[int]] = defaultdict(list)
    for pid in pids():
        with suppress(OSError):
            namespaces[os.readlink(PROC / str(pid) / "ns" / "net")].append(pid)
    with suppress(OSError):
        namespaces.pop(os.readlink(PROC / "self" / "ns" / "net"), None)
    for inside in namespaces.values():
        network = PROC / str(inside[0]) / "net"
        if ip_address(host) in _own_addresses(network):
            return holders(inodes_at(host, port, network), inside)
    return {}


def _own_addresses(network: Path) -> set[IPv4Address | IPv6Address]:
    """Return the addresses that a network namespace has, by its tables of routes."""
    found: set[IPv4Address | IPv6Address] = set()
    above = ""
    for line in _rows(network / "fib_trie"):
        kind, _, name = line.strip().partition(" ")
        above = name if kind == "|--" else above
        if line.strip() == "/32 host LOCAL":
            found.add(ip_address(above))
    rows = _rows(network / "if_inet6", head=0)
    return found | {ip_address(bytes.fromhex(row.split(None, 1)[0])) for row in rows}


def _listening(table: Path, port: int) -> Iterable[tuple[IPv4Address | IPv6Address, int]]:
    for address, _, inode in _all_listening(table, f":{port:04X}"):
        yield address, inode


def _all_listening(
    table: Path, suffix: str = ""
) -> Iterable[tuple[IPv4Address | IPv6Address, int, int]]:
    # Those that listen stand first (proc_net_tcp.rst): thousands of others may follow, unread.
    with suppress(OSError), table.open(buffering=256, errors="replace") as rows:
        next(rows, None)
        for line in rows:
            fields = line.split(None, 10)
            if fields[3] != _LISTENING:
                return
            if fields[1].endswith(suffix):
                address, _, port = fields[1].partition(":")
                yield _parse_address(address), int(port, 16), int(fields[9])


def _rows(table: Path, head: int = 1) -> list[str]:
    """Return the lines of a table of the kernel behind its `head`; [] where it has none."""
    try:
        return table.read_text(errors="replace").splitlines()[head:]
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
        for table in ("tcp", "tcp6")
        for address, port, inode in _all_listening(PROC / "net" / table)
    } | {f"socket:[{inode}]": f"unix socket {path}" for path, inode in _unix_listening()}
    links = [link for pid in pids for _, link in _descriptors(pid)]
    return sorted({known[link] for link in links if link in known})


def _address_text(address: IPv4Address | IPv6Address, port: int) -> str:
    address = _unmapped(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def _unix_listening() -> Iterable[tuple[str, int]]:
    for line in _rows(PROC / "net" / "unix"):
        fields = line.split(None, 7)
        if int(fields[3], 16) & _ACCEPTS_CONNECTIONS:
            yield (fields[7] if len(fields) > 7 else "without a name"), int(fields[6])


def owner_of(host: str, port: int) -> str | None:
    """Return who listens there: `python3 (process 4711)`; None when nobody does."""
    inodes = inodes_at(host, port)
    return holder_name(inodes) if inodes else None


def holder_name(inodes: Collection[int]) -> str:
    """Return the name of a process that has one of the sockets open."""
    pid = min(holders(inodes, pids()), default=None)
    return f"{command_name(pid)} (process {pid})" if pid else "a process of another user"
