"""Applications and servers that are made to show one cause, as source of their own modules."""

from pathlib import Path

from control_plane.targets.application import Application, Applications
from tests.builders import own

COLLECTING = """
import gc
from bare import app as bare

kept = [[number] for number in range(200_000)]


async def app(scope, receive, send):
    if scope["type"] == "http":
        gc.collect()
    await bare(scope, receive, send)
"""

ONCE = """
from pathlib import Path
from bare import app

if Path("started").exists():
    raise SystemExit(3)
Path("started").touch()
"""


def applications(folder: Path) -> Applications:
    """`collecting` collects garbage for long, `once` starts once only, `threads` is a command."""
    sources = {"collecting": COLLECTING, "once": ONCE, "threads": own.SERVER, "bare": own.BARE}
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    serve = ("python", "threads.py", "{host}", "{port}")
    return {
        "collecting": Application("collecting:app", folder, name="collecting"),
        "once": Application("once:app", folder, name="once"),
        "threads": Application("", folder, name="threads", command=serve),
    }
