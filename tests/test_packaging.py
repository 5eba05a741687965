"""An installed wheel works from any directory, with its own templates and assets."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.dashboard import BARE, dashboard, items_spec

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content in a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", str(ROOT)]
    subprocess.run([*command, "--wheel-dir", str(folder)], check=True, timeout=110)
    (wheel,) = folder.glob("looplab-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_holds_what_is_not_python(installed: Path) -> None:
    for name in ("templates/base.html", "static/vendor/htmx.min.js", "static/css/app.css"):
        assert (installed / "control_plane" / name).is_file(), name
    for name in (
        "experiments/presets.toml",
        "experiments/workloads.toml",
        "pages/site/glossary.toml",
    ):
        assert (installed / "control_plane" / name).is_file(), name
    assert (installed / "control_plane/targets/inside/sitecustomize.py").is_file()
    assert (installed / "control_plane/targets/inside/looplab_probe/hooks.py").is_file()
    assert (installed / "target_app/main.py").is_file()
    assert (installed / "target_app/vendor/redoc.standalone.js").is_file()
    assert not (installed / "tests").exists()


@pytest.mark.slow
def test_the_wheel_serves_from_any_directory(installed: Path, tmp_path: Path) -> None:
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    with dashboard(tmp_path, environment={"PYTHONPATH": path}, first=True) as looplab:
        page = looplab.get("/")
        assert page.status_code == 200
        assert looplab.get("/static/vendor/htmx.min.js").is_success
        maps = Path(f"/proc/{looplab.process.pid}/environ").read_bytes()
        assert str(installed).encode() in maps
        assert (tmp_path / "runs.db").is_file()


def test_a_run_ends_where_the_files_of_looplab_changed_since_it_started(
    installed: Path, tmp_path: Path
) -> None:
    """As `git pull` does under a dashboard: new load workers would meet the old control plane."""
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    changed = installed / "control_plane/load/worker_protocol.py"
    before = changed.read_text()
    with dashboard(tmp_path, environment={"PYTHONPATH": path}) as looplab:
        try:
            changed.write_text(before + "\n")
            run_id = looplab.submit(items_spec(**BARE))
            run = looplab.until_state(run_id, {"failed"})
        finally:
            changed.write_text(before)
    assert run["reason"].startswith("Looplab's files have changed since it started")
    assert "restart it" in run["reason"]
