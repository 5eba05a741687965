"""What a start of the application can set, each by an environment variable `TARGET_<NAME>`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATABASES = ("sqlite",)
_BOUNDS = {
    "threads": (1, 10_000),
    "upstream_delay_s": (0, 60),
    "log_s": (0, 60),
    "wait_scale": (0, 10),
    "cpu_n": (0, 1_000_000_000),
}


@dataclass(frozen=True)
class TargetSettings:
    """Fixed for the life of the process."""

    threads: int = 40
    """Tokens of AnyIO's thread limiter: how many `def` endpoints run at once."""
    upstream_delay_s: float = 0.2
    """What the upstream waits before each answer."""
    log_s: float = 2.0
    """How long the movies take to write a simulated log entry."""
    wait_scale: float = 1.0
    """Factor on every time of the waits workload."""
    cpu_n: int = 1_000_000
    """Steps of the CPU task of the background workload."""
    database: str = "sqlite"
    """What holds the users; one of DATABASES."""
    directory: Path | None = None
    """Folder of this start, shared by its workers and removed by whoever named it. Without one
    each worker makes a temporary folder for itself and removes it when it stops."""
    paths: tuple[str, ...] = ()
    """Request paths that will be asked for, separated by spaces. What their workloads need is
    opened before the application is ready; for any other path it is opened at first use."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "TargetSettings":
        """Raises ValueError that names the variable, its value and what it may be."""
        directory = environment.get("TARGET_DIRECTORY")
        return cls(
            threads=int(_number(environment, "threads", cls.threads)),
            upstream_delay_s=_number(environment, "upstream_delay_s", cls.upstream_delay_s),
            log_s=_number(environment, "log_s", cls.log_s),
            wait_scale=_number(environment, "wait_scale", cls.wait_scale),
            cpu_n=int(_number(environment, "cpu_n", cls.cpu_n)),
            database=_database(environment.get("TARGET_DATABASE", cls.database)),
            directory=Path(directory) if directory else None,
            paths=tuple(environment.get("TARGET_PATHS", "").split()),
        )


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    variable = f"TARGET_{name.upper()}"
    text = environment.get(variable, "")
    if not text:
        return default
    low, high = _BOUNDS[name]
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise ValueError(f"{variable} is {text!r}; use a number from {low} to {high}.")
    return value


def _database(name: str) -> str:
    if name not in DATABASES:
        raise ValueError(f"TARGET_DATABASE is {name!r}; use {' or '.join(DATABASES)}.")
    return name
