"""Set up real applications in environments of their own, and check and measure each with Looplab.

`scripts/real-applications [--only NAME] [--seconds N]`: one line for each of real_applications.toml
whose name begins so. Each has a folder with `looplab.toml`, as its author would write it, and a
dashboard of its own there. Behind the run it is started once more, and `raw` and wrk take turns on
that server. Environments are kept in ~/.cache/looplab/real-applications.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import statistics
import sys
import tempfile
import tomllib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import requests

from control_plane.applications_file import read_applications
from control_plane.dashboard_client import token_headers
from control_plane.domain.errors import LooplabError
from control_plane.domain.spec import Target
from control_plane.targets.launch import LaunchContext, start_application
from control_plane.targets.observation.machine import available_cores

CACHE = Path.home() / ".cache" / "looplab" / "real-applications"
CATALOGUE = Path(__file__).with_suffix(".toml")
SETUP_S, RUN_S, CHECK_S, POLL_S = 300, 120, 60, 0.2
USERS, TURNS, TURN_S = 64, 3, 2
TOLERANCE = 0.1
UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
LOGIN = {
    "method": "POST",
    "path": "/token",
    "per": "user",
    "body": {"form": {"username": "{username}", "password": "{password}"}},
    "values": {
        "account": {"kind": "row", "file": "users.csv", "columns": ["username", "password"]}
    },
    "capture": {"token": {"json": "access_token"}},
}
FRAMEWORKS = ("datasette", "django", "quart", "flask", "litestar", "fastapi", "starlette")
COLUMNS = (
    *("application", "served by", "check", "run", "requests", "errors"),
    *("raw/s", "p50 ms", "wrk/s", "p50 ms", "raw/wrk", "within 10 %", "toml lines", ""),
)
WIDTHS = (22, 50, 16, 10, 9, 8, 8, 8, 8, 8, 8, 18, 10, 0)


class Failed(Exception):
    """What the line of an application says in the place of its figures."""


@dataclass(frozen=True)
class RealApplication:
    """One entry of the catalogue.

    `looplab` is the whole looplab.toml; `target` is what a spec says beside the name; `program`
    must be on this machine; `login`: a token is asked for before the load.
    """

    name: str
    looplab: str
    packages: Sequence[str] = ()
    program: str = ""
    setup: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)
    path: str = "/"
    login: bool = False

    @property
    def folder(self) -> Path:
        return CACHE / self.name

    @property
    def lines(self) -> int:
        """How many lines its looplab.toml has."""
        return len(self.looplab.strip().splitlines())

    def spec(self, target: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Return a closed load of `raw`, which begins with its login where it has one."""
        request: dict[str, Any] = {"path": self.path}
        if self.login:
            request["headers"] = {"Authorization": "Bearer {token}"}
        load = {"model": "closed", "concurrency": USERS}
        stream = {"requests": [request], "load": load, "stop": {"duration_s": seconds}}
        return {
            "target": dict(target),
            "client": {"strategy": "raw"},
            "before": [LOGIN] if self.login else [],
            "workload": {"streams": [stream]},
        }


class Rate(NamedTuple):
    """What a load generator reached. `errors` are responses and connections that failed."""

    per_s: float
    p50_ms: float
    errors: int = 0


def catalogue() -> list[RealApplication]:
    """Return the applications of real_applications.toml, in its order."""
    entries = tomllib.loads(CATALOGUE.read_text())["application"]
    return [RealApplication(**entry) for entry in entries]


async def main(prefix: str = "", seconds: float = 3.0) -> int:
    """Print a line for each application whose name begins so; return how many do not work."""
    failed = 0
    _print_row(COLUMNS)
    for application in catalogue():
        if application.name.startswith(prefix):
            try:
                cells = await _measured(application, seconds)
            except (Failed, LooplabError, OSError, requests.RequestException) as fault:
                failed += 1
                cells = [str(fault)]
            _print_row([application.name, *cells])
    return failed


def _print_row(cells: Sequence[str]) -> None:
    padded = (cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=False))
    print("  ".join(padded).rstrip(), flush=True)


async def _measured(application: RealApplication, seconds: float) -> list[str]:
    """Return the cells of its line behind its name. Raises Failed."""
    await _set_up(application)
    with tempfile.TemporaryDirectory() as scratch:
        db = Path(scratch) / "runs.db"
        async with _dashboard(application.folder, db) as url:
            check = await _checked(url, application.name, db)
            named = {"application": application.name, **application.target}
            run = await _run(application, application.spec(named, seconds), db)
            cells = [await _served_by(application, run), check, run["validity"]["outcome"]]
            stream = run["streams"][0]
            cells += [f"{stream['requests']:,}", f"{sum(stream['errors'].values()):,}"]
            cells += [*await _beside_wrk(application, run, db), str(application.lines)]
            return [*cells, " ".join(reason["text"] for reason in run["validity"]["reasons"])]


async def _set_up(application: RealApplication) -> None:
    """Make its environment where it is not there as it should be, and write its files."""
    if application.program and shutil.which(application.program) is None:
        raise Failed(f"not measured: {application.program} is not installed")
    folder = application.folder
    folder.mkdir(parents=True, exist_ok=True)
    wanted, stamp = "\n".join([*application.packages, *application.setup]), folder / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder)
        folder.mkdir()
        if application.packages:
            await _output(sys.executable, "-m", "venv", ".venv", cwd=folder)
            pip = [".venv/bin/python", "-m", "pip", "install", "--quiet"]
            await _output(*pip, *application.packages, cwd=folder)
        if application.setup:
            await _output(*application.setup, cwd=folder)
        stamp.write_text(wanted)
    for name, text in {"looplab.toml": application.looplab, **application.files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"))


@asynccontextmanager
async def _dashboard(folder: Path, db: Path) -> AsyncIterator[str]:
    """Give the URL of a dashboard that was started in `folder`; it is ended in the end."""
    command = [sys.executable, "-m", "control_plane", "--port", "0", "--db", str(db)]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(CHECK_S):
            told = (await process.stdout.readline()).decode()
        found = re.search(r"http://\S+", told)
        if found is None:
            raise Failed(f"the dashboard does not start: {told.strip()}")
        yield found[0]
    finally:
        await _ended(process)


async def _checked(url: str, name: str, db: Path) -> str:
    """Press Check, and return what it says in the end."""
    address = f"{url}/targets/applications/{name}/checkup"
    ask = partial(requests.request, url=address, headers=token_headers(db), timeout=CHECK_S)
    (await asyncio.to_thread(ask, "POST")).raise_for_status()
    page = "Checking…"
    for _ in range(int(CHECK_S / POLL_S)):
        page = (await asyncio.to_thread(ask, "GET")).text
        if "Checking…" not in page:
            break
        await asyncio.sleep(POLL_S)
    found = re.findall(r'<li class="(doubt|missing)">.*?<p>(.*?)</p>', page, re.DOTALL)
    if "It starts" not in page:
        raise Failed(f"Check: {' '.join(text for _, text in found)}")
    return f"starts, {len(found)} doubt" if found else "starts"


async def _run(application: RealApplication, spec: Mapping[str, Any], db: Path) -> dict[str, Any]:
    """Return the run of a spec, as `looplab run` in the folder of the application prints it."""
    command = [sys.executable, "-m", "control_plane", "run", "-", "--wait", "--json"]
    text = json.dumps(spec)
    printed = await _output(
        *command,
        "--db",
        str(db),
        cwd=application.folder,
        text=text,
        within_s=RUN_S,
        codes=(0, 1, 12),
    )
    run: dict[str, Any] = json.loads(printed)
    if run["state"] != "finished":
        raise Failed(f"{run['state']}: {run['reason']} {' '.join(run['hints'] + run['log'][-5:])}")
    return run


async def _served_by(application: RealApplication, run: Mapping[str, Any]) -> str:
    """Return server, worker and framework with their versions; of a program that of itself."""
    if application.program:
        version = re.search(r"\d[\d.]*", await _output(application.program, "-v"))
        return f"{application.program} {version[0] if version else ''}"
    server, packages = run["spec"]["target"]["server"], run["environment"]["target_packages"]
    names = [server] if server in packages else []
    names += [name for name in FRAMEWORKS if name in packages][:1]
    worker = run["spec"]["target"]["worker"]
    told = [f"{name} {packages[name]}" for name in names]
    told[1:1] = [worker] if worker and names else []
    return ", ".join(told)


async def _beside_wrk(application: RealApplication, run: Mapping[str, Any], db: Path) -> list[str]:
    """Start the application once more, and let `raw` and wrk take turns on it."""
    own, cores = read_applications(application.folder / "looplab.toml"), available_cores()
    with tempfile.TemporaryDirectory() as state:
        started = await start_application(
            own[application.name],
            Target(**run["spec"]["target"]),
            LaunchContext("real-applications", cores[:-1] or cores, Path(state)),
        )
        try:
            address = {"url": started.url, "host": started.host_header}
            return await _turns(application, address, db)
        finally:
            await started.stop()


async def _turns(application: RealApplication, address: Mapping[str, str], db: Path) -> list[str]:
    """Let `raw` and wrk take turns on the last core; the server has the others."""
    cores, headers = available_cores(), _wrk_headers(application, address)
    spec = application.spec(address, TURN_S) | {"warmup_s": 0.5}
    spec["cores"] = {"target": cores[:-1] or cores, "client": cores[-1:]}
    ours, wrk, kept = [], [], True
    for _ in range(TURNS):
        run = await _run(application, spec, db)
        ours.append(_rate(run))
        kept = kept and _keeps_connections(run)
        if shutil.which("wrk"):
            wrk.append(await _wrk(address["url"] + application.path, headers, cores[-1]))
    return _cells(ours, wrk, kept=kept)


def _cells(ours: Sequence[Rate], wrk: Sequence[Rate], *, kept: bool) -> list[str]:
    """Return medians, that of the turns' ratios, and whether it lies within 10 % of 1."""
    cells = [_median(ours, "per_s"), _median(ours, "p50_ms")]
    if not wrk:
        return [*_numbers(cells), "–", "–", "–", "wrk is missing"]
    cells += [_median(wrk, "per_s"), _median(wrk, "p50_ms")]
    ratio = statistics.median(mine.per_s / its.per_s for mine, its in zip(ours, wrk, strict=True))
    verdict = "yes" if abs(ratio - 1) <= TOLERANCE else "no"
    if not kept:
        verdict = "connections end"
    elif errors := sum(rate.errors for rate in wrk):
        verdict += f", {errors} by wrk"
    return [*_numbers(cells), f"{ratio:.2f}", verdict]


def _median(rates: Sequence[Rate], name: str) -> float:
    values: list[float] = [getattr(rate, name) for rate in rates]
    return statistics.median(values)


def _numbers(values: Sequence[float]) -> list[str]:
    """Return rates and milliseconds, which take turns."""
    return [f"{value:,.2f}" if place % 2 else f"{value:,.0f}" for place, value in enumerate(values)]


def _rate(run: Mapping[str, Any]) -> Rate:
    """Raises Failed where fewer than half of the requests were answered."""
    stream = run["streams"][0]
    p50_s = (stream["service_time_s"] or {}).get("p50")
    if p50_s is None:
        reasons = [reason["text"] for reason in run["validity"]["reasons"]]
        raise Failed(" ".join(["raw beside wrk:", *reasons]))
    return Rate(stream["throughput_per_s"], 1e3 * p50_s, sum(stream["errors"].values()))


def _keeps_connections(run: Mapping[str, Any]) -> bool:
    """Return whether a connection carried ten requests or more on average."""
    opened = sum(sum(trial["client"]["new_connections"].values()) for trial in run["trials"])
    return bool(10 * opened <= run["streams"][0]["requests"])


def _wrk_headers(application: RealApplication, target: Mapping[str, str]) -> list[str]:
    """Return what wrk sends as `raw` does: the Host, and the token of the first user."""
    headers = ["-H", f"Host: {target['host']}"]
    if application.login:
        names, first = (line.split(",") for line in application.files["users.csv"].split()[:2])
        form = dict(zip(names, first, strict=True))
        answer = requests.post(target["url"] + str(LOGIN["path"]), data=form, timeout=CHECK_S)
        headers += ["-H", f"Authorization: Bearer {answer.json()['access_token']}"]
    return headers


async def _wrk(url: str, headers: Sequence[str], core: int) -> Rate:
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{USERS}", f"-d{TURN_S}s", "--latency"]
    printed = await _output(*command, *headers, url, within_s=RUN_S)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s)", printed)
    if rate is None or p50 is None:
        raise Failed(f"wrk: {printed}")
    failed = re.findall(r"(?:connect|read|write|timeout|responses:)\s+(\d+)", printed)
    return Rate(float(rate[1]), float(p50[1]) * UNITS_MS[p50[2]], sum(map(int, failed)))


async def _output(
    *command: str,
    cwd: Path | None = None,
    text: str = "",
    within_s: float = SETUP_S,
    codes: Sequence[int] = (0,),
) -> str:
    """Return what a command prints, its complaints where that is nothing.

    Raises Failed with its last words; nothing of it is left.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(within_s):
            printed, complained = await process.communicate(text.encode())
    except TimeoutError:
        raise Failed(f"{command[0]}: not done within {within_s:g} s") from None
    finally:
        await _ended(process)
    if process.returncode not in codes:
        raise Failed(f"{' '.join(command[:4])}: {complained.decode().strip()[-300:]}")
    return (printed or complained).decode()


async def _ended(process: asyncio.subprocess.Process, grace_s: float = 10.0) -> None:
    """End a process, with all of its group where it does not end in order."""
    if process.returncode is None:
        process.terminate()
    with suppress(TimeoutError):
        async with asyncio.timeout(grace_s):
            await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", metavar="NAME", help="those whose name begins so")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long the run lasts (3)")
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    # A script's background command inherits that SIGINT is ignored; asyncio would heed that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    with suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(main(given.only, given.seconds)))
    sys.exit(130)
