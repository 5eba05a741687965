"""The command line of this program, as it can be typed where the dashboard was started."""

import shlex
import shutil
import sys
from pathlib import Path

OWN = "runs.db"
"""The file that is taken where none is named."""


def run_command(database: Path) -> str:
    """Return `.venv/bin/looplab run spec.json --wait`, with `--db` unless it is the default."""
    own = (Path.cwd() / OWN).resolve()
    chosen = () if database == own else ("--db", str(database))
    return shlex.join((_program(), "run", "spec.json", "--wait", *chosen))


def _program() -> str:
    """Return the name of the program where the shell finds it, else its path."""
    beside = Path(sys.executable).with_name("looplab")
    found = shutil.which("looplab")
    if (found and Path(found) == beside) or not beside.exists():
        return "looplab"
    inside = beside.is_relative_to(Path.cwd())
    return str(beside.relative_to(Path.cwd()) if inside else beside)
