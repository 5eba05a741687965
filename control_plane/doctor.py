"""What this machine has for Looplab, what is doubtful about it, and how to mend that."""

import os
import platform
import resource
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from control_plane.domain.errors import StoreError
from control_plane.domain.server_command_lines import server_packages
from control_plane.settings import Settings
from control_plane.store.database import store_errors
from control_plane.store.instance_lock import held_files, read_lock
from control_plane.store.schema_and_backups import check, instance_of, left_as_found
from control_plane.targets.configurations import install_servers
from control_plane.targets.guard import OPEN_FILES
from control_plane.targets.marked_processes import marked_processes
from control_plane.targets.observation.machine import (
    available_cores,
    frequency_facts,
    lowest_quota_cores,
)
from control_plane.targets.observation.procfs import owner_of
from control_plane.targets.target_files import read_file

_ROOT = Path("/")
_MOST_BYTES = 100_000
FEW_FILES = 4_096
FEW_PORTS = 10_000
BUSY_CORES_SHARE = 0.2
SWAPPED_BYTES = 100_000_000
LITTLE_DISK_BYTES = 1_000_000_000
MUCH_FREE_BYTES = 100_000_000
MUCH_FREE_SHARE = 0.5
OLDEST_SQLITE = (3, 34, 0)
"""The first that searches three letters anywhere in a text."""
NETWORK_FILE_SYSTEMS = {
    "9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "lustre", "nfs",
    "nfs4", "smb3",
}  # fmt: skip
"""Their locks, which SQLite needs, are slow or missing (sqlite.org/faq.html, question 5)."""
SLOW_CLOCKS = {"hpet", "acpi_pm", "jiffies", "refined-jiffies"}


@dataclass(frozen=True)
class Examined:
    """One thing that was looked at. `remedy` is what to do where `level` is not good."""

    name: str
    level: Literal["good", "doubt", "bad"]
    text: str
    remedy: str = ""


Look = Callable[[Settings], Examined]


def examine(settings: Settings) -> Iterator[Examined]:
    """Yield what is found; nothing is started, changed or sent."""
    yield from (look(settings) for look in _LOOKS)


def _system(settings: Settings) -> Examined:
    del settings
    text = f"Python {platform.python_version()} on {platform.system()} {platform.release()}"
    if sys.platform == "linux":
        return Examined("system", "good", text)
    return Examined("system", "doubt", text, "Targets are started on Linux only: give URLs.")


def _port(settings: Settings) -> Examined:
    where, holder = f"{settings.host}:{settings.port}", read_lock(settings.db)
    if holder is not None and holder.url:
        return Examined("port", "good", f"the dashboard of this database is at {holder.url}")
    if (owner := owner_of(settings.host, settings.port)) is None:
        return Examined("port", "good", f"{where} is free")
    return Examined("port", "doubt", f"{where} belongs to {owner}", "Choose another with --port.")


def _local_ports(settings: Settings) -> Examined:
    del settings
    low, high = map(int, (_text("proc/sys/net/ipv4/ip_local_port_range") or "0 0").split())
    text = f"{high - low:,} for connections of clients"
    if not high or high - low >= FEW_PORTS:
        return Examined("local ports", "good", text if high else "cannot be read")
    remedy = "sysctl net.ipv4.ip_local_port_range='1024 65535', or reuse connections."
    return Examined("local ports", "doubt", text, remedy)


def _files(settings: Settings) -> Examined:
    del settings
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    usable = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if usable >= FEW_FILES:
        return Examined("open files", "good", f"{usable:,} can be opened")
    remedy = "Raise the hard limit: ulimit -Hn, limits.conf or LimitNOFILE."
    return Examined("open files", "doubt", f"{usable:,} can be opened", remedy)


def _governor(settings: Settings) -> Examined:
    del settings
    governor = frequency_facts()["frequency_governor"]
    if governor in {None, "performance"}:
        return Examined("frequency", "good", str(governor or "is not this system's to set"))
    remedy = "cpupower frequency-set -g performance, as long as you measure."
    return Examined("frequency", "doubt", f"the governor is {governor}", remedy)


def _cores(settings: Settings) -> Examined:
    del settings
    cores, quota = len(available_cores()), lowest_quota_cores([os.getpid()])
    text = f"{cores} available" + (f", a quota of {quota:g}" if quota else "")
    if min(cores, quota or cores) >= 2:
        return Examined("cores", "good", text)
    remedy = "Target and client share a core: give two, or compare only what was measured so."
    return Examined("cores", "doubt", text, remedy)


def _load(settings: Settings) -> Examined:
    del settings
    load = os.getloadavg()[0]
    text = f"{load:.2f} in the last minute"
    if load <= BUSY_CORES_SHARE * len(available_cores()):
        return Examined("load", "good", text)
    return Examined("load", "doubt", text, "End what works beside it, or wait: see top.")


def _memory(settings: Settings) -> Examined:
    del settings
    lines = (line.split() for line in (_text("proc/meminfo") or "").splitlines())
    kilobytes = {words[0].strip(":"): int(words[1]) for words in lines}
    if not kilobytes:
        return Examined("memory", "good", "cannot be read")
    swapped = 1024 * (kilobytes.get("SwapTotal", 0) - kilobytes.get("SwapFree", 0))
    free = f"{kilobytes.get('MemAvailable', 0) / 1e6:.1f} GB available"
    text = f"{free}, {swapped / 1e6:.0f} MB swapped out"
    if swapped < SWAPPED_BYTES:
        return Examined("memory", "good", text)
    return Examined("memory", "doubt", text, "End what takes memory, then swapoff -a; swapon -a.")


def _disk(settings: Settings) -> Examined:
    folder = settings.db.expanduser().resolve().parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Examined("disk", "bad", f"{folder}: {error.strerror}", "Choose another with --db.")
    text = f"{free / 1e9:.1f} GB free in {folder}"
    if (kind := _file_system(folder)) in NETWORK_FILE_SYSTEMS:
        text += f", which is on {kind}: SQLite waits long for locks there, or has none"
        return Examined("disk", "doubt", text, "Choose a disk of this machine with --db.")
    if free >= LITTLE_DISK_BYTES:
        return Examined("disk", "good", text)
    return Examined("disk", "doubt", text, "Make space, or choose another place with --db.")


def _file_system(folder: Path) -> str:
    """Return the type of the file system of a folder; "" where it is not told (fstab(5))."""
    mounts = [line.split() for line in _text("proc/self/mounts").splitlines()]
    holding = [
        (len(place), at, kind)
        for at, (_, place, kind, *_) in enumerate(mounts)
        if folder.is_relative_to(place.replace("\\040", " "))
    ]
    return max(holding, default=(0, 0, ""))[2]


def _sqlite(settings: Settings) -> Examined:
    del settings
    text = f"{sqlite3.sqlite_version}, written by one connection"
    if sqlite3.sqlite_version_info >= OLDEST_SQLITE:
        return Examined("SQLite", "good", text)
    needed = ".".join(map(str, OLDEST_SQLITE))
    return Examined("SQLite", "bad", text, f"Use a Python that has {needed} or newer.")


def _servers(settings: Settings) -> Examined:
    del settings
    found, missing = [], []
    for package in server_packages():
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if not missing:
        return Examined("servers", "good", ", ".join(found))
    text = f"{', '.join(found)}; without {', '.join(missing)}"
    return Examined("servers", "good", text, f"For all of them: {install_servers()}.")


def _clock(settings: Settings) -> Examined:
    del settings
    source = _text("sys/devices/system/clocksource/clocksource0/current_clocksource")
    if source not in SLOW_CLOCKS:
        return Examined("clock", "good", source or "cannot be read")
    remedy = "It costs microseconds for each look: choose tsc or kvm-clock where there is one."
    return Examined("clock", "doubt", source, remedy)


def _database(settings: Settings) -> Examined:
    path = settings.db.expanduser().resolve()
    try:
        schema = check(path)
        size, free = (0, 0) if schema is None else _sizes(path)
    except StoreError as error:
        return Examined("database", "bad", str(error))
    if schema is None and (held := held_files(path)) is not None:
        text = f"{path} was deleted, and process {held.pid} still has what it held"
        remedy = "Save it with looplab backup FILE before that ends, then looplab restore FILE."
        return Examined("database", "bad", text, remedy)
    if schema is None:
        return Examined("database", "good", f"{path} can be made")
    text = f"{path} has schema {schema}"
    if free < max(MUCH_FREE_BYTES, MUCH_FREE_SHARE * size):
        return Examined("database", "good", text)
    text += f"; {free / 1e6:,.0f} of its {size / 1e6:,.0f} MB held runs that were deleted"
    command = shlex.join(["sqlite3", str(path), "VACUUM"])
    remedy = f"New runs fill them. To give them back: end Looplab, then {command}."
    return Examined("database", "doubt", text, remedy)


def _sizes(path: Path) -> tuple[int, int]:
    """Return how many bytes a database has, and in how many of them nothing lies any more."""
    with (
        store_errors(path),
        left_as_found(path) as uri,
        closing(sqlite3.connect(uri, uri=True)) as connection,
    ):
        pages, free, page = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
    return pages * page, free * page


def _leftovers(settings: Settings) -> Examined:
    path = settings.db.expanduser().resolve()
    try:
        instance = None if read_lock(path) or check(path) is None else instance_of(path)
    except StoreError:
        instance = None
    left = marked_processes(f"{instance}.{path.stat().st_ino:x}") if instance else []
    if not left:
        return Examined("leftovers", "good", "nothing of a dashboard that was killed")
    text = f"processes of a dashboard that was killed: {', '.join(map(str, left))}"
    return Examined("leftovers", "doubt", text, "The next start ends them: looplab.")


_LOOKS: tuple[Look, ...] = (
    _system, _port, _local_ports, _files, _cores, _governor, _load, _memory, _clock, _disk,
    _database, _sqlite, _servers, _leftovers,
)  # fmt: skip


def _text(path: str) -> str:
    """Return what a file of the system says; "" where it cannot be read."""
    try:
        return read_file(_ROOT / path, _MOST_BYTES).decode().strip()
    except (OSError, ValueError):
        return ""
