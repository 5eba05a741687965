"""Other load generators, measured beside ours: wrk, and Locust's FastHttpUser.

`python -m bench.other_tools` installs what is missing: wrk and nginx by apt-get, which needs root,
Locust into an environment of its own under the cache folder.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.target import on_client_core

USERS = 64
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "looplab-bench"
LOCUST = CACHE / "locust" / "bin" / "locust"
LOCUSTFILE = Path(__file__).with_name("locustfile.py")
UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Load:
    """`cpu_s_per_1000` is processor time of the client for 1,000 requests."""

    per_s: float
    cpu_s_per_1000: float
    p50_s: float


def install() -> None:
    """Raises RuntimeError where apt-get is needed and we are not root."""
    missing = [name for name in ("wrk", "nginx") if not _installed(name)]
    if missing and os.geteuid() != 0:
        raise RuntimeError(f"As root: apt-get install {' '.join(missing)}")
    if missing:
        subprocess.run(["apt-get", "install", "--yes", "--quiet", *missing], check=True)
    if not LOCUST.exists():
        folder = LOCUST.parents[1]
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "locust"]
        subprocess.run(pip, check=True)


def wrk(url: str, seconds: float, users: int = USERS) -> Load:
    """One thread; its processor time is that of the whole process."""
    before_s = _children_s()
    printed = on_client_core(
        "wrk", "-t1", f"-c{users}", f"-d{max(1, round(seconds))}s", "--latency", url
    )
    cpu_s = _children_s() - before_s
    if re.search("Socket errors|Non-2xx", printed):
        raise RuntimeError(f"wrk had errors: {printed}")
    requests = int(_found(r"(\d+) requests in", printed)[1])
    p50 = _found(r"50%\s+([\d.]+)(us|ms|s)", printed)
    rate = float(_found(r"Requests/sec:\s+([\d.]+)", printed)[1])
    return Load(rate, 1_000 * cpu_s / requests, float(p50[1]) * UNITS_S[p50[2]])


def locust(url: str, seconds: float, users: int = USERS) -> Load:
    """FastHttpUser in one process; rate and processor time without its start and its warm-up."""
    host, _, path = url.partition("//")[2].partition("/")
    printed = on_client_core(
        "env", f"BENCH_PATH=/{path}", f"BENCH_SECONDS={seconds:g}",
        *[str(LOCUST), "--headless", "--only-summary", "--skip-log", "--locustfile"],
        *[str(LOCUSTFILE), "--host", f"http://{host}", "-u", str(users), "-r", str(users)],
    )  # fmt: skip
    told = json.loads(_found(r"BENCH (\{.*\})", printed)[1])
    if told["failures"] or not told["requests"]:
        raise RuntimeError(f"Locust had errors: {printed}")
    return Load(
        told["requests"] / told["spent_s"],
        1_000 * told["cpu_s"] / told["requests"],
        told["p50_s"],
    )


def _installed(name: str) -> bool:
    return shutil.which(name) is not None or Path("/usr/sbin", name).exists()


def _children_s() -> float:
    """Processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _found(pattern: str, printed: str) -> re.Match[str]:
    found = re.search(pattern, printed)
    if found is None:
        raise RuntimeError(f"{pattern} is not in: {printed}")
    return found


if __name__ == "__main__":
    install()
