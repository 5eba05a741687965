"""Applications and servers that are made to show one cause, as source of their own modules."""

from pathlib import Path

from control_plane.targets.application import Application, Applications
from tests.builders import own

COLLECTING = """
import gc
from fastapi import FastAPI

app = FastAPI()
kept = [[number] for number in range(200_000)]


@app.get("/")
async def collect() -> int:
    return gc.collect()
"""

ONCE = """
import time
from pathlib import Path
from fastapi import FastAPI

app = FastAPI()
if Path("started").exists():
    raise SystemExit(3)
Path("started").touch()


@app.get("/")
def ready() -> str:
    return "ready"


@app.get("/block")
async def block() -> None:
    time.sleep(0.2)
"""


def applications(folder: Path) -> Applications:
    """`collecting` collects garbage for long, `once` starts once only, `threads` is a command."""
    for name, source in (("collecting", COLLECTING), ("once", ONCE), ("threads", own.SERVER)):
        (folder / f"{name}.py").write_text(source)
    serve = ("python", "threads.py", "{host}", "{port}")
    return {
        "collecting": Application("collecting:app", folder, name="collecting"),
        "once": Application("once:app", folder, name="once"),
        "threads": Application("", folder, name="threads", command=serve),
    }
