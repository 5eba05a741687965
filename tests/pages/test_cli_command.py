"""The command of a page, as it can be typed."""

import shlex
import sys
from pathlib import Path

import pytest

from control_plane.pages.new_run.preview import run_command


def test_the_database_is_named_unless_it_is_the_one_of_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = shlex.split(run_command(tmp_path.resolve() / "runs.db"))
    assert own[1:] == ["run", "spec.json", "--wait"]
    other = tmp_path / "my runs.db"
    assert shlex.split(run_command(other)) == [*own, "--db", str(other)]


def test_the_program_is_found_from_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    program = Path(sys.executable).with_name("looplab")
    monkeypatch.chdir(program.parents[1])
    assert run_command(Path("x")).startswith("bin/looplab run")
