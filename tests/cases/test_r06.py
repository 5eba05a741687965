"""A run says which commit of the application it measured, and whether the code differed from it."""

import json
import subprocess
from pathlib import Path

import pytest

from control_plane.targets.run_environment import application_revision
from tests.in_process import in_process

CASE = Path(__file__).parent / "R06"


def git(folder: Path, *words: str) -> str:
    known = ["-c", "user.name=a", "-c", "user.email=a@b.invalid", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *known, *words], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for source in CASE.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / ".gitignore").write_text("*.db*\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_a_run_names_the_commit_of_the_application(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    with in_process(repository, repository / "looplab.toml") as looplab:
        spec = json.loads((CASE / "spec.json").read_text())
        clean = looplab.finished(looplab.submit(spec))
        code = repository / "app.py"
        code.write_text(code.read_text() + "\nADDED = 1\n")
        dirty = looplab.finished(looplab.submit(spec))
        page = looplab.get(f"/runs/{dirty['id']}").text
        ids = f"{clean['id']},{dirty['id']}"
        comparison = looplab.get(f"/api/compare?runs={ids}").json()
    for run in (clean, dirty):
        assert run["environment"]["application_commit"] == commit
        assert run["environment"]["application_commit_subject"] == "first"
        assert run["environment"]["commit"] != commit
    assert (
        clean["environment"]["application_dirty"],
        dirty["environment"]["application_dirty"],
    ) == (
        False,
        True,
    )
    fields = {difference["field"] for difference in comparison["environment"]}
    assert {"application_dirty", "application_changes"} <= fields
    assert commit[:12] in page


def test_two_changes_of_one_commit_have_two_digests(repository: Path) -> None:
    code = repository / "app.py"
    digests = []
    for text in ("A = 1\n", "A = 2\n", "A = 1\n"):
        code.write_text(text)
        digests.append(application_revision(repository)["application_changes"])
    assert digests[0] == digests[2] != digests[1]


def test_a_new_module_is_a_change_and_what_a_run_leaves_is_none(repository: Path) -> None:
    (repository / "__pycache__").mkdir()
    (repository / "__pycache__" / "app.cpython-311.pyc").write_bytes(b"x")
    (repository / "notes.txt").write_text("later")
    assert application_revision(repository)["application_dirty"] is False
    (repository / "extra.py").write_text("X = 1\n")
    assert application_revision(repository)["application_dirty"] is True


def test_a_folder_below_the_repository_has_its_commit(repository: Path) -> None:
    below = repository / "service"
    below.mkdir()
    assert application_revision(below)["application_commit"] == git(repository, "rev-parse", "HEAD")


def test_a_folder_without_a_repository_has_none(tmp_path: Path) -> None:
    assert set(application_revision(tmp_path).values()) == {None}
