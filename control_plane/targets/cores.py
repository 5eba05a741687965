"""The cores that target and load workers run on."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from control_plane.domain.errors import TargetFailed
from control_plane.domain.spec import Cores, Spec


@dataclass(frozen=True)
class CorePlan:
    """Cores by number; None means that the system decides among all.

    `policy`: `apart` when we chose, `given` when the spec named them, `shared` when nobody did.
    """

    target: tuple[int, ...] | None
    client: tuple[int, ...] | None
    policy: Literal["apart", "given", "shared"]


SHARED_CORES = CorePlan(None, None, "shared")


def available_cores() -> tuple[int, ...]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


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
