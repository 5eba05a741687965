"""A comparison stands without the runs that were deleted, in every form."""

from pathlib import Path

import pytest

from control_plane import cli_output
from tests.in_process import in_process
from tests.pages.stored import Filled, Stored, copied, words


def test_the_others_stand_and_the_deleted_one_is_named(
    stored_database: Filled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = stored_database.runs.classic
    asked = f"runs={first},{second},{third}"
    with in_process(copied(stored_database.database, tmp_path)) as looplab:
        stored = Stored(looplab, stored_database.runs)
        title = looplab.run(first)["title"]
        assert looplab.delete(f"/api/runs/{first}").status_code == 204
        day = looplab.get(f"/api/compare?{asked}").json()["deleted"][0]["deleted_at"][:10]
        said = f"Deleted, so not compared: {title} ({first}, {day})."
        document = looplab.get(f"/api/compare?{asked}&baseline={first}").json()
        assert document["without"].startswith(f"{said} The baseline was deleted: ")
        assert [run["id"] for run in document["deleted"]] == [first]
        assert [run["id"] for run in document["runs"]] == [second, third]
        assert document["baseline"] == second
        assert looplab.get(f"/compare.json?{asked}").json()["deleted"] == document["deleted"]
        page = stored.page(f"/compare?{asked}")
        assert said in words(page)
        assert f"/compare.csv?runs={second},{third}" in page
        assert said in words(looplab.get(f"/compare/live?{asked}").text)
        rows = looplab.get(f"/compare.csv?{asked}").text.splitlines()
        assert [row for row in rows if row.startswith(first)] == [
            f'{first},"{title}",,,,,,deleted,,,,,,'
            if "," in title
            else f"{first},{title},,,,,,deleted,,,,,,"
        ]
        assert "Deleted, so not compared" in looplab.get(f"/compare.md?{asked}").text
        cli_output.print_comparison(document)
        assert capsys.readouterr().out.startswith(said)
        gone = looplab.get(f"/compare?runs={first}")
        assert (gone.status_code, f"({first}, {day})" in gone.text) == (404, True)
        assert looplab.get(f"/runs/{first}").status_code == 404
        assert looplab.get("/api/compare?runs=0000000000").status_code == 404
