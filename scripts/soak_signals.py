"""Signals to processes of a run: `killed`, `stopped` and `signals` of `scripts/soak`."""

import random
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import psutil

from control_plane.targets.configurations import BUILTIN_CONFIGURATIONS
from tests.dashboard import (
    BARE,
    TERMINAL,
    DashboardProcess,
    dashboard,
    gone_within_a_second,
    items_spec,
    long_spec,
    marked,
    one_of,
    state_in,
    until,
)
from tests.faults.test_processes import SIGNALS, assert_stops

STATES = ("starting", "warming", "running")
STOPPABLE = ("client", "server", "guard")
DEADLINE_S = 60.0
ROLES = ("control plane", "watcher", "guard", "server", "worker", "client")
BELOW: list[tuple[str, ...]] = [*((role,) for role in ROLES[1:]), *combinations(ROLES[1:], 2)]
ABOVE = [ROLES[:1], *((ROLES[0], role) for role in ROLES[1:])]
BELOW_FIRST = 7
"""Kills below a control plane before it is killed itself."""
FORKING = """
import os
import subprocess
import sys
import threading
from http.server import ThreadingHTTPServer, BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


subprocess.Popen(["sleep", "300"])
subprocess.Popen(["sleep", "300"], start_new_session=True)
subprocess.Popen(["sleep", "300"], start_new_session=True, env={})
if not os.fork():
    os.setsid()
    if not os.fork():
        os.execve("/bin/sleep", ["sleep", "300"], {})
    os._exit(0)
ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""
"""A server with children, among them a daemon that cleared its environment."""
WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]
"""
SETTINGS = f"""
[applications.forking]
command = "{sys.executable} forking.py {{host}} {{port}}"
python = "{sys.executable}"

[applications.wsgi]
app = "wsgi:app"
"""
TARGETS: list[dict[str, Any]] = [
    {"application": "forking", "server": "command"},
    {"application": "wsgi", "server": "waitress"},
    {"application": "wsgi", "server": "gunicorn", "worker": "sync", "workers": 2},
    {"application": "wsgi", "server": "gunicorn", "worker": "gthread", "workers": 2},
    *(
        asdict(configuration.target)
        for configuration in BUILTIN_CONFIGURATIONS
        if configuration.target.workers == 2 or configuration.target.reload
    ),
]
MOST_WAIT_S = 1.5
DEADLINE_S = 60.0


def parts_of(looplab: DashboardProcess) -> dict[str, psutil.Process]:
    """The processes of the run that works now, by their roles, as far as they are there."""
    found = {"control plane": psutil.Process(looplab.process.pid)}
    with suppress(psutil.Error):
        for child in found["control plane"].children():
            line = child.cmdline()
            if any("control_plane.load" in word for word in line):
                found["client"] = child
            elif any(word.endswith("guard.py") for word in line):
                found["watcher"] = child
    for above, role in pairwise(ROLES[1:5]):
        with suppress(psutil.Error, KeyError, IndexError):
            found[role] = found[above].children()[0]
    return found


def killed(number: int, folder: Path) -> dict[str, Any]:
    """Kill in one run after another, at last the control plane too; nothing is left or changed."""
    for name, text in (("forking.py", FORKING), ("wsgi.py", WSGI), ("looplab.toml", SETTINGS)):
        (folder / name).write_text(text)
    with dashboard(folder) as looplab:
        kept = looplab.submit(items_spec(**BARE))
        looplab.finished(kept)
        body = looplab.get(f"/api/runs/{kept}").content
        turns = range(number * BELOW_FIRST, (number + 1) * BELOW_FIRST)
        kills = [kill(looplab, turn, BELOW[turn % len(BELOW)]) for turn in turns]
        looplab.finished(looplab.submit(items_spec(**BARE)))
        kills.append(kill(looplab, -1 - number, ABOVE[number % len(ABOVE)]))
    with dashboard(folder) as again:
        assert again.get(f"/api/runs/{kept}").content == body, "a finished run changed"
        for each in kills:
            run = again.run(each.pop("run_id"))
            assert run["state"] in TERMINAL, run["state"]
            assert "internal" not in (run["reason"] or ""), run["reason"]
            each["became"] = run["state"]
        again.finished(again.submit(items_spec(**BARE)))
        gone_within_a_second(again.instance)
    return {"kills": kills}


def kill(looplab: DashboardProcess, turn: int, victims: tuple[str, ...]) -> dict[str, Any]:
    """Kill these processes at a random moment of a run; a second after its end none is left."""
    chance, target = random.Random(turn), TARGETS[turn % len(TARGETS)]
    run_id = looplab.submit(window_of(target))
    reached = {"starting", "warming", "running"} if chance.random() < 0.3 else {"running"}
    looplab.until_state(run_id, reached | TERMINAL, every_s=0.01)
    time.sleep(chance.uniform(0, MOST_WAIT_S))
    parts = parts_of(looplab)
    at = state_in(looplab.db, run_id)
    below = parts["control plane"].children(recursive=True)
    hit = [role for role in victims if role in parts]
    for role in hit:
        with suppress(psutil.Error):
            parts[role].kill()
    if "control plane" in hit:
        looplab.process.wait()
    else:
        looplab.until_state(run_id, TERMINAL, DEADLINE_S)
    left_none_of(below)
    gone_within_a_second(looplab.instance)
    served = " ".join(str(target[key]) for key in ("server", "worker") if target.get(key))
    return {"victims": hit, "server": served, "at": at, "run_id": run_id}


def window_of(target: dict[str, Any]) -> dict[str, Any]:
    """A run of about two seconds."""
    spec = items_spec(target=target, timeout_s=1)
    (stream,) = spec["workload"]["streams"]
    stream["stop"], stream["load"]["think_time_s"] = {"duration_s": 2}, 0.01
    return spec


def left_none_of(below: list[psutil.Process]) -> None:
    """Whatever its environment: none of them lives a second later."""
    try:
        until(lambda: not any(map(lives, below)), "all below are gone", 1.0)
    except AssertionError:
        left = [process.cmdline() for process in below if lives(process)]
        raise AssertionError(f"left after a second: {left}") from None


def lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def seen(looplab: DashboardProcess, role: str) -> psutil.Process | None:
    with suppress(AssertionError, psutil.Error):
        return one_of(looplab, role)
    return None


def stopped(number: int, folder: Path) -> dict[str, Any]:
    """Stop one process; the run ends, and the next one finishes."""
    state, role = STATES[number % 3], STOPPABLE[number // 3 % 3]
    with dashboard(folder) as looplab:
        spec = long_spec(warmup_s=5 if state == "warming" else 0, timeout_s=1)
        spec["workload"]["streams"][0]["stop"] = {"duration_s": 8}
        run_id = looplab.submit(spec)
        if state != "starting":
            looplab.until_state(run_id, {state})
        process = until(lambda: seen(looplab, role), f"a {role}", every_s=0.002)
        process.suspend()
        began = time.monotonic()
        run = looplab.until_state(run_id, TERMINAL, DEADLINE_S)
        held_s = time.monotonic() - began
        looplab.finished(looplab.submit(items_spec(**BARE)))
        until(lambda: not marked(looplab.instance), "nothing of both runs is left", 3)
    told = {"reason": run["reason"], "held_s": round(held_s, 1)}
    return {"state": state, "role": role, "became": run["state"], **told}


def signals(number: int, folder: Path) -> dict[str, Any]:
    """Stop a dashboard by one or two signals while a run measures and responses are open."""
    with dashboard(folder) as looplab:
        looplab.until_state(looplab.submit(long_spec()), {"running"})
        began = time.monotonic()
        assert_stops(looplab, SIGNALS[number % len(SIGNALS)])
        stopped_s = time.monotonic() - began
        gone_within_a_second(looplab.instance)
    return {"stopped_s": round(stopped_s, 3)}
