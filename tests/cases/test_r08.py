"""An application that takes 2 s to end was killed after half of one: its next trial failed."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cases.conftest import CASES
from tests.dashboard import Dashboard, until
from tests.in_process import in_process

MORE = """
[applications.hasty]
app = "app:app"
stop_timeout_s = 0.3

[applications.tough]
app = "app:app"
stop_timeout_s = 60
environment = ["ENDS_IN_S=60"]
"""


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("ends") / "R08"
    shutil.copytree(CASES / "R08", folder)
    settings = folder / "looplab.toml"
    settings.write_text(settings.read_text() + MORE)
    with in_process(folder, settings) as looplab:
        yield looplab


@pytest.fixture
def lock(looplab: Dashboard) -> Iterator[Path]:
    """The file that the application keeps while it runs."""
    path = looplab.db.parent / "run.lock"
    yield path
    path.unlink(missing_ok=True)


def spec_of(name: str, trials: int, duration_s: float) -> dict[str, Any]:
    stream = {
        "requests": [{"path": "/"}],
        "load": {"model": "closed", "concurrency": 4},
        "stop": {"duration_s": duration_s},
    }
    target = {"application": name, "loop": "asyncio"}
    return {
        "target": target, "workload": {"streams": [stream]}, "trials": trials, "warmup_s": 0,
    }  # fmt: skip


def test_a_target_ends_in_order_between_trials(looplab: Dashboard, lock: Path) -> None:
    run = looplab.finished(looplab.submit(spec_of("slow-end", 2, 0.3)))
    assert [trial["target"]["killed_after_s"] for trial in run["trials"]] == [None, None]
    assert not lock.exists()


def test_a_target_that_does_not_end_in_time_is_killed_and_told(
    looplab: Dashboard, lock: Path
) -> None:
    run = looplab.finished(looplab.submit(spec_of("hasty", 1, 0.3)))
    assert run["trials"][0]["target"]["killed_after_s"] == 0.3
    assert "target killed, not ended 0.3 s after SIGTERM" in looplab.get(f"/runs/{run['id']}").text
    assert lock.exists()


def test_a_cancellation_does_not_wait_for_the_end(looplab: Dashboard, lock: Path) -> None:
    run_id = looplab.submit(spec_of("slow-end", 2, 30))
    looplab.until_state(run_id, {"running"})
    assert looplab.cancel(run_id).json()["state"] == "cancelled"
    assert lock.exists()


def test_a_cancellation_shortens_the_end_after_a_failure(looplab: Dashboard, lock: Path) -> None:
    run_id = looplab.submit(spec_of("tough", 1, 30))
    looplab.until_state(run_id, {"running"})
    (client,) = processes_of("control_plane.load")
    client.kill()
    until(lambda: lock.read_text() == "ending", "the target was told to end")
    assert looplab.cancel(run_id).json()["state"] == "cancelled"
    assert not processes_of("app:app")
    assert lock.exists()


def processes_of(argument: str) -> list[psutil.Process]:
    """Those that this process started with `argument`, and that are not over."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if argument in process.cmdline():
                found.append(process)
    return found
