"""Commands around the database make none where they only read."""

from contextlib import closing
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from control_plane.cli import cli
from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, finished, items
from tests.conftest import Call
from tests.dashboard import provide_database

READING = (
    ["compare", "zzzzzzzzzz"],
    ["trend"],
    ["trend", "--json"],
    ["trend", "zzzzzzzzzz", "--once"],
    ["export", "zzzzzzzzzz", "--html", "page.html"],
    ["export", "--bundle", "all.looplab"],
    ["repeat", "zzzzzzzzzz"],
    ["repeat", "zzzzzzzzzz", "--start"],
    ["experiment", "--confirm", "zzzzzzzzzz"],
    ["experiment", "--confirm", "zzzzzzzzzz", "--markdown", "comment.md"],
    ["experiment", "--show", "zzzzzzzzzz"],
    ["backup", "runs.bak"],
    ["audit"],
)
"""What asks for something stored, each way in which it does."""
WITHOUT = {"run", "noise-floor", "ceiling", "import", "restore", "doctor", "login"}
"""Commands that make a database, or ask for nothing of one."""


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_what_reads_makes_no_database(call: Call, tmp_path: Path, arguments: list[str]) -> None:
    done = call([*arguments, "--db", "away/runs.db"])
    told = "There is no database at away/runs.db: name one with --db.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writable", [True, False], ids=["writable", "read-only"])
def test_what_reads_leaves_nothing_beside_the_database(
    call: Call, tmp_path: Path, *, writable: bool
) -> None:
    folder, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    with closing(open_store(provide_database(folder / "runs.db"))) as store:
        first, second = (finished(store, items(trials=1), ASYNC).id for _ in range(2))
        spec = store.trend_spec(first)
    before = (folder / "runs.db").read_bytes()
    if not writable:
        (folder / "runs.db").chmod(0o400)
        folder.chmod(0o500)
    try:
        for arguments in (
            ["compare", first, second],
            ["trend"],
            ["trend", "--json"],
            ["trend", spec, "--look"],
            ["export", first, "--html", f"{elsewhere}/page.html"],
            ["export", first, "--bundle", f"{elsewhere}/run.looplab"],
            ["audit"],
            ["backup", f"{elsewhere}/kept.db"],
        ):
            done = call([*arguments, "--db", f"{folder}/runs.db"])
            assert (done.returncode, done.stderr) == (0, "")
            assert [path.name for path in folder.iterdir()] == ["runs.db"], arguments
        assert writable or (folder / "runs.db").read_bytes() == before
    finally:
        folder.chmod(0o700)


def test_every_command_that_reads_is_tried() -> None:
    group = get_command(cli)
    assert isinstance(group, TyperGroup)
    assert {arguments[0] for arguments in READING} == group.commands.keys() - WITHOUT


def test_a_file_that_is_refused_makes_no_database(call: Call, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("bought 3 lemons")
    for arguments in (["import", "notes.txt"], ["import", "notes.txt", "--kind", "wrk"]):
        done = call(arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
