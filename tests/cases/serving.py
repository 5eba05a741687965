"""The application of a case that runs already, for runs that are not about its start."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.dashboard import Dashboard, until


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    """The URL of `app:app` in a folder, served by uvicorn."""
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", "0", "--no-access-log"]
    log = folder / "uvicorn.log"
    with (
        log.open("w") as output,
        subprocess.Popen([*command, *options], cwd=folder, stdout=output, stderr=output) as server,
    ):
        try:
            until(lambda: "://127.0.0.1:" in log.read_text() or server.poll(), "it serves", 60)
            yield next(word for word in log.read_text().split() if "://127.0.0.1:" in word)
        finally:
            server.terminate()


@dataclass(frozen=True)
class Served:
    """A dashboard, and the application of its folder at `url`."""

    looplab: Dashboard
    url: str

    def run(self, spec: dict[str, Any]) -> dict[str, Any]:
        """The run of a spec against the application, once it has finished."""
        return self.looplab.finished(self.looplab.submit({**spec, "target": {"url": self.url}}))
