"""Trends in the database: which runs are one work, and whose the marks and alarms are."""

import sqlite3
from contextlib import closing
from pathlib import Path

from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, finished, items
from tests.builders.trends import P50S, repeated
from tests.in_process import in_process


def test_equal_work_has_one_digest_and_other_work_another(tmp_path: Path) -> None:
    store = open_store(tmp_path / "runs.db")
    alike = (items(trials=1, title="a"), items(trials=1, title="b", tags=["x"], seed=7))
    other = items(trials=1, concurrency=99)
    specs = [store.trend_spec(finished(store, spec, ASYNC).id) for spec in (*alike, other)]
    assert specs[0] == specs[1] != specs[2]
    store.close()


def test_marks_and_alarms_are_of_one_machine(tmp_path: Path) -> None:
    ids = repeated(tmp_path / "runs.db", [*P50S, *P50S])
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        database.execute("UPDATE run SET machine = 'other' WHERE seq > 24")
    with in_process(tmp_path) as looplab:
        first, last = (f"/trends/{ids[0]}{{}}?machine={name}" for name in ("bench", "other"))
        form = [("do", "add"), ("to", ids[20])]
        spec = looplab.get(first.format("")).url.path.rpartition("/")[2]
        assert looplab.post_form(f"/trends/{spec}/steps?machine=bench", form).status_code == 303
        for address, steps in ((first, [ids[12], ids[20]]), (last, [ids[36]])):
            told = looplab.post(f"/api{address.format('/told')}").json()
            assert [step["run"] for step in told["steps"]] == steps
            assert told["alarm"]["run"] == steps[0]
        form = [("do", "forget"), ("run", ids[20])]
        assert looplab.post_form(f"/trends/{spec}/steps?machine=bench", form).status_code == 303
        alarms = [
            looplab.post(f"/api/trends/{spec}/told?machine={name}").json()["alarm"]
            for name in ("bench", "other")
        ]
    # Both were told above, though an added step stood behind that of the first.
    assert alarms == [None, None]
