"""How the fields of a spec and the facts of an environment are called and written as text."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from control_plane.domain.client_strategies import CLIENT_PACKAGES, STRATEGIES
from control_plane.domain.run import Run
from control_plane.domain.spec import BUNDLED
from control_plane.domain.target_addresses import is_here
from control_plane.domain.units import NONE, SPACE, count, number_of, size

LABELS = {
    "application": "Application",
    "server": "Server",
    "worker": "Worker class",
    "workers": "Workers",
    "target.loop": "Event loop",
    "http": "HTTP parser",
    "threads": "Pool threads",
    "reuse_port": "Shared port",
    "reload": "Reload",
    "access_log": "Access log",
    "keep_alive_s": "Keep-alive",
    "backlog": "Backlog",
    "probe": "Look inside",
    "url": "Address",
    "host": "Host",
    "strategy": "Strategy",
    "reuse_connections": "Reuse connections",
    "session": "Session",
    "client.loop": "Client event loop",
    "processes": "Client processes",
    "max_body_bytes": "Largest answer",
    "name": "Stream",
    "method": "Method",
    "path": "Path",
    "body": "Body",
    "body.json": "Body",
    "body.text": "Body",
    "file": "File of rows",
    "per": "Sent for each",
    "cookies": "Cookies kept",
    "capture": "Captured",
    "expect": "Expected statuses",
    "expect.statuses": "Expected statuses",
    "expect.text": "Expected text",
    "expect.json_key": "Expected JSON key",
    "size_bytes.at_least": "Smallest expected size",
    "size_bytes.at_most": "Largest expected size",
    "until": "Read",
    "until.bytes": "Read until bytes",
    "until.seconds": "Read for",
    "until.event": "Read until event",
    "weight": "Weight",
    "model": "Load model",
    "concurrency": "Concurrency",
    "connections": "Connections",
    "rate_per_s": "Rate",
    "arrivals": "Arrivals",
    "max_in_flight": "In flight at most",
    "interval_s": "Interval",
    "think_time_s": "Think time",
    "ramp_up_s": "Ramp-up",
    "stop.requests": "Requests",
    "stop.duration_s": "Duration",
    "start_after_s": "Starts after",
    "trials": "Trials",
    "warmup_s": "Warm-up",
    "timeout_s": "Deadline",
    "max_error_share": "Error limit",
    "objectives": "Objectives",
    "metric": "Metric",
    "at_most": "At most",
    "at_least": "At least",
    "stream": "Stream",
    "cores": "Cores",
    "cores.target": "Target cores",
    "cores.client": "Client cores",
    "cores_target": "Target on cores",
    "cores_client": "Client on cores",
    "core_policy": "Use of cores",
    "load_before": "Load average before",
    "stopped_before": "Stopped before it, started by hand",
    "changed_in_pause": "Changed while it was paused",
    "booted_in_pause": "Started anew while it was paused",
    "boot_id": "Boot",
    "hidden_by_link": "Hidden by the link that it came by",
    "seed": "Seed",
    "cpu_model": "CPU",
    "cpu_count": "CPU count",
    "cpu_available": "Cores that may be used",
    "cpu_quota_cores": "CPU quota, cores",
    "target_quota_cores": "CPU quota of the target, cores",
    "frequency_governor": "Frequency governor",
    "frequency_max_hz": "Highest frequency",
    "memory_bytes": "Memory",
    "hostname": "Machine",
    "system": "System",
    "kernel": "Kernel",
    "python": "Python",
    "target_python": "Python of the target",
    "target_program": "Program of the target",
    "target_packages": "Packages of the target",
    "target_packages_digest": "Digest of its packages",
    "commit": "Commit of Looplab",
    "server_settings": "Read beside the command line",
    "application_commit": "Commit of the application",
    "application_commit_subject": "Subject of that commit",
    "application_package": "Package of the application",
    "application_directory": "Directory of the application",
    "application_dirty": "Application differs from its commit",
    "application_changes": "Digest of what differs",
}

CORE_POLICIES = {
    "apart": "target and client apart",
    "given": "as the spec says",
    "shared": "target and client share all",
}
"""How a run used the cores, by `core_policy` of its environment."""

_BEFORE = re.compile(r"before\.(\d+)\.(.*)")
_STREAM = re.compile(r"workload\.streams\.(\d+)\.(.*)")
_VALUE = re.compile(r"values\.(.+)\.(\w+)")
_CLASS = re.compile(r"requests\.(\d+)\.(.*)")
_SENT = re.compile(r"(?:.*\.)?(headers|body\.(?:json|form|multipart\.fields))\.(.+)")
"""What the author of a request named: it may be called as a field of the spec is."""


def label_of(field: str, streams: Sequence[str] = ()) -> str:
    """Return `Concurrency`; with several streams `Concurrency, small`, unless it has no name."""
    if before := _BEFORE.fullmatch(field):
        return f"{_owned(before[2])}, before the load {int(before[1]) + 1}"
    stream, rest = _stream_of(field)
    inside = _CLASS.fullmatch(rest)
    name = _owned(inside[2] if inside else rest)
    if inside and inside[1] != "0":
        name += f" {int(inside[1]) + 1}"
    called = streams[stream] if stream is not None and len(streams) > 1 else ""
    return f"{name}, {called}" if called else name


def text_of(field: str, value: Any) -> str:
    """Return the value as a person reads it; a dash where there is none."""
    name = field.rpartition(".")[2]
    if value is None:
        return "no quota" if name.endswith("_quota_cores") else NONE
    if _SENT.fullmatch(field):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict | list):
        items = value if isinstance(value, list) else [f"{key} {value[key]}" for key in value]
        return ", ".join(map(str, items)) or NONE
    if name in {"strategy", "core_policy"}:
        return _chosen(name, value)
    if not isinstance(value, int | float):
        return str(value)[:12] if name.endswith("commit") else str(value)
    is_size = field.rpartition(".")[0].endswith("_bytes")
    return size(value) if is_size else _number(name, value)


def _chosen(name: str, value: str) -> str:
    if name == "strategy":
        return f"{value}, {STRATEGIES[value].library}"
    return CORE_POLICIES.get(value, value)


def _number(name: str, value: float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_hz"):
        return f"{value / 1e9:.3g}{SPACE}GHz"
    if name.endswith("_bytes"):
        return size(value)
    if name.endswith("_per_s"):
        return f"{value:,.10g}{SPACE}/s"
    if name.endswith("_s"):
        return f"{value:g}{SPACE}s"
    return count(value) if value == int(value) else f"{value:g}"


def _stream_of(field: str) -> tuple[int | None, str]:
    found = _STREAM.fullmatch(field)
    return (int(found[1]), found[2]) if found else (None, field)


def _owned(path: str) -> str:
    """Return the label of a path; with the name that its author gave it: `Low of {item_id}`,
    `Header X-Page`, `workers in the body`.
    """
    if sent := _SENT.fullmatch(path):
        return f"Header {sent[2]}" if sent[1] == "headers" else f"{sent[2]} in the body"
    value = _VALUE.fullmatch(path)
    return f"{_named(path)} of {{{value[1]}}}" if value else _named(path)


def _named(path: str) -> str:
    """Return the label of the last two parts, of the last part, or the last part itself as words.

    A name without a dot that has no label is a package: it keeps its own name, as variables do.
    """
    if path.startswith("server_settings."):
        return path.removeprefix("server_settings.")
    parts = path.split(".")
    known = LABELS.get(".".join(parts[-2:])) or LABELS.get(parts[-1])
    if known is None and len(parts) == 1:
        return path.replace("_", "-")
    return known or parts[-1].removesuffix("_s").replace("_", " ").capitalize()


@dataclass(frozen=True)
class Fact:
    label: str
    text: str


@dataclass(frozen=True)
class FactGroup:
    """What is known of one side: `Target`, or `Client and machine`."""

    name: str
    facts: tuple[Fact, ...]


def environment_facts(run: Run) -> tuple[FactGroup, ...]:
    """Return every fact that was stored with the run, by side; none before it started.

    The bundled application runs in the interpreter of the client: what both use stands on both.
    """
    stored = run.environment or {}
    own = run.spec.target.application == BUNDLED
    target = [name for name in stored if _of_target(name) or (own and _in_our_interpreter(name))]
    client = [name for name in stored if name not in target or name in _OF_BOTH]
    groups = (("Target", target), ("Client and machine", client))
    return tuple(
        FactGroup(title, tuple(Fact(label_of(name), text_of(name, stored[name])) for name in names))
        for title, names in groups
        if names
    )


def address_facts(addresses: Collection[str]) -> Iterator[str]:
    """Yield what is to be known of the targets of a run by the addresses that they had."""
    if any(address.startswith("https:") for address in addresses):
        yield "TLS, certificate not verified"
    if not all(map(is_here, addresses)):
        yield "target on another machine: the network is part of every time"


MOST_SETTINGS = 4


def settings_text(environment: Mapping[str, Any] | None) -> str:
    """Return `reads UVICORN_LIMIT_CONCURRENCY 10 beside its command line`; "" if nothing is."""
    found = (environment or {}).get("server_settings") or {}
    items = [f"{name} {found[name]}" for name in list(found)[:MOST_SETTINGS]]
    left = len(found) - len(items)
    listed = ", ".join([*items, *([f"{left} more"] if left else [])])
    return f"reads {listed} beside its command line" if found else ""


_OF_BOTH = {"python", "uvloop", "httptools"}


def _of_target(name: str) -> bool:
    return name.startswith(("target_", "application_", "server_")) or name == "cores_target"


def _in_our_interpreter(name: str) -> bool:
    """Whether it is the interpreter, or a package of it that more than the client has."""
    package = name not in LABELS and name.replace("_", "-") not in CLIENT_PACKAGES
    return package or name in _OF_BOTH


def environment_line(run: Run) -> str:
    """Return `2 cores AMD EPYC, 25.0 GB, Linux 6.1.0, Python 3.11.7, target on core 0`."""
    return ", ".join([*_machine(run), *_cores(run)]) or "not known"


def _machine(run: Run) -> Iterator[str]:
    stored = run.environment or {}
    if stored.get("cpu_count"):
        yield f"{number_of(stored['cpu_count'], 'core')} {stored.get('cpu_model') or ''}".rstrip()
    if stored.get("memory_bytes"):
        yield size(stored["memory_bytes"])
    if stored.get("kernel"):
        yield f"{stored.get('system') or 'Linux'} {stored['kernel']}"
    if stored.get("python"):
        yield f"Python {stored['python']}"


def _cores(run: Run) -> Iterator[str]:
    if not run.trials:
        return
    first = run.trials[0]
    for role, cores in (("target", first.target.cores), ("client", first.client.cores)):
        if cores:
            word = "core" if len(cores) == 1 else "cores"
            yield f"{role} on {word} {', '.join(str(core) for core in cores)}"
