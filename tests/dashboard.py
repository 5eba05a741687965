"""A dashboard, and a real one in a process of its own, for the tests that talk to one."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

import httpx2
import psutil

from control_plane.store.instance_lock import read_lock
from control_plane.store.schema_and_backups import prepare
from tests.forked import ForkedProcess, Within, forked

START_S = 30.0
TERMINAL = {"finished", "failed", "cancelled", "interrupted"}
BARE: dict[str, Any] = {"target": {"server": "responder"}, "client": {"strategy": "raw"}}
"""For runs whose application is not the point: what starts soonest, and is measured cheapest."""


def until(
    condition: Callable[[], Any], what: str, within_s: float = 20.0, every_s: float = 0.05
) -> Any:
    """The first true answer of `condition`, asked each `every_s`; fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(every_s)
    raise AssertionError(f"not within {within_s:g} s: {what}")


@dataclass
class Dashboard:
    """A dashboard and an HTTP client of it, which follows redirects."""

    client: httpx2.Client
    url: str
    db: Path

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.get(path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        return self.client.post(path, json=body, **options)

    def delete(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.delete(path, **options)

    def post_form(
        self, path: str, pairs: Sequence[tuple[str, str]], headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """Send the fields in their order, as a browser does. Redirects are not followed."""
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self.client.post(
            path,
            content=urlencode(pairs),
            headers={**kind, **(headers or {})},
            follow_redirects=False,
        )

    def submit(self, spec: Mapping[str, Any]) -> str:
        response = self.post("/api/runs", spec)
        assert response.status_code == 202, response.text
        run_id: str = response.json()["id"]
        return run_id

    def run(self, run_id: str) -> dict[str, Any]:
        response = self.get(f"/api/runs/{run_id}")
        assert response.status_code == 200, response.text
        document: dict[str, Any] = response.json()
        return document

    def until_state(
        self, run_id: str, states: set[str], within_s: float = 60.0, every_s: float = 0.05
    ) -> dict[str, Any]:
        """The database is asked first, which takes a fiftieth of the time of a request."""

        def reached() -> dict[str, Any] | None:
            if state_in(self.db, run_id) not in {"", *states}:
                return None
            run = self.run(run_id)
            return run if run["state"] in states else None

        run: dict[str, Any] = until(reached, f"run {run_id} in {states}", within_s, every_s)
        return run

    def finished(self, run_id: str, within_s: float = 60.0) -> dict[str, Any]:
        """Asked for seldom, so that the run does not feel it."""
        run = self.until_state(run_id, TERMINAL, within_s, every_s=0.2)
        assert run["state"] == "finished", run["reason"]
        return run

    def until_blocks(self, experiment_id: str, least: int) -> None:
        """The database is asked, because the API judges an experiment each time."""
        until(lambda: blocks_in(self.db, experiment_id) >= least, f"{least} blocks", 60)

    def cancel(self, run_id: str) -> httpx2.Response:
        return self.post(f"/api/runs/{run_id}/cancel")

    @property
    def instance(self) -> str:
        return instance_of(self.db)


@dataclass
class DashboardProcess(Dashboard):
    """A dashboard in a process of its own, behind a socket."""

    process: subprocess.Popen[str] | ForkedProcess

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM, within_s: float = 5.0) -> int:
        """Ask for an orderly stop; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=within_s)


def provide_database(db: Path) -> Path:
    """Put a new one at `db` where there is none, as the migrations made it a first time."""
    if not db.exists():
        db.write_bytes(_new_database())
        db.chmod(0o600)
    return db


@cache
def _new_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder) / "runs.db")
        return (Path(folder) / "runs.db").read_bytes()


def instance_of(db: Path) -> str:
    """The marker that every process of this database carries."""
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as connection:
        (marker,) = connection.execute("select instance from meta").fetchone()
    return str(marker)


def state_in(db: Path, run_id: str) -> str:
    """The state of a run; empty where the file cannot be read here, or is locked."""
    address = f"file:{db}?mode=ro"
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(address, uri=True, timeout=0)) as connection,
    ):
        for (state,) in connection.execute("select state from run where id = ?", (run_id,)):
            return str(state)
    return ""


def blocks_in(db: Path, experiment_id: str) -> int:
    """How many blocks of an experiment are complete; 0 where the file is locked."""
    query = """SELECT count(*) FROM experiment JOIN experiment_block ON experiment = seq
        WHERE id = ? AND outcome = 'complete'"""
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True, timeout=0)) as database,
    ):
        return int(database.execute(query, (experiment_id,)).fetchone()[0])
    return 0


def whole(db: Path) -> bool:
    with contextlib.closing(sqlite3.connect(db)) as connection:
        return bool(connection.execute("pragma integrity_check").fetchone() == ("ok",))


def marked(instance: str) -> list[int]:
    """The live processes that carry the marker."""
    needle = f"LOOPLAB_INSTANCE={instance}.".encode()
    found = []
    for pid in psutil.pids():
        # That of a zombie is empty.
        with contextlib.suppress(OSError):
            if needle in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
    return found


def one_of(looplab: DashboardProcess, role: str) -> psutil.Process:
    """A process below the dashboard, told by its command line."""
    words = {"guard": "guard", "server": "uvicorn", "client": "control_plane.load"}
    below = psutil.Process(looplab.process.pid).children(recursive=True)
    commands = {process: process.cmdline() for process in below}
    matching = [
        process
        for process, line in commands.items()
        if any(words[role] in word for word in line)
        and not (role == "server" and any("guard" in word for word in line))
    ]
    assert matching, commands
    return matching[0]


def gone_within_a_second(instance: str) -> None:
    try:
        until(lambda: not marked(instance), "every process of the instance is gone", 1.0)
    except AssertionError:
        left = [psutil.Process(pid).cmdline() for pid in marked(instance)]
        raise AssertionError(f"left after a second: {left}") from None


@contextlib.contextmanager
def dashboard(
    folder: Path,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    *,
    first: bool = False,
) -> Iterator[DashboardProcess]:
    """Start one in `folder`, on a free port; whatever happens, it is ended after.

    At a first start the dashboard makes its database itself. Whoever else uses the machine, it asks
    for no token unless told to; then the client has it.
    """
    asked = {"LOOPLAB_TOKEN": "off", **(environment or {})}
    if not first:
        provide_database(folder / "runs.db")
    with (folder / "looplab.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "control_plane", "--port", "0", *arguments], cwd=folder,
            stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **asked},
        )  # fmt: skip
        assert process.stdout is not None
        with process.stdout as printed, _serving(process, folder, printed) as started:
            yield started


@contextlib.contextmanager
def forked_dashboard(
    folder: Path,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    within: Within = contextlib.nullcontext,
) -> Iterator[DashboardProcess]:
    """As `dashboard`, in a process that has imported everything when it begins.

    It works in the context that `within` makes in that process.
    """
    asked = {"LOOPLAB_TOKEN": "off", **(environment or {})}
    provide_database(folder / "runs.db")
    reading, writing = os.pipe()
    with os.fdopen(reading) as printed, (folder / "looplab.log").open("a") as log:
        try:
            streams = (0, writing, log.fileno())
            process = forked(["--port", "0", *arguments], folder, asked, streams, within)
        finally:
            os.close(writing)
        with _serving(process, folder, printed) as started:
            yield started


@contextlib.contextmanager
def _serving(
    process: subprocess.Popen[str] | ForkedProcess, folder: Path, printed: IO[str]
) -> Iterator[DashboardProcess]:
    db = folder / "runs.db"
    try:
        url = _address(printed, folder / "looplab.log")
        holder = read_lock(db)
        token = holder.token if holder else None
        with httpx2.Client(
            base_url=url, timeout=20, trust_env=False, follow_redirects=True,
            headers={"Authorization": f"Bearer {token}"} if token else None,
        ) as client:  # fmt: skip
            until(lambda: _responds(client), "the dashboard responds", START_S)
            yield DashboardProcess(client, url, db, process)
    finally:
        _end(process)


def _address(printed: IO[str], log: Path) -> str:
    line = printed.readline()
    assert "http://" in line, f"no address but {line!r}; {log.read_text()[-2000:]}"
    return next(word for word in line.split() if word.startswith("http://"))


def _responds(client: httpx2.Client) -> bool:
    with contextlib.suppress(httpx2.ConnectError):
        return client.get("/healthz").is_success
    return False


def _end(process: subprocess.Popen[str] | ForkedProcess) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=8)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def items_spec(**changes: Any) -> dict[str, Any]:
    """A short run of the items workload; `changes` replace top-level fields."""
    item_id = {"kind": "integer", "low": 1, "high": 99}
    stream = {
        "name": "items",
        "requests": [{"path": "/items/{item_id}", "values": {"item_id": item_id}}],
        "load": {"model": "closed", "concurrency": 4},
        "stop": {"requests": 200},
    }  # fmt: skip
    return {"workload": {"streams": [stream]}, "warmup_s": 0.1, "timeout_s": 10, **changes}


def long_spec(**changes: Any) -> dict[str, Any]:
    """A run that lasts until it is ended; its users pause, which leaves the machine to others."""
    spec = items_spec(**changes)
    (stream,) = spec["workload"]["streams"]
    stream["load"]["think_time_s"] = 0.02
    stream["stop"] = {"duration_s": 120}
    return spec
