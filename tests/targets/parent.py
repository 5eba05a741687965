"""A control plane in little: `python -m tests.targets.parent INSTANCE FOLDER APPLICATION WORKERS`.

Prints one line of JSON when the target is ready, then waits to be killed.
"""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

from control_plane.domain.spec import Target
from tests.targets.site import Site


async def main(instance: str, folder: str, name: str, workers: str) -> None:
    site = Site(Path(folder), instance)
    target = await site.start(name, replace(Target(), workers=int(workers)))
    facts = {"host": target.host, "port": target.port, "pid": target.pid, "pids": target.pids()}
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
