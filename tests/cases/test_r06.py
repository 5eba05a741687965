"""A run says which commit of the application it measured, and whether the code differed from it."""

import json
import subprocess
from pathlib import Path

import pytest

from control_plane.targets.cores_and_run_environment import (
    application_names,
    application_revision,
    commits_between,
)
from tests.in_process import in_process

CASE = Path(__file__).parent / "R06"


def git(folder: Path, *words: str) -> str:
    known = ["-c", "user.name=a", "-c", "user.email=a@b.invalid", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *known, *words], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for source in filter(Path.is_file, CASE.iterdir()):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / ".gitignore").write_text("*.db*\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_a_run_names_the_commit_of_the_application(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    with in_process(repository, repository / "looplab.toml") as looplab:
        spec = json.loads((CASE / "spec.json").read_text()) | {"warmup_s": 0}
        spec["workload"]["streams"][0]["stop"] = {"requests": 20}
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


def test_the_commits_of_a_step_are_told_by_its_repository(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    for subject in ("second", "third"):
        (repository / "app.py").write_text(f"# {subject}\n")
        git(repository, "commit", "-qam", subject)
    last = git(repository, "rev-parse", "HEAD")
    assert [subject for _, subject in commits_between(repository, first, last)] == [
        "third",
        "second",
    ]
    assert commits_between(repository, last, first) == ()
    assert commits_between(repository, "0" * 40, last) == ()
    assert commits_between(repository, "--all", last) == ()


@pytest.mark.parametrize(
    ("file", "content", "package"),
    [
        ("pyproject.toml", '[project]\nname = "shop"\nversion = "2.3.1"', "shop 2.3.1"),
        ("pyproject.toml", '[project]\nname = "shop"\ndynamic = ["version"]', "shop"),
        ("pyproject.toml", '[tool.poetry]\nname = "shop"\nversion = "2"', "shop 2"),
        ("Cargo.toml", '[package]\nname = "shop"\nversion = "0.1.0"', "shop 0.1.0"),
        ("package.json", '{"name": "@acme/shop", "version": "3.0.0"}', "@acme/shop 3.0.0"),
        ("package.json", '["shop"]', None),
        ("pyproject.toml", '[project]\nname = 7\n[tool]\npoetry = "x"', None),
        ("pyproject.toml", "[project", None),
    ],
)
def test_code_is_called_by_its_package_and_its_directory(
    repository: Path, file: str, content: str, package: str | None
) -> None:
    (repository / file).write_text(content)
    below = repository / "services" / "api"
    below.mkdir(parents=True)
    named = {"application_package": package}
    assert application_names(repository) == named | {"application_directory": repository.name}
    inside = f"{repository.name}/services/api"
    assert application_names(below) == named | {"application_directory": inside}


def test_nothing_around_a_folder_without_a_repository_is_told(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "around"')
    alone = tmp_path / "shop"
    alone.mkdir()
    assert application_names(alone) == {
        "application_package": None,
        "application_directory": "shop",
    }


CHANGES = """
from pathlib import Path
Path(__file__).with_name("made.py").write_text("MADE = 1")
"""


def test_code_that_changes_between_trials_is_told(repository: Path) -> None:
    """Here the application itself writes a module when it starts, as a person may at any time."""
    code = repository / "app.py"
    code.write_text(code.read_text() + CHANGES)
    git(repository, "commit", "-qam", "second")
    stream = {"requests": [{"path": "/"}], "stop": {"requests": 5}}
    stream["load"] = {"model": "closed", "concurrency": 1}
    spec = {"target": {"application": "versioned"}, "workload": {"streams": [stream]}}
    with in_process(repository, repository / "looplab.toml") as looplab:
        run = looplab.finished(looplab.submit({**spec, "trials": 2, "warmup_s": 0}))
    codes = [trial["target"]["code"] for trial in run["trials"]]
    assert codes[0] == git(repository, "rev-parse", "HEAD")[:12]
    assert codes[1].startswith(f"{codes[0]} + ")
    assert run["environment"]["application_dirty"] is False
    (found,) = [each for each in run["validity"]["reasons"] if each["gate"] == "code_changed"]
    assert "before trial 2" in found["text"]


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


ALLOWED = ("-c", "protocol.file.allow=always")
NOTHING = {None}


def test_what_differs_in_a_submodule_differs(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    library = tmp_path_factory.mktemp("library")
    (library / "shared.py").write_text("A = 0\n")
    git(library, "init", "-q")
    git(library, "add", ".")
    git(library, "commit", "-qm", "of the library")
    git(repository, *ALLOWED, "submodule", "--quiet", "add", str(library), "lib")
    git(repository, "commit", "-qm", "second")
    assert application_revision(repository)["application_dirty"] is False
    found = []
    for text in ("A = 1\n", "A = 2\n"):
        (repository / "lib" / "shared.py").write_text(text)
        found.append(application_revision(repository))
    assert [each["application_dirty"] for each in found] == [True, True]
    assert len({each["application_changes"] for each in found}) == 2
    inside = application_revision(repository / "lib")
    assert inside["application_commit_subject"] == "of the library"
    assert inside["application_dirty"] is True


def test_a_worktree_has_the_commit_that_it_stands_at(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = git(repository, "rev-parse", "HEAD")
    beside = tmp_path_factory.mktemp("beside") / "tree"
    git(repository, "worktree", "add", "-q", str(beside), "-b", "other")
    (repository / "later.py").write_text("X = 1\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "second")
    assert application_revision(beside)["application_commit"] == first
    assert application_revision(beside)["application_dirty"] is False


def test_a_folder_that_its_repository_ignores_is_no_code_of_it(repository: Path) -> None:
    (repository / ".gitignore").write_text("*.db*\nbuilt/\n")
    git(repository, "commit", "-qam", "second")
    (repository / "built").mkdir()
    (repository / "built" / "app.py").write_text("A = 1\n")
    assert set(application_revision(repository / "built").values()) == NOTHING
    # Unless it was added all the same.
    git(repository, "add", "-f", "built/app.py")
    git(repository, "commit", "-qm", "third")
    assert application_revision(repository / "built")["application_dirty"] is False


def test_what_is_no_repository_or_has_no_commit_has_none(tmp_path: Path) -> None:
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / ".git").write_text("gitdir: /nowhere/at/all\n")
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    for name in ("lost", "empty"):
        assert set(application_revision(tmp_path / name).values()) == NOTHING


def test_what_its_user_ignores_everywhere_is_no_change(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home" / "git").mkdir(parents=True)
    (tmp_path / "home" / "git" / "ignore").write_text("mine.py\nhome/\n")
    (repository / "mine.py").write_text("X = 1\n")
    assert application_revision(repository)["application_dirty"] is True
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    assert application_revision(repository)["application_dirty"] is False
