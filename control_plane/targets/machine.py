"""The facts of machine and versions that are stored with each run."""

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from control_plane.domain.result import Environment
from control_plane.domain.servers import server_packages
from control_plane.targets.cores import CorePlan

CHECKOUT = Path(__file__).parents[2]
PACKAGES = (
    "fastapi", "starlette", *server_packages(), "anyio", "pydantic", "aiohttp", "requests",
    "urllib3", "httpx",
)  # fmt: skip
"""Servers, what runs in them, and clients: what can change a measurement."""


def run_environment(cores: CorePlan) -> Environment:
    """What a run was measured on. `load_before` is the load average of the minute before."""
    return {
        **_lasting(),
        "core_policy": cores.policy,
        "cores_target": list(cores.target) if cores.target else None,
        "cores_client": list(cores.client) if cores.client else None,
        "load_before": round(os.getloadavg()[0], 2),
    }


@cache
def _lasting() -> Environment:
    """Facts that hold for as long as the control plane runs."""
    return {
        "hostname": platform.node(),
        "cpu_model": cpu_model(),
        "cpu_count": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.system(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **package_versions(),
        "commit": commit(CHECKOUT),
    }


def package_versions() -> dict[str, str]:
    """Of those packages that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name.replace("-", "_")] = version(name)
        except PackageNotFoundError:
            continue
    return found


def cpu_model() -> str:
    """The name that the first core gives, or the architecture where it gives none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def commit(checkout: Path) -> str | None:
    """The commit that the checkout stands at, read as git stores it; None outside a checkout."""
    folder = _git_folder(checkout)
    head = _text(folder / "HEAD")
    if not head.startswith("ref: "):
        return head or None
    reference = head.removeprefix("ref: ")
    shared = folder / (_text(folder / "commondir") or ".")
    loose = _text(folder / reference) or _text(shared / reference)
    return loose or _packed(_text(shared / "packed-refs"), reference)


def _git_folder(checkout: Path) -> Path:
    """A worktree has a file there, which names the folder."""
    marker = checkout / ".git"
    named = _text(marker).removeprefix("gitdir: ") if marker.is_file() else ""
    return checkout / named if named else marker


def _packed(table: str, reference: str) -> str | None:
    rows = (line.split() for line in table.splitlines())
    return next((row[0] for row in rows if len(row) == 2 and row[1] == reference), None)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
