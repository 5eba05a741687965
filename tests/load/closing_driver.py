"""One strategy against several servers, one after the other in one process."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from control_plane.domain.client_strategies import STRATEGIES
from tests.forked import FORKED
from tests.load.fault_driver import drive

USERS = 8
PATIENCE_S = 60

Case = tuple[str, dict[str, Any]]


async def driven(
    strategy: str, cases: Sequence[Case], environment: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return what each case came to, run in a process of its own, with a larger environment.

    A case is the URL of a server and parts of a plan.
    """
    told, tell = FORKED.Pipe(duplex=False)
    process = FORKED.Process(target=_drive, args=(tell, strategy, cases, {**(environment or {})}))
    with told:
        process.start()
        tell.close()
        try:
            async with asyncio.timeout(PATIENCE_S):
                read: list[dict[str, Any]] = json.loads(await asyncio.to_thread(told.recv_bytes))
                # It ends by itself: only then is told which lines of it were run.
                await asyncio.to_thread(process.join)
        finally:
            if process.is_alive():
                process.kill()
            process.join()
    return read


def _drive(
    tell: Connection, strategy: str, cases: Sequence[Case], environment: Mapping[str, str]
) -> None:
    os.environ.update(environment)
    users = 1 if STRATEGIES[strategy].alone else USERS
    usual = {"load": {"model": "closed", "concurrency": users}, "timeout_s": 5.0}
    found = [drive(strategy, url, "ok", **{**usual, **parts}) for url, parts in cases]
    tell.send_bytes(json.dumps(found).encode())
    # Clients that were never closed have nothing to say about it.
    os._exit(0)
