"""One strategy against several servers, one after the other in one process.

`python -m tests.load.closing_driver STRATEGY` reads a JSON list of cases, each the URL of a server
and parts of a plan, and prints another: what each case came to.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from typing import Any

from control_plane.domain.client_strategies import STRATEGIES
from tests.load.fault_driver import drive

USERS = 8
PATIENCE_S = 60

Case = tuple[str, dict[str, Any]]


async def driven(
    strategy: str, cases: Sequence[Case], environment: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return what each case came to, run in a process of its own, with a larger environment."""
    command = [sys.executable, "-m", "tests.load.closing_driver", strategy]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, env={**os.environ, **(environment or {})}
    )
    async with asyncio.timeout(PATIENCE_S):
        told, _ = await process.communicate(json.dumps(cases).encode())
    assert process.returncode == 0
    read: list[dict[str, Any]] = json.loads(told)
    return read


if __name__ == "__main__":
    strategy = sys.argv[1]
    users = 1 if STRATEGIES[strategy].alone else USERS
    usual = {"load": {"model": "closed", "concurrency": users}, "timeout_s": 5.0}
    found = [
        drive(strategy, url, "ok", **{**usual, **parts}) for url, parts in json.load(sys.stdin)
    ]
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    # Clients that were never closed have nothing to say about it.
    os._exit(0)
