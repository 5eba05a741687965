"""What people do with the files of a database, for the part `files` of `scripts/soak`."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

from control_plane.store.schema_and_backups import back_up
from control_plane.store.write_ahead_log import MARK_AT, MARK_BYTES, log_path, mark, marks
from tests.dashboard import BARE, Dashboard, dashboard, items_spec, long_spec, whole

Left = Literal["all", "backup", "file", "nothing"]
TOLD = ("deleted or moved", "was replaced", "written over")


class Accident(NamedTuple):
    """`left`: what has to be there of what was acknowledged before, and nothing else."""

    left: Left
    happen: Callable[[Path, Path], None]


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Execute `looplab` with these words."""
    return subprocess.run(
        [sys.executable, "-m", "control_plane", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "LOOPLAB_TOKEN": "off"},
    )


def refused(code: int, *words: str | Path) -> None:
    done = command(*words)
    assert done.returncode == code, (done.returncode, done.stderr[-500:])
    assert done.stderr.count("\n") == 1, done.stderr[-500:]


def index_path(db: Path) -> Path:
    return db.with_name(f"{db.name}-shm")


def deleted(db: Path, _backup: Path) -> None:
    db.unlink()


def all_deleted(db: Path, _backup: Path) -> None:
    for path in (db, log_path(db), index_path(db)):
        path.unlink(missing_ok=True)


def replaced(db: Path, backup: Path) -> None:
    Path(shutil.copy(backup, db.with_name("copy.db"))).rename(db)


def written_over(db: Path, backup: Path) -> None:
    shutil.copyfile(backup, db)


def restored(db: Path, backup: Path) -> None:
    done = command("restore", backup, "--db", db)
    assert done.returncode == 0, done.stderr


def restored_meanwhile(db: Path, backup: Path) -> None:
    refused(3, "restore", backup, "--db", db)


def backed_up(db: Path, _backup: Path) -> None:
    copy = db.with_name("second.db")
    done = command("backup", copy, "--db", db)
    assert done.returncode == 0, done.stderr
    assert whole(copy)


def moved_and_back(db: Path, _backup: Path) -> None:
    elsewhere = db.with_name("elsewhere.db")
    db.rename(elsewhere)
    elsewhere.rename(db)


def log_deleted(db: Path, _backup: Path) -> None:
    log_path(db).unlink(missing_ok=True)


def index_deleted(db: Path, _backup: Path) -> None:
    index_path(db).unlink(missing_ok=True)


def lock_deleted(db: Path, _backup: Path) -> None:
    db.with_name(f"{db.name}.lock").unlink(missing_ok=True)


def second_start(db: Path, _backup: Path) -> None:
    lock_deleted(db, db)
    refused(3, "--db", db, "--port", "0")


def linked(link: Callable[[Path, Path], None], code: int) -> Callable[[Path, Path], None]:
    def start(db: Path, _backup: Path) -> None:
        other = db.with_name("other.db")
        link(db, other)
        refused(code, "--db", other, "--port", "0")
        other.unlink()

    return start


def stale_log(db: Path, backup: Path) -> None:
    """The log of another database comes to lie beside a backup that was put back."""
    log = log_path(db)
    kept = log.read_bytes() if log.exists() else b""
    all_deleted(db, backup)
    shutil.copyfile(backup, db)
    log.write_bytes(kept)


RUNNING = {
    "deleted": Accident("nothing", deleted),
    "all files deleted": Accident("nothing", all_deleted),
    "replaced": Accident("backup", replaced),
    "written over": Accident("backup", written_over),
    "restore refused": Accident("all", restored_meanwhile),
    "backed up": Accident("all", backed_up),
    "moved and back": Accident("all", moved_and_back),
    "log deleted": Accident("all", log_deleted),
    "index deleted": Accident("all", index_deleted),
    "lock deleted": Accident("all", second_start),
    "hard link": Accident("all", linked(os.link, 3)),
    "symbolic link": Accident("all", linked(lambda db, other: other.symlink_to(db), 3)),
}
AT_REST = {
    "deleted": Accident("nothing", deleted),
    "all files deleted": Accident("nothing", all_deleted),
    "replaced": Accident("backup", replaced),
    "written over": Accident("backup", written_over),
    "restored": Accident("backup", restored),
    "stale log": Accident("backup", stale_log),
    "backed up": Accident("all", backed_up),
    "moved and back": Accident("all", moved_and_back),
    "log deleted": Accident("file", log_deleted),
    "index deleted": Accident("all", index_deleted),
    "lock deleted": Accident("all", lock_deleted),
}
KILLED = {**AT_REST, "hard link": Accident("all", linked(os.link, 2))}
WAYS = {"running": RUNNING, "killed": KILLED, "stopped": AT_REST}
CASES = [(way, name) for way, accidents in WAYS.items() for name in accidents]


def ids_in(db: Path) -> set[str]:
    """The runs in the file alone."""
    with closing(sqlite3.connect(f"file:{db}?immutable=1", uri=True)) as connection:
        return {run_id for (run_id,) in connection.execute("select id from run")}


def acknowledged(looplab: Dashboard) -> set[str]:
    """A run that finished, and some that were cancelled."""
    finished = looplab.submit(items_spec(**BARE))
    looplab.finished(finished)
    made = {finished}
    for _ in range(2):
        run_id = looplab.submit(long_spec(**BARE))
        assert looplab.cancel(run_id).is_success
        made.add(run_id)
    return made


def files(number: int, folder: Path) -> dict[str, Any]:
    """Let an accident happen; a start after it has what was acknowledged, or it was told."""
    way, name = CASES[number % len(CASES)]
    accident, chance = WAYS[way][name], random.Random(number)
    db, backup = folder / "runs.db", folder / "backup.db"
    after: set[str] = set()
    with dashboard(folder) as looplab:
        in_backup = acknowledged(looplab)
        back_up(db, backup)
        everything = in_backup | acknowledged(looplab)
        if way == "running":
            accident.happen(db, backup)
            after = made_after(looplab, accident)
        if way == "killed" or (way == "running" and chance.random() < 0.5):
            looplab.kill()
        else:
            assert looplab.stop() == 0
    if way != "running":
        accident.happen(db, backup)
    left: dict[Left, set[str]] = {"all": everything, "backup": in_backup, "nothing": set()}
    expected = (ids_in(db) if accident.left == "file" else left[accident.left]) | after
    there = as_it_lies(db)
    with dashboard(folder, first=True) as again:
        found = {run["id"] for run in again.get("/api/runs?limit=200").json()["runs"]}
        told = {"found": sorted(found), "expected": sorted(expected), "backup": sorted(in_backup)}
        assert found == expected, (way, name, told, there)
        again.finished(again.submit(items_spec(**BARE)))
    assert whole(db), "damaged"
    return {"way": way, "accident": name, "runs": len(found)}


def as_it_lies(db: Path) -> dict[str, Any]:
    """The files beside a database, and what decides whether its log is its own."""
    sizes = {path.name: path.stat().st_size for path in sorted(db.parent.iterdir())}
    own = mark(db.read_bytes()[: MARK_AT + MARK_BYTES]) if db.exists() else None
    return {"sizes": sizes, "mark": own, "marks": sorted(marks(log_path(db)))}


def made_after(looplab: Dashboard, accident: Accident) -> set[str]:
    """The run that is taken where nothing is lost; else it is refused, and the page says why."""
    answer = looplab.post("/api/runs", items_spec(**BARE))
    if accident.left == "all":
        assert answer.status_code == 202, answer.text
        made: str = answer.json()["id"]
        looplab.finished(made)
        return {made}
    assert answer.status_code == 503, answer.text
    page = looplab.get("/").text
    assert any(text in page for text in TOLD), page[:300]
    return set()
