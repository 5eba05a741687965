"""What the machine did beside a run is told: other programs by name, and a quota that was spent."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from control_plane.analysis.validity.client_and_machine_gates import MOST_TOLD, TOLD_CPU
from control_plane.targets.launch import free_ports
from control_plane.targets.observation.machine import group_folders, quota_cores, read_mounts
from control_plane.targets.observation.procfs import inodes_at
from tests.dashboard import DashboardProcess, forked_dashboard, until

APPLICATIONS = Path(__file__).parent / "R18"
SPEC = json.loads((APPLICATIONS / "spec.json").read_text())
SPEC["workload"]["streams"][0]["stop"]["duration_s"] = 1.2
USERS = SPEC["workload"]["streams"][0]["load"]["concurrency"]
WORK_S = 0.003
"""What the helper uses of the processor for each request."""
GROUP = f"looplab-test-quota-{os.getpid()}"


@pytest.fixture(scope="module")
def port() -> int:
    """Where the helper listens: of each test session its own."""
    return next(free_ports("127.0.0.1"))


@contextmanager
def helper(port: int) -> Iterator[None]:
    """The program that works for the target, started by hand before."""
    process = subprocess.Popen(
        [sys.executable, str(APPLICATIONS / "helper.py")],
        env={**os.environ, "HELPER_PORT": str(port)},
    )
    try:
        until(lambda: inodes_at("127.0.0.1", port), "the helper listens")
        yield
    finally:
        process.kill()
        process.wait()


def run_of(looplab: DashboardProcess, spec: dict[str, Any]) -> dict[str, Any]:
    return looplab.finished(looplab.submit(spec))


SETTINGS = """
[applications.alone]
app = "app:app"
environment = ["HELPER_PORT={port}"]
[applications.with-db]
app = "app:app"
belongs = ["helper.py"]
environment = ["HELPER_PORT={port}"]
"""


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[DashboardProcess]:
    """A dashboard with the application of the case, to which the helper belongs or not."""
    folder = tmp_path_factory.mktemp("R18") / "R18"
    shutil.copytree(APPLICATIONS, folder)
    (folder / "looplab.toml").write_text(SETTINGS.format(port=port))
    with forked_dashboard(folder) as started:
        yield started


def gate(run: dict[str, Any], name: str) -> dict[str, Any]:
    judged: dict[str, Any] = {reason["gate"]: reason for reason in run["validity"]["judged"]}[name]
    return judged


def worked_s(run: dict[str, Any]) -> float:
    """Return what the helper used for the answers of the window at least.

    Those of the first moment it may have worked for before the window opened.
    """
    asked = run["trials"][0]["streams"][0]["completed"] - USERS
    assert asked > 0
    return 0.7 * asked * WORK_S


def test_a_program_that_slows_the_run_is_named_with_what_it_used(
    looplab: DashboardProcess, port: int
) -> None:
    with helper(port):
        run = run_of(looplab, SPEC | {"target": {"application": "alone"}})
    programs = run["trials"][0]["machine"]["programs"]
    watched_s = run["trials"][0]["target"]["watched_s"]
    assert worked_s(run) < programs["helper.py"] * watched_s < 1.2 * watched_s, programs
    assert gate(run, "other_load")["level"] == "suspect"
    # Where others were busier it is none of those that are named.
    text, named = gate(run, "other_load")["text"], list(programs)[:MOST_TOLD]
    assert all(f"{name} " in text for name in named if programs[name] >= TOLD_CPU)


def test_a_program_that_belongs_to_the_target_counts_to_it(
    looplab: DashboardProcess, port: int
) -> None:
    with helper(port):
        run = run_of(looplab, SPEC | {"target": {"application": "with-db"}})
    gauges = looplab.get(f"/api/runs/{run['id']}/gauges").json()
    assert "helper.py" not in run["trials"][0]["machine"]["programs"]
    series = [each for each in gauges["processes"] if each["program"] == "helper.py"]
    assert len(series) == 1
    assert series[0]["role"] == "target"
    assert max(series[0]["memory_bytes"]) > 1_000_000
    seen = sum(series[0]["cpu_share"]) / len(series[0]["cpu_share"])
    target = run["trials"][0]["target"]
    assert seen * target["watched_s"] > worked_s(run)
    assert target["cpu_s"] / target["watched_s"] > seen


def test_a_shell_that_waits_is_not_blamed_for_what_ran_before(
    looplab: DashboardProcess, tmp_path: Path
) -> None:
    """What a child used before the window does not count when its parent has waited for it."""
    burn = (
        "import time, pathlib\nwhile time.process_time() < 1: pass\n"
        "pathlib.Path('burnt').touch()\ntime.sleep(3)"
    )
    # Other shells of this machine have another name.
    script = tmp_path / f"waits-{os.getpid()}.sh"
    script.write_text(f'{sys.executable} -c "{burn}"; sleep 60')
    shell = subprocess.Popen(["bash", str(script)], cwd=tmp_path)
    try:
        until((tmp_path / "burnt").exists, "it used the processor", 60)
        spec = json.loads(json.dumps(SPEC))
        spec["target"] = {"application": "bundled"}
        (stream,) = spec["workload"]["streams"]
        stream["requests"], stream["load"]["think_time_s"] = [{"path": "/null"}], 0.05
        run = run_of(looplab, spec)
    finally:
        shell.kill()
        shell.wait()
    assert run["trials"][0]["machine"]["programs"].get(script.name, 0.0) < 0.2


def empty(group: Path) -> bool:
    return not (group / "cgroup.procs").read_text()


@pytest.fixture
def quota() -> Iterator[Path]:
    """A group of a tenth of a core in the hierarchy of this machine, where one may be made."""
    mounts = read_mounts(Path("/proc/self/mountinfo").read_text())
    for mount in mounts:
        folder = mount.point / GROUP
        with suppress(OSError):
            folder.mkdir()
            if (folder / "cpu.max").exists():
                (folder / "cpu.max").write_text("10000 100000")
            elif (folder / "cpu.cfs_quota_us").exists():
                (folder / "cpu.cfs_quota_us").write_text("10000")
            else:
                folder.rmdir()
                continue
            yield folder
            until(partial(empty, folder), "the group is empty")
            folder.rmdir()
            return
    pytest.skip("no group with a quota can be made here")


BUSY = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Busy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        sum(range(20_000))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Busy).serve_forever()
"""


def test_a_target_that_the_kernel_holds_back_says_so(quota: Path, tmp_path: Path) -> None:
    (tmp_path / "busy.py").write_text(BUSY)
    inside = f"echo $$ > {quota}/cgroup.procs; exec python busy.py $0 $1"
    command = json.dumps(["sh", "-c", inside, "{host}", "{port}"])
    free = json.dumps(["python", "busy.py", "{host}", "{port}"])
    (tmp_path / "looplab.toml").write_text(
        f"[applications.held]\ncommand = {command}\n[applications.free]\ncommand = {free}\n"
    )
    with forked_dashboard(tmp_path) as looplab:
        runs = {}
        for name in ("held", "free"):
            spec = json.loads(json.dumps(SPEC))
            spec["target"] = {"application": name, "server": "command"}
            runs[name] = run_of(looplab, spec)
        ids = ",".join(run["id"] for run in runs.values())
        comparison = looplab.get(f"/api/compare?runs={ids}").json()
    throttling = runs["held"]["trials"][0]["target"]["throttling"]
    assert throttling["quota_cores"] == 0.1
    assert throttling["throttled"] >= 0.5 * throttling["periods"] > 0
    assert throttling["throttled_s"] > 0.5
    first = runs["held"]["causes"][0]
    assert first["cause"] == "held_back"
    assert f"in {throttling['throttled']} of {throttling['periods']} periods" in first["text"]
    assert runs["held"]["trials"][0]["client"]["throttling"] is None
    assert runs["held"]["environment"]["target_quota_cores"] == 0.1
    assert "held_back" not in {cause["cause"] for cause in runs["free"]["causes"]}
    fields = {difference["field"] for difference in comparison["environment"]}
    assert "target_quota_cores" in fields


MOUNTS = """
25 30 0:23 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
26 25 0:24 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
27 25 0:25 / /sys/fs/cgroup/memory rw shared:11 - cgroup cgroup rw,memory
"""


@pytest.mark.parametrize(
    ("mounts", "membership", "folders"),
    [
        (
            MOUNTS,
            "4:memory:/x\n3:cpu,cpuacct:/system.slice/app.service\n0::/y",
            ["system.slice/app.service", "system.slice", ""],
        ),
        (
            "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
            "0::/user.slice/run.scope",
            ["user.slice/run.scope", "user.slice", ""],
        ),
        (
            "31 23 0:28 /docker/a /sys/fs/cgroup ro - cgroup2 cgroup2 rw",
            "0::/docker/a/b",
            ["b", ""],
        ),
        ("31 23 0:28 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw", "0::/", [""]),
    ],
)
def test_the_group_and_those_above_it(mounts: str, membership: str, folders: list[str]) -> None:
    found = list(group_folders(membership, read_mounts(mounts)))
    point = found[-1]
    assert str(point).startswith("/sys/fs/cgroup")
    assert [os.path.relpath(folder, point).removeprefix(".") for folder in found] == folders


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.cfs_quota_us": "250000\n", "cpu.cfs_period_us": "100000\n"}, 2.5),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_both_versions(files: dict[str, str], cores: float, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert quota_cores(tmp_path) == cores
