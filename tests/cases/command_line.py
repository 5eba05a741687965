"""The command line as a script calls it: in a process of its own, without a terminal."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.dashboard import provide_database
from tests.forked import looplab

CASES = Path(__file__).parent
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class CommandLine:
    """`looplab` in a copy of the folder of a case."""

    folder: Path

    def __call__(self, *arguments: str, stdin: str | None = None) -> Done:
        return looplab(arguments, self.folder, stdin)

    def interpreted(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        stdin: str | None = None,
        encoding: str = "utf-8",
    ) -> Done:
        """Run it in an interpreter that starts in this environment, and heeds what it finds."""
        return subprocess.run(
            [sys.executable, "-m", "control_plane", *arguments],
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            encoding=encoding,
            env={**os.environ, **environment},
            timeout=120,
            check=False,
        )


def command_line(name: str, folder: Path) -> CommandLine:
    """Return the command line in a copy of the folder of a case, which is made below `folder`.

    It has a database already.
    """
    shutil.copytree(CASES / name, folder / name)
    provide_database(folder / name / "runs.db")
    return CommandLine(folder / name)


def short_spec(
    application: str, paths: Sequence[str], strategy: str = "raw", **changes: Any
) -> dict[str, Any]:
    """Return a spec of 200 requests of four users, without a warm-up."""
    stream = {
        "name": "requests",
        "requests": [{"path": path} for path in paths],
        "load": {"model": "closed", "concurrency": 4},
        "stop": {"requests": 200},
    }
    return {
        "target": {"application": application},
        "workload": {"streams": [stream]},
        "client": {"strategy": strategy},
        "warmup_s": 0,
        **changes,
    }
