"""The environment of a run: which cores target and clients get, and, stored with it, the machine,
packages and the revision of the application.
"""

import hashlib
import json
import os
import platform
import re
import subprocess
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from control_plane.domain.client_strategies import CLIENT_PACKAGES
from control_plane.domain.errors import TargetFailed
from control_plane.domain.request import as_object
from control_plane.domain.result import Environment
from control_plane.domain.secrets import HIDDEN, hide
from control_plane.domain.server_command_lines import server_packages
from control_plane.domain.spec import Cores, Spec, Target
from control_plane.targets.application import Application
from control_plane.targets.environment_variables import (
    configured_variables,
    files_of_command,
    is_secret_variable,
    read_unasked,
    variable_secrets,
)
from control_plane.targets.observation.machine import (
    available_cores,
    frequency_facts,
    lowest_quota_cores,
)
from control_plane.targets.target_files import read_file

CHECKOUT = Path(__file__).parents[2]
PACKAGES = (
    "fastapi", "starlette", *server_packages(), "anyio", "pydantic", "aiohttp", "requests",
    "urllib3", "httpx",
)  # fmt: skip
"""Servers, what runs in them, and clients: what can change a measurement."""


@dataclass(frozen=True)
class CorePlan:
    """Cores by number; None means that the system decides among all.

    `policy`: `apart` when we chose, `given` when the spec named them, `shared` when nobody did.
    """

    target: tuple[int, ...] | None
    client: tuple[int, ...] | None
    policy: Literal["apart", "given", "shared"]


SHARED_CORES = CorePlan(None, None, "shared")


def share_cores(spec: Spec, available: Collection[int]) -> CorePlan:
    """Return the cores of a run: for `auto` one for each worker, the others for the clients.

    Where there are more processes than cores, and for a target that we do not start or whose
    processes nobody has counted, all share.
    Raises TargetFailed when the spec names a core that is not available.
    """
    if isinstance(spec.cores, Cores):
        return _named_cores(spec, spec.cores, available)
    if spec.cores == "shared" or spec.target.started is None:
        return SHARED_CORES
    cores, workers = sorted(available), spec.target.workers
    clients = spec.client.processes * len(spec.workload.streams)
    if workers is None or workers + clients > len(cores):
        return SHARED_CORES
    return CorePlan(tuple(cores[:workers]), tuple(cores[workers:]), "apart")


def _named_cores(spec: Spec, cores: Cores, available: Collection[int]) -> CorePlan:
    """Return the cores that the spec names; a target that we do not start is not moved."""
    missing = sorted({*cores.target, *cores.client} - set(available))
    if missing:
        has = ", ".join(map(str, sorted(available)))
        raise TargetFailed(f"There is no core {missing[0]} to use: this machine gives {has}.")
    pinned = cores.target if spec.target.started else None
    return CorePlan(pinned, cores.client, "given")


def of_client_only(environment: Environment) -> Environment:
    """Return the facts without the versions of what only a target in our interpreter has."""
    dropped = {name.replace("-", "_") for name in PACKAGES if name not in CLIENT_PACKAGES}
    return {name: fact for name, fact in environment.items() if name not in dropped}


def run_environment(cores: CorePlan) -> Environment:
    """Return what a run is measured on. `load_before`: the load average of the minute before."""
    return {
        **_constant_facts(),
        "cpu_available": len(available_cores()),
        "cpu_quota_cores": lowest_quota_cores([os.getpid()]),
        **frequency_facts(),
        "core_policy": cores.policy,
        "cores_target": list(cores.target) if cores.target else None,
        "cores_client": list(cores.client) if cores.client else None,
        "load_before": round(os.getloadavg()[0], 2),
    }


@cache
def _constant_facts() -> Environment:
    """Return the facts that hold for as long as the control plane runs."""
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
        "boot_id": _text(Path("/proc/sys/kernel/random/boot_id")) or None,
    }


def package_versions() -> dict[str, str]:
    """Return the versions of those of `PACKAGES` that are installed."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name.replace("-", "_")] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def cpu_model() -> str:
    """Return the model of the first core, or the architecture where it is not given."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def commit(checkout: Path) -> str | None:
    """Return the commit of a checkout, read as git stores it; None outside of one."""
    folder = _git_folder(checkout)
    head = _text(folder / "HEAD")
    if not head.startswith("ref: "):
        return head or None
    reference = head.removeprefix("ref: ")
    shared = folder / (_text(folder / "commondir") or ".")
    loose = _text(folder / reference) or _text(shared / reference)
    return loose or _packed(_text(shared / "packed-refs"), reference)


def _git_folder(checkout: Path) -> Path:
    """Return the folder of git's data; a worktree has a file there, which names it."""
    marker = checkout / ".git"
    named = _text(marker).removeprefix("gitdir: ") if marker.is_file() else ""
    return checkout / named if named else marker


def _packed(table: str, reference: str) -> str | None:
    rows = (line.split() for line in table.splitlines())
    return next((row[0] for row in rows if len(row) == 2 and row[1] == reference), None)


_MOST_BYTES_OF_GIT = 16_000_000


def _text(path: Path) -> str:
    try:
        return read_file(path, _MOST_BYTES_OF_GIT).decode().strip()
    except (OSError, ValueError):
        return ""


GIT_TIMEOUT_S = 5.0
MOST_SOURCE_FILE_BYTES = 16_000_000
SOURCES = ("*.py", "*.pyx", "*.html", "*.sql", "*.toml", "*.js", "*.ts", "*.go", "*.rs", "*.rb")
"""Files that belong to the code though git does not know of them yet."""
_DIGITS = 12
_SUBJECT_LENGTH = 200


def application_revision(directory: Path) -> Environment:
    """Return commit, whether it is dirty, and a digest of what differs; None outside of git.

    It is dirty where a file that git tracks was changed, also in a submodule, or one of `SOURCES`
    is new to git.
    """
    commit = _git(directory, "rev-parse", "HEAD")
    if commit is None or _is_strange(directory):
        return dict.fromkeys(
            (
                "application_commit",
                "application_commit_subject",
                "application_dirty",
                "application_changes",
            ),
            None,
        )
    subject = _git(directory, "log", "-1", "--format=%s", "HEAD") or b""
    changes = _git(directory, *_DIFFERENCES, ".") or b""
    listed = _git(directory, "ls-files", "--others", "--exclude-standard", "-z", "--", *SOURCES)
    digest = hashlib.sha256(changes)
    new = sorted(filter(None, (listed or b"").split(b"\0")))
    for name in new:
        content = _content(directory / os.fsdecode(name), MOST_SOURCE_FILE_BYTES)
        digest.update(name + b"\0" + content)
    dirty = bool(changes or new)
    return {
        "application_commit": commit.decode().strip(),
        "application_commit_subject": subject.decode(errors="replace").strip()[:_SUBJECT_LENGTH],
        "application_dirty": dirty,
        "application_changes": digest.hexdigest()[:_DIGITS] if dirty else None,
    }


def application_code(directory: Path) -> str | None:
    """Return which code a directory holds: `3f2a91c0b7de`, or `3f2a91c0b7de + 0c5b11d2a9ef` where
    it differs from the commit; None outside of git.
    """
    revision = application_revision(directory)
    commit, changes = revision["application_commit"], revision["application_changes"]
    if commit is None:
        return None
    return " + ".join([str(commit)[:_DIGITS], *([str(changes)] if changes else [])])


_PACKAGES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "pyproject.toml": (("project",), ("tool", "poetry")),
    "Cargo.toml": (("package",),),
    "package.json": ((),),
}
"""Files that name a package and its version, and the tables in which they do."""


def application_names(directory: Path) -> Environment:
    """Return by which names others find the code: of its package, and of its directory.

    That of the directory stands behind those of its repository; no name of anything around it.
    """
    told = None if _is_strange(directory) else _git(directory, "rev-parse", "--show-toplevel")
    whole = directory.resolve()
    root = Path(os.fsdecode(told.rstrip(b"\n"))) if told else whole
    inside = whole.relative_to(root) if whole.is_relative_to(root) else Path()
    folders = [root / inside, *(root / above for above in inside.parents)]
    packages = (_package(folder / name) for folder in folders for name in _PACKAGES)
    return {
        "application_package": next(filter(None, packages), None),
        "application_directory": str(root.name / inside)[:_SUBJECT_LENGTH],
    }


def _package(file: Path) -> str:
    """Return `shop 2.3.1`, or the name alone; empty where the file is not there or names none."""
    try:
        text = read_file(file, MOST_SOURCE_FILE_BYTES).decode()
        whole = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError):
        return ""
    for keys in _PACKAGES[file.name]:
        found = whole
        for key in keys:
            found = as_object(as_object(found).get(key))
        named = [as_object(found).get(name) for name in ("name", "version")]
        if isinstance(named[0], str):
            return " ".join(part for part in named if isinstance(part, str))[:_SUBJECT_LENGTH]
    return ""


_COMMIT = re.compile("[0-9a-f]{7,64}")
MOST_COMMITS_BETWEEN = 50


def commits_between(directory: Path, first: str, last: str) -> tuple[tuple[str, str], ...]:
    """Return id and subject of the commits after `first` up to `last` that touch a directory.

    The newest first, at most `MOST_COMMITS_BETWEEN`; () where its repository lacks one of them.
    """
    if not (_COMMIT.fullmatch(first) and _COMMIT.fullmatch(last)):
        return ()
    how = ("--format=%h %s", f"--max-count={MOST_COMMITS_BETWEEN}")
    told = _git(directory, "log", *how, f"{first}..{last}", "--", ".") or b""
    lines = (line.partition(" ") for line in told.decode(errors="replace").splitlines())
    return tuple((commit, subject[:_SUBJECT_LENGTH]) for commit, _, subject in lines)


_DIFFERENCES = ("diff", "HEAD", "--no-ext-diff", "--no-textconv", "--binary", "--submodule=diff")


def _is_strange(directory: Path) -> bool:
    """Whether the repository around a directory leaves it out: its commit says nothing of it."""
    ignored = _git(directory, "check-ignore", "--quiet", ".") is not None
    return ignored and not _git(directory, "ls-files", "-z", "--", ".")


MOST_SETTINGS_BYTES = 1_000_000
_SETTINGS = {
    "py", "toml", "ini", "conf", "cfg", "json", "yaml", "yml", "env", "xml", "properties", "sh",
    "js", "mjs", "cjs", "ts", "rb", "php", "lua",
}  # fmt: skip
"""Endings of files by which a command is told what to do."""


def unasked_settings(application: Application, target: Target) -> Environment:
    """Return what its server reads beside its command line, as `server_settings`.

    Variables by value, and for a command of its own files by digest, also those that are written
    for it. {} where nothing is read.
    """
    variables = configured_variables(application)
    secrets = variable_secrets(variables)
    found = {
        name: HIDDEN if is_secret_variable(name) else hide(variables[name], secrets)
        for name in sorted(read_unasked(target.server, variables))
    }
    files = {
        name: _settings_content(application.directory / name)
        for name in files_of_command(application.command)
    } | {name: text.encode() for name, text in application.files.items()}
    for name, content in files.items():
        if content:
            found[name] = f"sha256 {hashlib.sha256(content).hexdigest()[:_DIGITS]}"
    return {"server_settings": found} if found else {}


def _settings_content(path: Path) -> bytes:
    if path.suffix.removeprefix(".") not in _SETTINGS:
        return b""
    return _content(path, MOST_SETTINGS_BYTES)


def _content(path: Path, most: int) -> bytes:
    try:
        return read_file(path, most)
    except (OSError, ValueError):
        return b""


_OF_USER = ("PATH", "HOME", "XDG_CONFIG_HOME")
"""What the user told git to ignore, and how lines end, decides what differs."""


def _git(directory: Path, *arguments: str) -> bytes | None:
    """Return what git prints; None where it is missing, fails, or takes too long.

    Nothing is written, and no program that the repository names is run.
    """
    options = ("safe.directory=*", "core.fsmonitor=false", "log.showSignature=false")
    words = ["git", *(word for option in options for word in ("-c", option)), *arguments]
    own = {name: os.environ[name] for name in _OF_USER if name in os.environ}
    environment = {"PATH": os.defpath, **own, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            words, cwd=directory, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=GIT_TIMEOUT_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
